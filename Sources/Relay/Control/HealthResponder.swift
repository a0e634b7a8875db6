// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// Answers probes over HTTP: `GET /-/healthy` and `GET /-/ready`, and nothing else.
struct HealthResponder {
    private(set) var listeners: [Int32] = []
    private var clients: [(descriptor: Int32, deadline: Int64)] = []
    private static let mostClients = 32

    init() {}

    init(_ name: HostPort) throws(RelayError) {
        let addresses = SocketAddress.resolve(name, isPassive: true)
        guard !addresses.isEmpty else { throw .system(what: "--health \(name)", code: ENOENT) }
        for address in addresses { listeners.append(try Socket.listen(address)) }
    }

    /// What is to be waited for.
    var descriptors: [Int32] { listeners + clients.map(\.descriptor) }

    /// Takes what is there, and forgets who says nothing for two seconds.
    mutating func serve(isReady: Bool, now: Int64) {
        for listener in listeners where clients.count < Self.mostClients {
            let descriptor = linux_accept(listener)
            if descriptor >= 0 { clients.append((descriptor, now &+ 2_000_000_000)) }
        }
        clients = clients.filter { client in
            let bytes = Socket.peek(client.descriptor, 4096)
            let isWaiting = bytes.map { $0.count < 4096 && !Self.isWhole($0) } ?? false
            if isWaiting, !Self.isOver(client.descriptor), client.deadline > now { return true }
            if let bytes, Self.isWhole(bytes) {
                Socket.skip(client.descriptor, bytes.count)
                _ = Socket.send(client.descriptor, Self.answer(bytes, isReady: isReady))
                shutdown(client.descriptor, linux_shut_writing)
            }
            close(client.descriptor)
            return false
        }
    }

    mutating func closeListeners() {
        for listener in listeners { close(listener) }
        listeners = []
    }

    private static func isOver(_ descriptor: Int32) -> Bool {
        var waiting = pollfd(fd: descriptor, events: Int16(Events.ended.rawValue), revents: 0)
        return unsafe poll(&waiting, 1, 0) > 0
    }

    /// The empty line is there.
    private static func isWhole(_ bytes: [UInt8]) -> Bool {
        bytes.contains(0x0A) && (bytes.suffix(4) == [0x0D, 0x0A, 0x0D, 0x0A] || bytes.suffix(2) == [0x0A, 0x0A])
    }

    static func answer(_ request: [UInt8], isReady: Bool) -> [UInt8] {
        let words = request.prefix { $0 != 0x0D && $0 != 0x0A }.split(separator: 0x20)
        let path = words.count >= 2 ? String(decoding: words[1], as: UTF8.self) : ""
        let isGet = words.first.map { $0.elementsEqual("GET".utf8) || $0.elementsEqual("HEAD".utf8) } ?? false
        let (status, text) =
            switch path {
            case _ where !isGet: ("405 Method Not Allowed", "only GET\n")
            case "/-/healthy": ("200 OK", "healthy\n")
            case "/-/ready": isReady ? ("200 OK", "ready\n") : ("503 Service Unavailable", "draining\n")
            default: ("404 Not Found", "/-/healthy or /-/ready\n")
            }
        let head = "HTTP/1.1 \(status)\r\nContent-Type: text/plain\r\nContent-Length: \(text.utf8.count)\r\n"
        return Array((head + "Connection: close\r\n\r\n" + text).utf8)
    }
}
