// SPDX-License-Identifier: Apache-2.0
import Domain
import Metering
import Packets
public import Pipeline
import PostgresWire
import Quotas

/// The report for people: what the capture held, who used how much of which budget, and the patterns that cost most.
public struct TextReport {
    let result: ReplayResult
    let top: Int
    let grouping: Grouping
    let style: TerminalStyle

    /// A report of `result` with at most `top` lines a table.
    public init(_ result: ReplayResult, top: Int, by grouping: Grouping, style: TerminalStyle) {
        self.result = result
        self.top = top
        self.grouping = grouping
        self.style = style
    }

    /// UTF-8, ends with a line feed.
    public func render() -> [UInt8] {
        var lines = summary()
        lines += visibility()
        switch grouping {
        case .user: lines += users()
        case .pattern: break
        case .database, .client: lines += groups()
        }
        lines += patternTables()
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }

    func heading(_ text: String) -> String { style.paint(text, .bold) }

    private func summary() -> [String] {
        let capture = result.capture
        let totals = result.totals
        let sessions = result.sessions
        var lines = [heading("Capture")]
        if capture.packets > 0 {
            let span = UInt64(capture.last.nanoseconds(since: capture.first))
            lines.append("  \(capture.first.rfc3339) – \(capture.last.rfc3339)  (\(Quantity.duration(span)))")
        }
        lines.append(
            "  \(Quantity.grouped(capture.packets)) packets, \(Quantity.bytes(capture.bytes)), "
                + "\(Quantity.grouped(result.reassembly.flows)) connections, "
                + "\(Quantity.grouped(sessions.total)) PostgreSQL sessions"
        )
        lines.append(
            "  \(Quantity.grouped(totals.started)) statements: \(Quantity.grouped(totals.completed)) completed, "
                + "\(Quantity.grouped(totals.failed)) failed, \(Quantity.grouped(totals.uncertain)) uncertain; "
                + "\(Quantity.grouped(totals.skipped)) more never ran"
        )
        return lines
    }

    /// What could not be seen, and why; a clean capture says so in one line.
    private func visibility() -> [String] {
        let (capture, tcp, sessions) = (result.capture, result.reassembly, result.sessions)
        var notes: [String] = []
        func note(_ count: UInt64, _ text: String) {
            if count > 0 { notes.append("  \(style.paint("!", .yellow)) \(Quantity.grouped(count)) \(text)") }
        }
        if result.isCancelled { notes.append("  \(style.paint("!", .yellow)) stopped before the end of the capture") }
        note(capture.cutFiles, "file(s) end in the middle of a packet: the last packet is not counted")
        note(capture.damagedFiles, "file(s) are damaged: nothing behind the damage was read")
        note(capture.kernelDropped, "packets dropped by the kernel: give the tap a larger buffer, or more workers")
        note(capture.interfaceDropped, "packets dropped by the interface or its driver")
        note(
            capture.relayDroppedRecords,
            "reads forwarded by the relay without a copy, \(Quantity.bytes(capture.relayDroppedBytes)): give it a larger --ring"
        )
        note(capture.shedSegments, "segments left out under overload, whole connections at a time: add workers")
        note(capture.clockSteps, "times the clock was set: hours and durations around that may be off")
        note(tcp.gaps, "gaps in streams, \(Quantity.bytes(tcp.gapBytes)) lost: costs are given as low–high")
        note(capture.truncatedPackets, "packets cut by the snap length: capture with -s 0")
        note(
            capture.shortenedPackets,
            "packets of long responses cut under overload, \(Quantity.bytes(capture.shortenedBytes)): add workers"
        )
        note(sessions.encrypted, "sessions encrypted: capture behind the TLS end, such as between pooler and server")
        note(sessions.pooled, "connections of poolers to servers were passed over: their clients are counted")
        note(result.otherServers, "sessions with servers that are not named (--server): not read, nobody pays for them")
        note(sessions.midstream, "sessions began before the capture: their users are not known")
        note(sessions.lostSync, "times the protocol was lost, \(sessions.resynchronized) times found again")
        note(sessions.orphanAnswers, "answers to statements that were not seen")
        note(sessions.authFailed, "logins refused")
        note(sessions.notPostgreSQL, "connections that did not speak PostgreSQL: what they carried is in no count")
        note(tcp.evicted + tcp.overBudget, "segments or flows given up for lack of memory")
        note(result.patternEvictions, "patterns were added up with others of their user, to make room")
        note(result.patternOverflow, "statements found no room for their pattern: they count with others of their user")
        note(result.forgottenUsers, "users were not seen for long: what they did counts as unattributed")
        let ignored = capture.ignoredByReason.filter { $0.reason != .otherPort && $0.reason != .filtered }
        if !ignored.isEmpty {
            let list = ignored.map { "\($0.reason.name) \(Quantity.grouped($0.count))" }.joined(separator: ", ")
            notes.append("    ignored packets: \(list)")
        }
        let unknown = result.principals[0].counts
        if unknown.cost > 0 {
            let units = Quantity.short(CostUnits(micro: unknown.cost).units)
            notes.append("    unattributed: \(Quantity.grouped(unknown.started)) statements, \(units) units, nobody's")
        }
        if notes.isEmpty { notes = ["  " + style.paint("nothing lost, nothing hidden", .green)] }
        return notes
    }

    private func groups() -> [String] {
        let title = grouping == .database ? "Databases" : "Clients"
        let name = max(16, style.width - 60)
        var lines = ["", heading(title)]
        lines.append(
            style.paint(
                "  " + Column.left(grouping.rawValue, name)
                    + ["statements", "errors", "rows", "time", "cost"].map { Column.right($0, 11) }.joined(),
                .dim
            )
        )
        for group in result.groups(by: grouping).prefix(top) {
            let counts = group.counts
            lines.append(
                "  " + Column.left((grouping == .database ? group.database : group.client) ?? "–", name)
                    + Column.right(Quantity.grouped(counts.started), 11)
                    + Column.right(Quantity.grouped(counts.errors), 11)
                    + Column.right(Quantity.short(Double(counts.rows)), 11)
                    + Column.right(Quantity.duration(counts.duration), 11)
                    + Column.right(Quantity.short(CostUnits(micro: counts.cost).units), 11)
            )
        }
        return lines
    }
}
