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
    let isFull: Bool

    /// A report of `result` with at most `top` lines a table.
    ///
    /// - Parameter isFull: patterns with their whole texts and all figures, a block for each.
    public init(
        _ result: ReplayResult,
        top: Int,
        by grouping: Grouping,
        style: TerminalStyle,
        isFull: Bool = false
    ) {
        self.result = result
        self.top = top
        self.grouping = grouping
        self.style = style
        self.isFull = isFull
    }

    /// UTF-8, ends with a line feed.
    public func render() -> [UInt8] {
        var lines = summary()
        lines += visibility()
        switch grouping {
        case .user: lines += users()
        case .pattern: break
        case .database, .client, .application: lines += groups()
        }
        lines += isFull ? patternBlocks() : patternTables()
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }

    func heading(_ text: String) -> String { style.paint(text, .bold) }

    /// What the capture holds.
    func summary() -> [String] {
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

    /// Where PostgreSQL may have been that was not read: ports that were not named, or connections on which nobody said so.
    private func elsewhere() -> [String] {
        let others = result.capture.otherPorts.ranked
        let spoken = others.filter(\.isPostgreSQL)
        guard spoken.isEmpty else {
            let list = spoken.map { "\($0.port)" }.joined(separator: ",")
            return warning(
                result.sessions.total == 0
                    ? "PostgreSQL is spoken on ports that were not named: did you mean --port \(list)?"
                    : "PostgreSQL is also spoken on ports that were not named (--port): \(list)"
            )
        }
        guard result.sessions.total == 0 else { return [] }
        func list(_ entries: [PortCensus.Entry]) -> String {
            entries.prefix(5).map { entry in
                "\(entry.port) (about \(Quantity.grouped(entry.count))\(entry.isTLS ? ", TLS" : ""))"
            }.joined(separator: ", ")
        }
        var notes: [String] = []
        if !others.isEmpty {
            notes += warning("no PostgreSQL on the ports that were named; packets went to ports \(list(others))")
        }
        let ports = result.ports.ranked
        if !ports.isEmpty {
            notes += warning(
                "no connection began with a start-up of PostgreSQL; connections to ports \(list(ports)): name the port with "
                    + "--port to read sessions that began before the capture"
            )
        }
        return notes
    }

    /// A line with a mark, or as many as it takes.
    private func warning(_ text: String) -> [String] {
        var lines = Paragraph.lines("    " + text, width: style.limit, indent: 4)
        if let first = lines.first { lines[0] = "  " + style.paint("!", .yellow) + first.dropFirst(3) }
        return lines
    }

    /// What could not be seen, and why; a clean capture says so in one line.
    func visibility() -> [String] {
        let (capture, tcp, sessions) = (result.capture, result.reassembly, result.sessions)
        var notes: [String] = []
        func note(_ count: UInt64, _ text: String) {
            if count > 0 { notes += warning("\(Quantity.grouped(count)) \(text)") }
        }
        if result.isCancelled { notes += warning("stopped before the end of the capture") }
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
            notes += Paragraph.lines("    ignored packets: \(list)", width: style.limit, indent: 6)
        }
        let unknown = result.principals[0].counts
        if unknown.cost > 0 {
            let units = Quantity.short(CostUnits(micro: unknown.cost).units)
            notes.append("    unattributed: \(Quantity.grouped(unknown.started)) statements, \(units) units, nobody's")
        }
        notes += elsewhere()
        if notes.isEmpty { notes = ["  " + style.paint("nothing lost, nothing hidden", .green)] }
        return notes
    }

    private func groups() -> [String] {
        let title =
            switch grouping {
            case .client: "Clients"
            case .application: "Applications"
            default: "Databases"
            }
        var table = TextTable([
            .text(grouping.rawValue, least: 24), .number("statements"), .number("errors"), .number("rows"),
            .number("time"), .number("cost"),
        ])
        let groups = result.groups(by: grouping)
        for group in groups.prefix(top) {
            let counts = group.counts
            table.add([
                TextTable.Cell(group.name ?? "–"), TextTable.Cell(Quantity.grouped(counts.started)),
                TextTable.Cell(Quantity.grouped(counts.errors)), TextTable.Cell(Quantity.short(Double(counts.rows))),
                TextTable.Cell(Quantity.duration(counts.duration)),
                TextTable.Cell(Quantity.short(CostUnits(micro: counts.cost).units)),
            ])
        }
        return ["", heading(title)] + table.lines(style) + more(groups.count)
    }

    /// How many lines a table leaves out.
    func more(_ count: Int) -> [String] {
        count > top ? [style.paint("  … \(count - top) more (--top)", .dim)] : []
    }
}
