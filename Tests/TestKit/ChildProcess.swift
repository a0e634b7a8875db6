// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc

/// A program of a test's.
///
/// Not `Foundation.Process`, which hangs where loopback is down.
public final class ChildProcess: Sendable {
    /// Why a program did not do its work.
    public struct Failure: Error, CustomStringConvertible {
        /// What it said.
        public let description: String

        /// A failure.
        public init(description: String) { self.description = description }
    }

    /// Servers refuse to run as root.
    public static let asServer =
        getuid() == 0 ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"] : []

    private let pid: pid_t
    /// While it is open, the program lives: so none is left, however we end.
    private let leash: Int32

    /// Starts a server, which ends by signal `number` with this object or with our process, whatever ends that.
    ///
    /// `folder` is removed then: what is static in a test is never freed.
    public init(_ words: [String], output: String, signal number: Int32, removing folder: ScratchFolder? = nil) throws {
        // The shell's own standard input is the leash; what it starts gets none.
        let script = #"n=$1 d=$2; shift 2; "$@" & p=$!; read _; kill -"$n" "$p"; wait "$p"; [ -z "$d" ] || rm -r "$d""#
        var ends: [Int32] = [0, 0]
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard unsafe socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw Failure(description: "no sockets") }
        leash = ends[1]
        defer { close(ends[0]) }
        let arguments = ["/bin/sh", "-c", script, "sh", String(number), folder?.path ?? ""]
        pid = try Self.spawn(arguments + words, input: ends[0], output: output)
    }

    deinit {
        close(leash)
        var status: Int32 = 0
        while unsafe waitpid(pid, &status, 0) < 0, errno == EINTR {}
    }

    /// Runs a program to its end; returns what it printed.
    @discardableResult
    public static func run(_ words: [String], in folder: ScratchFolder, seconds: Double = 60) throws -> String {
        try Running(words, in: folder).wait(seconds: seconds)
    }

    /// A program that ends by itself.
    public struct Running {
        private let words: [String], pid: pid_t, output: String

        /// Starts it.
        public init(_ words: [String], in folder: ScratchFolder) throws {
            self.words = words
            output = folder.file("output-\(UUID().uuidString)")
            pid = try ChildProcess.spawn(words, input: nil, output: output)
        }

        /// Waits for its end; returns what it printed.
        @discardableResult
        public func wait(seconds: Double = 60) throws -> String {
            let deadline = ContinuousClock.now + .seconds(seconds)
            var status: Int32 = 0
            while unsafe waitpid(pid, &status, WNOHANG) == 0 {
                guard ContinuousClock.now < deadline else {
                    kill(pid, SIGKILL)
                    _ = unsafe waitpid(pid, &status, 0)
                    throw Failure(description: "\(words) takes too long")
                }
                usleep(10_000)
            }
            let text = String(decoding: FileManager.default.contents(atPath: output) ?? Data(), as: UTF8.self)
            guard status == 0 else { throw Failure(description: "\(words): \(text)") }
            return text
        }
    }

    fileprivate static func spawn(_ words: [String], input: Int32?, output: String) throws -> pid_t {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        if let input {
            unsafe posix_spawn_file_actions_adddup2(&actions, input, 0)
        } else {
            unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        }
        unsafe posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        unsafe posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var arguments = unsafe words.map { unsafe strdup($0) }
        unsafe arguments.append(nil)
        defer { for index in unsafe arguments.indices { unsafe free(arguments[index]) } }
        // Threads of test runners block signals, SIGTERM too; a server that inherited that could not be ended.
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        unsafe sigemptyset(&none)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var child = pid_t()
        let code = unsafe posix_spawnp(&child, words[0], &actions, &attributes, &arguments, environ)
        guard code == 0 else { throw Failure(description: "cannot start \(words[0]): error \(code)") }
        return child
    }

    /// A port of 127.0.0.1 that nobody listens at.
    public static func freePort() -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                _ = unsafe bind(descriptor, address, size)
                _ = unsafe getsockname(descriptor, address, &size)
            }
        }
        return UInt16(bigEndian: address.sin_port)
    }
}
