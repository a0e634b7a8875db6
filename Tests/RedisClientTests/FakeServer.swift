// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform
import Synchronization

@testable import RedisClient

/// A server on a loopback port that answers as a test wants it to.
final class FakeServer: Sendable {
    enum Answer: Sendable {
        /// These bytes.
        case bytes(String)
        /// Nothing, ever.
        case nothing
        /// These bytes, and then the end.
        case close(String)
        /// These bytes, over and over, until the client goes away.
        case flood(String)
    }

    typealias Script = @Sendable (_ command: [String], _ connection: Int) -> Answer

    let port: UInt16
    private let listener: Int32
    private let script: Script
    private let state = Mutex<(connections: Int, commands: [[String]], open: Set<Int32>)>((0, [], []))

    /// Commands that were received, greetings left out.
    var commands: [[String]] { state.withLock { $0.commands } }
    var connections: Int { state.withLock { $0.connections } }
    var url: String { "redis://127.0.0.1:\(port)" }

    /// - Parameter script: the answer to what is no greeting; greetings are answered well, unless `greets` says no.
    init?(greets: Bool = true, _ script: @escaping Script) {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard let port = Loopback.bind(listener, port: 0), listen(listener, 64) == 0 else { return nil }
        self.port = port
        self.script = { command, connection in
            if greets, command == ["PING"] { return .bytes("+PONG\r\n") }
            if greets, command.first == "CLIENT" { return .bytes("+OK\r\n") }
            return script(command, connection)
        }
        let listener = listener
        _ = WorkerThread.runDetached(blocksSignals: true) { [weak self] in
            while true {
                let descriptor = accept(listener, nil, nil)
                guard descriptor >= 0, let self else { return }
                self.began(descriptor)
            }
        }
    }

    deinit { stop() }

    /// Ends it and all connections.
    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        for descriptor in state.withLock({ $0.open }) { shutdown(descriptor, Int32(SHUT_RDWR)) }
    }

    private func began(_ descriptor: Int32) {
        let number = state.withLock { state in
            state.connections += 1
            state.open.insert(descriptor)
            return state.connections
        }
        _ = WorkerThread.runDetached(blocksSignals: true) { [self] in
            serve(descriptor, number)
            _ = state.withLock { $0.open.remove(descriptor) }
            close(descriptor)
        }
    }

    private func serve(_ descriptor: Int32, _ number: Int) {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return }
            bytes += buffer[..<count]
            while let command = Self.takeCommand(&bytes) {
                if command.first != "CLIENT", command != ["PING"] {
                    state.withLock { $0.commands.append(command) }
                }
                switch script(command, number) {
                case .bytes(let text): guard write(text, descriptor) else { return }
                case .nothing: break
                case .close(let text):
                    _ = write(text, descriptor)
                    return
                case .flood(let text): while write(text, descriptor) {}
                }
            }
        }
    }

    private func write(_ text: String, _ descriptor: Int32) -> Bool {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes {
                unsafe send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    private static func takeCommand(_ bytes: inout [UInt8]) -> [String]? {
        var rest = bytes[...]
        func line() -> Int? {
            guard let end = rest.firstIndex(of: 13), end + 1 < rest.endIndex else { return nil }
            defer { rest = rest[(end + 2)...] }
            return Int(String(decoding: rest[(rest.startIndex + 1)..<end], as: UTF8.self))
        }
        guard let count = line() else { return nil }
        var words: [String] = []
        for _ in 0..<count {
            guard let size = line(), rest.count >= size + 2 else { return nil }
            words.append(String(decoding: rest.prefix(size), as: UTF8.self))
            rest = rest.dropFirst(size + 2)
        }
        bytes = Array(rest)
        return words
    }
}

/// Ports on 127.0.0.1.
enum Loopback {
    /// Binds a socket; returns the port, `nil` if it is taken.
    static func bind(_ descriptor: Int32, port: UInt16) -> UInt16? {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        return unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                guard unsafe Glibc.bind(descriptor, address, size) == 0,
                    unsafe getsockname(descriptor, address, &size) == 0
                else { return false }
                return true
            } ? UInt16(bigEndian: pointer.pointee.sin_port) : nil
        }
    }

    /// A port that nobody has, below those the system gives out itself.
    static func freePort() -> UInt16 {
        while true {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(descriptor) }
            if let port = bind(descriptor, port: UInt16.random(in: 15_000...31_000)) { return port }
        }
    }
}

extension RedisClient {
    /// A client with the patience of a test.
    convenience init(
        _ url: String,
        password: String? = nil,
        _ change: (inout RedisOptions) -> Void = { _ in }
    ) throws {
        var options = try RedisOptions(url: url, password: password)
        change(&options)
        try self.init(options)
    }

    /// One command, waited for.
    func ask(
        _ words: String...,
        key: Int? = 1,
        seconds: Double = 3
    ) throws -> Result<
        RedisReply, RedisError
    > {
        let command = RedisCommand(words.map { Array($0.utf8) }, key: words.count > 1 ? key : nil)
        return try call([command], seconds: seconds)[0]
    }

    /// Waits until a condition holds; whether it did in time.
    func eventually(_ seconds: Double = 5, _ condition: (RedisStatus) throws -> Bool) rethrows -> Bool {
        let deadline = SystemClock.now() + seconds
        while SystemClock.now() < deadline {
            if try condition(status) { return true }
            usleep(5000)
        }
        return false
    }
}

extension Result where Success == RedisReply, Failure == RedisError {
    var reply: RedisReply? { try? get() }
    var error: RedisError? {
        if case .failure(let error) = self { return error }
        return nil
    }
}
