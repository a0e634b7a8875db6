// SPDX-License-Identifier: Apache-2.0

/// What `pgweir guard` writes beside a file of limits each time that it has looked: that somebody would lift them.
///
/// Whoever sets limits reads it first. Without it a daemon that is killed would leave its limits for ever, because neither
/// PgBouncer nor PostgreSQL ends them.
public struct GuardHeartbeat: Sendable, Hashable {
    /// When it was written: seconds since the machine started (CLOCK_BOOTTIME), a clock that nobody sets.
    public var uptime: Int64
    /// How often the guard looks, in seconds.
    public var interval: Int64
    /// PgBouncer processes that it could tell to load their files again, as of this look.
    public var reachable: Int
    /// Why it could not lift limits now; empty: it could.
    public var problem: String

    /// A heartbeat.
    public init(uptime: Int64, interval: Int64, reachable: Int, problem: String = "") {
        (self.uptime, self.interval, self.reachable, self.problem) = (uptime, interval, reachable, problem)
    }

    /// Where the heartbeat of the guard of `file` is: beside it, so that it also shows that the folder can be written.
    public static func path(beside file: String) -> String { file + ".guard" }

    /// The whole file.
    public var text: String { "pgweir-guard 1 \(uptime) \(interval) \(reachable)\n\(problem)\n" }

    /// Reads ``text``; `nil` for any other text, and for one that was cut.
    public init?(text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let words = lines.first?.split(separator: " ") ?? []
        guard lines.count == 3, lines[2].isEmpty, words.count == 5, words[0] == "pgweir-guard", words[1] == "1",
            let uptime = Int64(words[2]), let interval = Int64(words[3]), let reachable = Int(words[4]),
            uptime >= 0, (1...3600).contains(interval), reachable >= 0
        else { return nil }
        self.init(uptime: uptime, interval: interval, reachable: reachable, problem: String(lines[1]))
    }

    /// Why limits would not be lifted if nobody renewed them; `nil`: they would.
    ///
    /// - Parameters:
    ///   - text: the content of the file; `nil`: there is none.
    ///   - uptime: what CLOCK_BOOTTIME says now, in seconds.
    ///   - needed: PgBouncer processes that limits are set at.
    ///   - command: how the guard is started, for the remedy.
    public static func absence(in text: String?, uptime: Int64, needed: Int, command: String) -> String? {
        let remedy = "start '\(command)' beside it"
        guard let text else { return "no guard would lift limits if this process died: \(remedy)" }
        guard let heartbeat = GuardHeartbeat(text: text) else {
            return "the guard's heartbeat makes no sense; is it of another version? Restart the guard"
        }
        // One look may be late; two are not. A start of the machine since then makes the uptime smaller.
        let (age, isOver) = uptime.subtractingReportingOverflow(heartbeat.uptime)
        guard !isOver, age >= 0, age <= 2 * heartbeat.interval + 5 else {
            return "the guard that would lift limits has not looked for \(max(0, age)) s: \(remedy)"
        }
        guard heartbeat.problem.isEmpty else { return "the guard could not lift limits: \(heartbeat.problem)" }
        guard heartbeat.reachable >= needed else {
            return "the guard could tell \(heartbeat.reachable) of \(needed) PgBouncers that limits are lifted: "
                + "name each one's pid file with --pgbouncer-pid, and run it as PgBouncer's user"
        }
        return nil
    }
}
