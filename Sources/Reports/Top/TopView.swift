// SPDX-License-Identifier: Apache-2.0
import Domain

/// The live view of `pgweir top`: what happened between two samples, as lines for a terminal.
public struct TopView: Sendable {
    /// What the table lists.
    public enum Table: String, CaseIterable, Sendable {
        case users, patterns, sessions
    }

    /// What it is sorted by, the most first.
    public enum Order: String, CaseIterable, Sendable {
        case cost, calls, time, budget
    }

    /// The table and its order, which keys change.
    public var table = Table.users, order = Order.cost
    private var earlier: (sample: TopSample, seconds: Double)?
    private var latest: (sample: TopSample, seconds: Double)?

    /// A view without samples.
    public init() {}

    /// Takes a sample that was made at `seconds` of a steady clock.
    public mutating func take(_ sample: TopSample, at seconds: Double) {
        // Less than nothing happened: it is another daemon, whose counts begin anew.
        if let latest, latest.sample.daemon.pid != sample.daemon.pid { self.latest = nil }
        earlier = latest
        latest = (sample, seconds)
    }

    /// What a key does; false when it means nothing here.
    public mutating func press(_ key: Character) -> Bool {
        switch key {
        case "1", "u": table = .users
        case "2", "p": table = .patterns
        case "3", "s": table = .sessions
        case "c": order = .cost
        case "n": order = .calls
        case "t": order = .time
        case "b": order = .budget
        case "\t": table = Table.allCases[(Table.allCases.firstIndex(of: table).map { $0 + 1 } ?? 0) % 3]
        default: return false
        }
        return true
    }

    /// The lines of a screen of `rows` lines.
    public func lines(rows: Int, style: TerminalStyle) -> [String] {
        guard let latest else { return ["waiting for the daemon …"] }
        var lines = head(latest.sample, style)
        let body: (heading: String, rows: [String]) =
            switch table {
            case .users: users(latest.sample, style)
            case .patterns: patterns(latest.sample, style)
            case .sessions: sessions(latest.sample, style)
            }
        lines.append("")
        lines.append(style.paint(body.heading, .bold))
        let room = max(1, rows - lines.count - 2)
        lines += body.rows.prefix(room)
        if body.rows.isEmpty { lines.append("  nothing yet") }
        lines += Array(repeating: "", count: max(0, rows - lines.count - 1))
        let help = " u users  p patterns  s sessions  │  sort: c cost  n calls  t time  b budget  │  q quit"
        lines.append(style.paint(Column.fit(help, style.width), .dim))
        return lines
    }

    // MARK: Rates

    private var seconds: Double {
        guard let earlier, let latest else { return 0 }
        return max(1e-3, latest.seconds - earlier.seconds)
    }

    /// By how much a number grew a second; 0 for the first sample.
    private func rate(_ now: Double, _ before: Double?) -> Double {
        seconds > 0 ? max(0, now - (before ?? 0)) / seconds : 0
    }

    private func head(_ sample: TopSample, _ style: TerminalStyle) -> [String] {
        let (report, before) = (sample.report, earlier?.sample.report)
        let queries = rate(Double(report.statements.total), before.map { Double($0.statements.total) })
        let bytes = rate(Double(report.capture.bytes), before.map { Double($0.capture.bytes) })
        let cpu = rate(
            report.performance.workerCpuSeconds.reduce(0, +),
            before.map { $0.performance.workerCpuSeconds.reduce(0, +) }
        )
        let busy = sample.openSessions.filter { $0.state == "active" }.count
        let dropped = report.capture.kernelDropped + report.capture.interfaceDropped
        var loss: [String] = []
        if dropped > 0 { loss.append("\(Quantity.grouped(dropped)) packets dropped") }
        if report.capture.gaps > 0 { loss.append("\(Quantity.grouped(report.capture.gaps)) gaps") }
        if sample.daemon.workersSilent > 0 { loss.append("\(sample.daemon.workersSilent) workers silent") }
        let nobody = rate(Double(report.unattributed.statements), before.map { Double($0.unattributed.statements) })
        if nobody > 0 { loss.append("\(Quantity.short(nobody)) queries/s nobody's (see --activity of 'pgweir run')") }
        if sample.daemon.unknownSessions > 0 { loss.append("\(sample.daemon.unknownSessions) sessions unknown") }
        return [
            style.paint("pgweir", .bold) + "  " + sample.daemon.interfaces.joined(separator: ", ")
                + "   \(Quantity.short(queries)) queries/s   \(Quantity.bytes(UInt64(max(0, bytes))))/s   "
                + "\(sample.openSessions.count) sessions, \(busy) busy   \(Quantity.percent(cpu)) of a core",
            loss.isEmpty
                ? style.paint("nothing lost", .green) : style.paint(loss.joined(separator: ", "), .yellow),
        ]
    }

    private func users(_ sample: TopSample, _ style: TerminalStyle) -> (heading: String, rows: [String]) {
        let before = Dictionary(
            (earlier?.sample.report.users ?? []).map { ($0.key, $0) },
            uniquingKeysWith: { first, _ in first }
        )
        var table = TextTable([
            .text("user@database", least: 14), .number("queries/s", usual: 7), .number("units/s", usual: 7),
            .number("busy", usual: 7),
            .number("errors", rank: 2, usual: 7), .number("queries", rank: 3, usual: 7),
            .number("units", rank: 1, usual: 7), .number("budget", usual: 7),
            .text("verdict", least: 8),
        ])
        struct Row {
            var user: TopSample.User
            var calls: Double
            var units: Double
            var busy: Double
        }
        let rows = sample.report.users.map { user in
            let old = before[user.key]
            return Row(
                user: user,
                calls: rate(Double(user.statements), old.map { Double($0.statements) }),
                units: rate(user.costUnits, old?.costUnits),
                busy: rate(user.durationSeconds, old?.durationSeconds)
            )
        }
        let sorted = rows.sorted { left, right in
            switch order {
            case .cost: (left.units, left.user.costUnits) > (right.units, right.user.costUnits)
            case .calls: (left.calls, left.user.statements) > (right.calls, right.user.statements)
            case .time: (left.busy, left.user.durationSeconds) > (right.busy, right.user.durationSeconds)
            case .budget: (left.user.utilization, left.units) > (right.user.utilization, right.units)
            }
        }
        for row in sorted {
            let user = row.user
            let cells = [
                user.key, Quantity.short(row.calls), Quantity.short(row.units), Quantity.short(row.busy),
                Quantity.short(Double(user.errors)), Quantity.short(Double(user.statements)),
                Quantity.short(user.costUnits), Quantity.percent(user.utilization),
            ]
            table.add(
                cells.map { TextTable.Cell($0) } + [TextTable.Cell(user.verdict, Self.color(user.verdict))]
            )
        }
        return table.parts(style)
    }

    private static func color(_ verdict: String) -> TerminalStyle.Color {
        switch verdict {
        case "ok": .green
        case "warning": .yellow
        default: .red
        }
    }

    private func patterns(_ sample: TopSample, _ style: TerminalStyle) -> (heading: String, rows: [String]) {
        let before = Dictionary(
            (earlier?.sample.report.patterns ?? []).map { ($0.key, $0) },
            uniquingKeysWith: { first, _ in first }
        )
        var table = TextTable([
            .number("calls/s", usual: 7), .number("units/s", usual: 7), .number("busy", usual: 7),
            .number("p50", rank: 2, usual: 7), .number("p99", usual: 7),
            .number("calls", rank: 1, usual: 7), .text("pattern", least: 24),
        ])
        struct Row {
            var pattern: TopSample.Pattern
            var calls: Double
            var units: Double
            var busy: Double
        }
        let rows = sample.report.patterns.map { pattern in
            let old = before[pattern.key]
            return Row(
                pattern: pattern,
                calls: rate(Double(pattern.calls), old.map { Double($0.calls) }),
                units: rate(pattern.costUnits, old?.costUnits),
                busy: rate(pattern.durationSeconds.sum, old?.durationSeconds.sum)
            )
        }
        let sorted = rows.sorted { left, right in
            switch order {
            case .cost, .budget: (left.units, left.pattern.costUnits) > (right.units, right.pattern.costUnits)
            case .calls: (left.calls, left.pattern.calls) > (right.calls, right.pattern.calls)
            case .time:
                (left.busy, left.pattern.durationSeconds.sum) > (right.busy, right.pattern.durationSeconds.sum)
            }
        }
        for row in sorted {
            let times = row.pattern.durationSeconds
            let text = (row.pattern.database.map { "[\($0)] " } ?? "") + (row.pattern.text ?? "(text not seen)")
            let cells = [
                Quantity.short(row.calls), Quantity.short(row.units), Quantity.short(row.busy),
                Quantity.duration(UInt64(max(0, times.p50 * 1e9))), Quantity.duration(UInt64(max(0, times.p99 * 1e9))),
                Quantity.short(Double(row.pattern.calls)), text,
            ]
            table.add(cells.map { TextTable.Cell($0) })
        }
        return table.parts(style)
    }

    private func sessions(_ sample: TopSample, _ style: TerminalStyle) -> (heading: String, rows: [String]) {
        var table = TextTable([
            .text("user@database", least: 14), .text("client", least: 15, rank: 1), .text("application", rank: 2),
            .text("state", least: 8), .number("for", usual: 7), .text("statement", least: 20),
        ])
        for session in sample.openSessions {
            let cells = [
                "\(session.user ?? "–")@\(session.database ?? "–")", session.client, session.application, session.state,
                Quantity.duration(UInt64(max(0, session.seconds * 1e9))), session.text ?? "",
            ]
            table.add(cells.map { TextTable.Cell($0) })
        }
        return table.parts(style)
    }
}
