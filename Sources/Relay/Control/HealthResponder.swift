// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// Answers probes over HTTP: `GET /-/healthy` and `GET /-/ready`, and nothing else.
struct HealthResponder {
    private(set) var listeners: [Int32] = []
    private var clients: [Client] = []
    private static let mostClients = 32, mostBytes = 4096

    private struct Client {
        var descriptor: Int32
        var deadline: Int64
        var request: [UInt8] = []
    }

    init() {}

    /// `takesOver`: whether a predecessor listens there, too.
    init(_ name: HostPort, takesOver: Bool) throws(RelayError) {
        let addresses = SocketAddress.resolve(name, isPassive: true)
        guard !addresses.isEmpty else { throw .system(what: "--health \(name)", code: ENOENT) }
        if !takesOver { for address in addresses { try Socket.probe(address) } }
        for address in addresses { listeners.append(try Socket.listen(address)) }
    }

    /// What is to be waited for.
    var descriptors: [Int32] { listeners + clients.map(\.descriptor) }

    /// Takes what is there, and forgets who says nothing for two seconds.
    mutating func serve(isReady: Bool, now: Int64) {
        for listener in listeners {
            for _ in 0..<Self.mostClients {
                let descriptor = linux_accept(listener)
                guard descriptor >= 0 else { break }
                // Who has said nothing for longest makes room.
                if clients.count >= Self.mostClients { close(clients.removeFirst().descriptor) }
                clients.append(Client(descriptor: descriptor, deadline: now &+ 2_000_000_000))
            }
        }
        var waiting: [Client] = []
        for var client in clients {
            // Taken, not looked at: what is left in a socket would wake us again at once.
            let isOpen = Self.read(&client)
            if Self.isWhole(client.request) {
                _ = Socket.send(client.descriptor, Self.answer(client.request, isReady: isReady))
            } else if isOpen, client.deadline > now, client.request.count < Self.mostBytes {
                waiting.append(client)
                continue
            }
            close(client.descriptor)
        }
        clients = waiting
    }

    /// Reads what is there; false at the end.
    private static func read(_ client: inout Client) -> Bool {
        var bytes = [UInt8](repeating: 0, count: mostBytes)
        let count = unsafe bytes.withUnsafeMutableBytes { buffer in
            unsafe buffer.baseAddress.map { unsafe Socket.receive(client.descriptor, $0, buffer.count) } ?? 0
        }
        if count > 0 { client.request += bytes.prefix(count) }
        return count > 0 || count == Socket.Outcome.again
    }

    mutating func closeListeners() {
        for listener in listeners { close(listener) }
        listeners = []
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
