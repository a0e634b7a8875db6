// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform

/// A program with a socket as its standard input and output.
final class ChildProcess {
    private let pid: pid_t
    private let socket: Int32

    /// Starts it; `nil` where the system refuses.
    init?(_ command: [String]) {
        var pair: [Int32] = [-1, -1]
        guard unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &pair) == 0
        else { return nil }
        defer { close(pair[1]) }
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, pair[1], 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, pair[1], 1)
        var arguments = unsafe command.map { unsafe strdup($0) }
        unsafe arguments.append(nil)
        defer { for index in unsafe arguments.indices { unsafe free(arguments[index]) } }
        // It parses text: nothing of our environment, where passwords may stand, is for it.
        var environment: [UnsafeMutablePointer<CChar>?] = unsafe Self.environment.map { unsafe strdup($0) }
        unsafe environment.append(nil)
        defer { for index in unsafe environment.indices { unsafe free(environment[index]) } }
        var child = pid_t()
        guard unsafe posix_spawn(&child, command.first ?? "", &actions, nil, &arguments, &environment) == 0 else {
            close(pair[0])
            return nil
        }
        pid = child
        socket = pair[0]
    }

    deinit { end() }

    /// One message there and one back; `nil` when it ended, or did not answer in time.
    func exchange(_ message: [UInt8], seconds: Double) -> [UInt8]? {
        let deadline = SystemClock.now() + seconds
        guard MessageIO.write(message, to: socket, deadline: deadline) else { return nil }
        return MessageIO.read(from: socket, deadline: deadline)
    }

    private var hasEnded = false
    private static let environment: [String] = ["SWIFT_BACKTRACE=enable=no", "LC_ALL=C"]

    /// Ends it.
    func end() {
        guard !hasEnded else { return }
        hasEnded = true
        close(socket)
        kill(pid, SIGKILL)
        var status: Int32 = 0
        while unsafe waitpid(pid, &status, 0) < 0, errno == EINTR {}
    }
}

/// Messages on a stream: four bytes of length, big-endian, then the bytes.
enum MessageIO {
    /// Longer messages are no messages: a plan has 8 MiB at most.
    static let maxLength = 64 << 20

    static func write(_ message: [UInt8], to descriptor: Int32, deadline: Double?) -> Bool {
        guard message.count <= maxLength else { return false }
        let length = UInt32(message.count)
        var rest = (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * UInt32($0))) } + message
        while !rest.isEmpty {
            guard wait(descriptor, POLLOUT, deadline) else { return false }
            // A child that has ended must not end this process by a signal.
            let sent = unsafe send(descriptor, rest, rest.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            if sent < 0 {
                guard errno == EINTR || errno == EAGAIN else { return false }
                continue
            }
            rest.removeFirst(sent)
        }
        return true
    }

    static func read(from descriptor: Int32, deadline: Double?) -> [UInt8]? {
        guard let head = read(4, from: descriptor, deadline) else { return nil }
        let length = head.reduce(0) { $0 << 8 | Int($1) }
        guard length <= maxLength else { return nil }
        return read(length, from: descriptor, deadline)
    }

    private static func read(_ count: Int, from descriptor: Int32, _ deadline: Double?) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var have = 0
        while have < count {
            guard wait(descriptor, POLLIN, deadline) else { return nil }
            let got = unsafe bytes.withUnsafeMutableBytes { buffer -> Int in
                guard let start = buffer.baseAddress else { return 0 }
                return unsafe recv(descriptor, start + have, count - have, Int32(MSG_DONTWAIT))
            }
            if got < 0, errno == EINTR || errno == EAGAIN { continue }
            guard got > 0 else { return nil }
            have += got
        }
        return bytes
    }

    private static func wait(_ descriptor: Int32, _ events: Int32, _ deadline: Double?) -> Bool {
        while true {
            let left = deadline.map { $0 - SystemClock.now() }
            if let left, left <= 0 { return false }
            var waiting = pollfd(fd: descriptor, events: Int16(events), revents: 0)
            let ready = unsafe poll(&waiting, 1, left.map { Int32(min($0 * 1000, 1e6)) + 1 } ?? -1)
            if ready > 0 { return true }
            if ready < 0, errno != EINTR { return false }
        }
    }
}
