// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform

/// The clients of the control socket, served side by side and never waited for.
struct ControlClients: ~Copyable {
    private struct Client {
        var number: Int
        var descriptor: Int32
        var phase = Phase.asking
        /// When it is given up, ns of a steady clock.
        var deadline: Int64
        var received: [UInt8] = []
        var reply: [UInt8] = []
        var sent = 0
    }

    private enum Phase {
        /// Its request is not complete.
        case asking
        /// Its request is being answered.
        case waiting
        /// It is being sent the answer.
        case reading
    }

    /// Clients at once.
    static let most = 64
    /// Bytes of answers that clients have not read yet.
    private static let mostUnread = 512 << 20
    /// Time for a request, and for the next part of an answer to be read, ns.
    private static let patience: (asking: Int64, reading: Int64) = (2_000_000_000, 10_000_000_000)

    private var clients: [Client] = []
    private var lastNumber = 0

    init() {}

    static func now() -> Int64 {
        SystemClock.nanoseconds()
    }

    /// What is to be waited for.
    var polled: [pollfd] {
        clients.map { client in
            let events = client.phase == .asking ? POLLIN : client.phase == .reading ? POLLOUT : 0
            return pollfd(fd: client.descriptor, events: Int16(events), revents: 0)
        }
    }

    /// Takes all who wait; the oldest that has not asked makes room, else the oldest; false if no descriptor is free.
    mutating func accept(from listener: Int32) -> Bool {
        for _ in 0..<Self.most {
            let descriptor = Glibc.accept(listener, nil, nil)
            guard descriptor >= 0 else {
                guard errno == EMFILE || errno == ENFILE else { return true }
                guard let silent = clients.firstIndex(where: { $0.phase == .asking }) else { return false }
                drop(silent)
                continue
            }
            if clients.count >= Self.most { drop(clients.firstIndex { $0.phase == .asking } ?? 0) }
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
            lastNumber &+= 1
            let deadline = Self.now() &+ Self.patience.asking
            clients.append(Client(number: lastNumber, descriptor: descriptor, deadline: deadline))
        }
        return true
    }

    /// Reads and writes what can be, and gives up who is late; the requests that are complete: the client's number, its
    /// line or `nil` if it is none, and who it is.
    mutating func turn() -> [(number: Int, line: String?, peer: String)] {
        var requests: [(number: Int, line: String?, peer: String)] = []
        let now = Self.now()
        for index in clients.indices.reversed() {
            var isOver = false
            switch clients[index].phase {
            case .asking:
                isOver = !read(index)
                let bytes = clients[index].received
                let isLong = bytes.count >= ControlRequest.longest
                if let end = bytes.firstIndex(of: 0x0A) ?? (isLong ? bytes.endIndex : nil) {
                    clients[index].phase = .waiting
                    isOver = false
                    let line = end < bytes.endIndex ? String(decoding: bytes[..<end], as: UTF8.self) : nil
                    requests.append((clients[index].number, line, UnixSocket.peer(of: clients[index].descriptor)))
                }
            case .reading: isOver = !write(index)
            case .waiting: break
            }
            if isOver || clients[index].phase != .waiting && clients[index].deadline <= now { drop(index) }
        }
        return requests.reversed()
    }

    /// Begins to send an answer.
    mutating func reply(to number: Int, _ bytes: [UInt8]) {
        guard let index = clients.firstIndex(where: { $0.number == number }) else { return }
        clients[index].phase = .reading
        clients[index].deadline = Self.now() &+ Self.patience.reading
        clients[index].reply = bytes
        guard write(index) else { return drop(index) }
        while clients.count > 1, clients.reduce(0, { $0 + $1.reply.count }) > Self.mostUnread {
            guard let oldest = clients.firstIndex(where: { $0.phase == .reading && $0.number != number }) else {
                return
            }
            drop(oldest)
        }
    }

    mutating func closeAll() { while !clients.isEmpty { drop(clients.count - 1) } }

    private mutating func drop(_ index: Int) { close(clients.remove(at: index).descriptor) }

    /// False: nothing more will come.
    private mutating func read(_ index: Int) -> Bool {
        var buffer = [UInt8](repeating: 0, count: ControlRequest.longest)
        let descriptor = clients[index].descriptor
        let count = unsafe buffer.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, 0) }
        if count < 0 { return errno == EAGAIN || errno == EINTR }
        clients[index].received += buffer.prefix(count)
        return count > 0
    }

    /// False: all is sent, or cannot be.
    private mutating func write(_ index: Int) -> Bool {
        let descriptor = clients[index].descriptor
        while clients[index].sent < clients[index].reply.count {
            let start = clients[index].sent
            let count = unsafe clients[index].reply.withUnsafeBytes { buffer in
                // In range: `start` is below the count.
                unsafe send(
                    descriptor,
                    buffer.baseAddress.map { unsafe $0 + start },
                    buffer.count - start,
                    Int32(MSG_NOSIGNAL)
                )
            }
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN { return true }
            guard count > 0 else { return false }
            clients[index].sent += count
            clients[index].deadline = Self.now() &+ Self.patience.reading
        }
        return false
    }
}
