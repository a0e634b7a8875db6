// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import Platform
import Quotas
import Settings

/// The heartbeat of `pgweir guard` beside a file of limits: the guard writes it, and whoever sets limits reads it first.
enum GuardSign {
    /// Says that a guard looked just now.
    static func write(beside file: String, every: Int, reachable: Int, problem: String) throws(SettingsError) {
        let heartbeat = GuardHeartbeat(
            uptime: uptime,
            interval: Int64(every),
            reachable: reachable,
            problem: String(problem.map { $0.isNewline ? " " : $0 })
        )
        try TextFile.replace(GuardHeartbeat.path(beside: file), with: Array(heartbeat.text.utf8), mode: 0o644)
    }

    /// A guard that ends on purpose says so by leaving nothing.
    static func remove(beside file: String) { _ = unsafe unlink(GuardHeartbeat.path(beside: file)) }

    /// Why nobody would lift the limits in a file if this process died; `nil`: somebody would.
    static func absence(beside file: String, needed: Int, command: String) -> String? {
        let text = try? TextFile.read(GuardHeartbeat.path(beside: file), largest: 4096)
        return GuardHeartbeat.absence(in: text, uptime: uptime, needed: needed, command: command)
    }

    private static var uptime: Int64 { Int64(SystemClock.uptime()) }
}
