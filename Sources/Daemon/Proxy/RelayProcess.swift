// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform
import RelayRing

/// A relay that this daemon started: a process, and a session, of its own, so that it outlives the daemon's crash.
struct RelayProcess: Sendable {
    let pid: pid_t

    /// Starts `pgweir-relay`, from beside this program or from PATH, and waits until it answers at `path`.
    ///
    /// - Throws: the exit code for the whole program, after saying what failed.
    static func start(_ words: [String], at path: String) throws(ExitStatus) -> RelayProcess {
        guard let pid = spawn([program] + words + ["--control", path]) else {
            Output.complain("cannot start \(program): \(Output.message(errno)). Install it beside pgweir.")
            throw Sysexit.unavailable
        }
        let watch = ProcessWatch(pid)
        for _ in 0..<200 {
            if let channel = RelayChannel.connect(to: path), channel.send("status"), channel.receive() != nil {
                return RelayProcess(pid: pid)
            }
            var status: Int32 = 0
            // It said why on standard error.
            let ended = unsafe waitpid(pid, &status, WNOHANG)
            if ended == pid { throw ExitStatus(status >> 8 & 0xFF) }
            // Somebody else waited for it: it is gone.
            if ended < 0 { break }
            _ = watch.hasEnded(within: 0.05)
        }
        kill(pid, SIGTERM)
        Output.complain("the relay does not answer at \(path).")
        throw Sysexit.unavailable
    }

    /// Has it drain: no new connections, and the end with the last session.
    func drain() { kill(pid, SIGTERM) }

    private static var program: String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = unsafe readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let path = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let beside = (path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ".") + "/pgweir-relay"
        return unsafe access(beside, X_OK) == 0 ? beside : "pgweir-relay"
    }

    private static func spawn(_ words: [String]) -> pid_t? {
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        // POSIX_SPAWN_SETSID: ^C at our terminal is not meant for it. POSIX_SPAWN_SETSCHEDULER, with what is preset,
        // SCHED_OTHER: queries wait for it, so it gives way to nobody.
        unsafe posix_spawnattr_setflags(&attributes, Scheduling.gaveWay ? 0x80 | 0x20 : 0x80)
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        // Not our report's pipe: its reader waits for the end of all who hold it.
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        var arguments = unsafe words.map { unsafe strdup($0) }
        unsafe arguments.append(nil)
        defer { for index in unsafe arguments.indices { unsafe free(arguments[index]) } }
        var child = pid_t()
        let code = unsafe posix_spawnp(&child, words.first ?? "", &actions, &attributes, &arguments, environ)
        errno = code
        return code == 0 ? child : nil
    }
}
