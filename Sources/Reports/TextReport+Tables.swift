// SPDX-License-Identifier: Apache-2.0
import Domain
import Metering
import Pipeline
import Quotas

extension TextReport {
    /// Users with their budgets.
    func users() -> [String] {
        let lines = ["", heading("Users") + style.paint("  (share of the fullest budget)", .dim)]
        let groups = result.groups(by: .user)
        if groups.isEmpty { return lines + ["  no login was seen"] }
        let bar = min(20, max(8, style.width / 6))
        var table = TextTable([
            .text("user@database", least: 16), .number("statements"), .number("errors"), .number("time"),
            .number("cost"), .word("", rank: 1), .number("budget"), .text("tier, verdict", least: 10),
        ])
        for group in groups.prefix(top) { table.add(cells(group, bar)) }
        return lines + table.lines(style) + more(groups.count)
    }

    private func cells(_ group: Group, _ bar: Int) -> [TextTable.Cell] {
        let counts = group.counts
        let known = group.user.flatMap { result.standings[$0] }
        let share = known?.standing.utilization ?? 0
        let verdict = known?.standing.verdict ?? .ok
        let filled = min(bar, Int((share * Double(bar)).rounded()))
        let gauge = String(repeating: "█", count: filled) + String(repeating: "·", count: bar - filled)
        return [
            TextTable.Cell("\(group.user ?? "–")@\(group.database ?? "–")"),
            TextTable.Cell(Quantity.grouped(counts.started)), TextTable.Cell(Quantity.grouped(counts.errors)),
            TextTable.Cell(Quantity.duration(counts.duration)),
            TextTable.Cell(Quantity.short(CostUnits(micro: counts.cost).units)),
            TextTable.Cell(gauge, color(verdict)), TextTable.Cell(Quantity.percent(share)),
            TextTable.Cell((known?.tier?.name ?? "unlimited") + ", " + text(verdict), color(verdict)),
        ]
    }

    private func color(_ verdict: Verdict) -> TerminalStyle.Color {
        switch verdict {
        case .ok: .green
        case .warning: .yellow
        case .limited: .red
        case .severe: .brightRed
        }
    }

    private func text(_ verdict: Verdict) -> String {
        guard let connections = LadderConnections().most(verdict) else { return verdict.rawValue }
        return "would keep \(connections) connection\(connections == 1 ? "" : "s")"
    }

    /// The patterns by cost, by time and by calls.
    func patternTables() -> [String] {
        let byTime = result.patterns.sorted { ($0.durations.sum, $0.calls) > ($1.durations.sum, $1.calls) }
        let byCalls = result.patterns.sorted { ($0.calls, $0.durations.sum) > ($1.calls, $1.durations.sum) }
        return assumption() + table("Patterns by cost", result.patterns) + table("Patterns by time", byTime)
            + table("Patterns by calls", byCalls)
    }

    /// Says so where costs rest on prices that nobody told.
    func assumption() -> [String] {
        let (assumed, all) = (result.assumedPrices, result.totals.started)
        guard assumed > 0 else { return [] }
        let whose = assumed >= all ? "Prices" : "Prices of \(Quantity.grouped(assumed)) statements"
        let text = "\(whose) are assumed: neither a planner nor a price list told them"
        return [""] + Paragraph.lines(text, width: style.limit, indent: 2).map { style.paint($0, .dim) }
    }

    private func table(_ title: String, _ patterns: [PatternUsage]) -> [String] {
        guard !patterns.isEmpty else { return [] }
        let total = Double(max(1, patterns.reduce(0) { $0 &+ max(0, $1.cost.micro) }))
        var table = TextTable([
            .number("cost"), .number("share", rank: 3), .number("calls"), .number("errors", rank: 4), .number("total"),
            .number("p50", rank: 5), .number("p95", rank: 2), .number("p99", rank: 6), .word("fingerprint"),
            .text("pattern", least: 24),
        ])
        for pattern in patterns.prefix(top) {
            let times = pattern.durations
            table.add(
                [
                    Quantity.short(pattern.cost.units), Quantity.percent(Double(pattern.cost.micro) / total),
                    Quantity.short(Double(pattern.calls)), Quantity.short(Double(pattern.errors)),
                    Quantity.duration(times.sum), Quantity.duration(times.percentile(0.5)),
                    Quantity.duration(times.percentile(0.95)), Quantity.duration(times.percentile(0.99)),
                    String(pattern.fingerprint.description.prefix(Self.shownDigits)), Self.text(pattern),
                ].map { TextTable.Cell($0) }
            )
        }
        return ["", heading(title)] + table.lines(style)
    }

    /// So many digits of a fingerprint tell patterns apart for people; `--full` and other forms tell all 32.
    private static var shownDigits: Int { 8 }

    private static func text(_ pattern: PatternUsage) -> String {
        let text = pattern.text.isEmpty ? "(text not seen)" : String(decoding: pattern.text, as: UTF8.self)
        return (pattern.database.map { "[\($0)] " } ?? "") + text
    }

    /// Each pattern by itself, most costly first: all that is known, and the whole text.
    func patternBlocks() -> [String] {
        let total = Double(max(1, result.patterns.reduce(0) { $0 &+ max(0, $1.cost.micro) }))
        var lines = assumption() + ["", heading("Patterns by cost")]
        for (index, pattern) in result.patterns.prefix(top).enumerated() {
            let times = pattern.durations
            lines.append(heading("-[ \(index + 1) ]- \(pattern.fingerprint)"))
            let figures = [
                ("database", pattern.database ?? "–"),
                ("cost", "\(interval(pattern)) units, \(Quantity.percent(Double(pattern.cost.micro) / total))"),
                ("calls", "\(Quantity.grouped(pattern.calls)), \(Quantity.grouped(pattern.errors)) failed"),
                ("rows", Quantity.grouped(pattern.rows)),
                (
                    "time",
                    "\(Quantity.duration(times.sum)); p50 \(Quantity.duration(times.percentile(0.5))), "
                        + "p95 \(Quantity.duration(times.percentile(0.95))), "
                        + "p99 \(Quantity.duration(times.percentile(0.99))), longest \(Quantity.duration(times.longest))"
                ),
                ("pattern", pattern.text.isEmpty ? "(text not seen)" : String(decoding: pattern.text, as: UTF8.self)),
            ]
            for (name, value) in figures { lines.append("  " + Column.left(name, 10) + value.printable) }
        }
        return lines + more(result.patterns.count)
    }

    /// What is proven, and what is possible where that is more.
    private func interval(_ pattern: PatternUsage) -> String {
        let (low, high) = (Quantity.short(pattern.costLow.units), Quantity.short(pattern.cost.units))
        return low == high ? high : "\(low)–\(high)"
    }
}
