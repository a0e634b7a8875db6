// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform

/// What is asked of the operating system besides files.
enum System {
    /// Asks again each 20 ms until it is so, or the time is up; returns whether it is.
    static func wait(seconds: Double, until isSo: () -> Bool) -> Bool {
        let deadline = SystemClock.now() + seconds
        while !isSo() {
            guard SystemClock.now() < deadline else { return false }
            SystemClock.sleep(seconds: 0.02)
        }
        return true
    }
}

/// The process whose number a PgBouncer wrote into its `pidfile`.
struct PidFile {
    let path: String

    /// Sends SIGHUP, which is RELOAD; false: no such process is there, so there is nothing to tell.
    func reload() throws(PgBouncerError) -> Bool {
        guard let pid = try process() else { return false }
        guard kill(pid, SIGHUP) == 0 else {
            if errno == ESRCH { return false }
            throw .cannotSignal(path: path, reason: SystemError.text(errno))
        }
        return true
    }

    /// The working directory of the process; `nil`: it cannot be told.
    var directory: String? {
        guard let pid = try? process() else { return nil }
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = unsafe readlink("/proc/\(pid)/cwd", &buffer, buffer.count - 1)
        guard count > 0 else { return nil }
        return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Whether it is a PgBouncer that was started with a loader of its own (ld.so(8)), whose name it then bears.
    private func isStartedByLoader(_ pid: pid_t) -> Bool {
        guard let bytes = try? PlainFile.read("/proc/\(pid)/cmdline") else { return false }
        let names = bytes.split(separator: 0).map { word in
            String(decoding: word.split(separator: UInt8(ascii: "/")).last ?? [], as: UTF8.self)
        }
        guard let loader = names.first, loader.hasPrefix("ld-linux") || loader.hasPrefix("ld-musl") else {
            return names.first == "pgbouncer"
        }
        return names.dropFirst().contains("pgbouncer")
    }

    /// The process, if it is a PgBouncer that we may signal; `nil`: there is none.
    ///
    /// Its name is looked at: SIGHUP ends most others, and a pid file may be an old one.
    func process() throws(PgBouncerError) -> pid_t? {
        guard let bytes = try PlainFile.read(path) else { return nil }
        let text = String(decoding: bytes.prefix(20).prefix { $0 >= 0x30 && $0 <= 0x39 }, as: UTF8.self)
        guard let pid = pid_t(text), pid > 1 else {
            throw .cannotSignal(path: path, reason: "it holds no process number")
        }
        guard let name = try? PlainFile.read("/proc/\(pid)/comm") else {
            guard kill(pid, 0) < 0, errno == ESRCH else {
                throw .cannotSignal(path: path, reason: "/proc/\(pid)/comm cannot be read")
            }
            return nil
        }
        guard String(decoding: name, as: UTF8.self).hasPrefix("pgbouncer") || isStartedByLoader(pid) else { return nil }
        guard kill(pid, 0) == 0 else {
            if errno == ESRCH { return nil }
            throw .cannotSignal(path: path, reason: SystemError.text(errno))
        }
        return pid
    }
}
