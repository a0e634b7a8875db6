// SPDX-License-Identifier: Apache-2.0
import Domain
import Metering
import Pipeline
import Quotas

extension TextReport {
    /// Users with their budgets.
    func users() -> [String] {
        var lines = ["", heading("Users") + style.paint("  (share of the fullest budget)", .dim)]
        let bar = min(20, max(8, style.width / 6))
        let name = max(14, style.width - bar - 62)
        lines.append(
            style.paint(
                "  " + Column.left("user@database", name) + Column.right("statements", 11) + Column.right("errors", 8)
                    + Column.right("time", 10) + Column.right("cost", 9) + "  " + Column.left("budget", bar + 8)
                    + "tier, verdict",
                .dim
            )
        )
        let groups = result.groups(by: .user)
        for group in groups.prefix(top) { lines.append(line(group, name, bar)) }
        if groups.count > top { lines.append(style.paint("  … \(groups.count - top) more (--top)", .dim)) }
        if groups.isEmpty { lines.append("  no login was seen") }
        return lines
    }

    private func line(_ group: Group, _ name: Int, _ bar: Int) -> String {
        let counts = group.counts
        let known = group.user.flatMap { result.standings[$0] }
        let share = known?.standing.utilization ?? 0
        let verdict = known?.standing.verdict ?? .ok
        let filled = min(bar, Int((share * Double(bar)).rounded()))
        let gauge = String(repeating: "█", count: filled) + String(repeating: "·", count: bar - filled)
        return "  " + Column.left("\(group.user ?? "–")@\(group.database ?? "–")", name)
            + Column.right(Quantity.grouped(counts.started), 11)
            + Column.right(Quantity.grouped(counts.errors), 8)
            + Column.right(Quantity.duration(counts.duration), 10)
            + Column.right(Quantity.short(CostUnits(micro: counts.cost).units), 9)
            + "  " + style.paint(gauge, color(verdict)) + Column.right(Quantity.percent(share), 7) + " "
            + (known?.tier?.name ?? "unlimited") + ", " + style.paint(text(verdict), color(verdict))
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
    private func assumption() -> [String] {
        let (assumed, all) = (result.assumedPrices, result.totals.started)
        guard assumed > 0 else { return [] }
        let whose = assumed >= all ? "Prices" : "Prices of \(Quantity.grouped(assumed)) statements"
        return ["", style.paint("\(whose) are assumed: neither a planner nor a price list told them", .dim)]
    }

    private func table(_ title: String, _ patterns: [PatternUsage]) -> [String] {
        guard !patterns.isEmpty else { return [] }
        let total = Double(max(1, patterns.reduce(0) { $0 &+ max(0, $1.cost.micro) }))
        var lines = ["", heading(title)]
        let header = ["cost", "share", "calls", "errors", "total", "p50", "p95", "p99"]
        let widths = [9, 7, 9, 7, 9, 9, 9, 9]
        lines.append(style.paint(" " + zip(header, widths).map { Column.right($0, $1) }.joined() + "  pattern", .dim))
        for pattern in patterns.prefix(top) {
            let times = pattern.durations
            let cells = [
                Quantity.short(pattern.cost.units), Quantity.percent(Double(pattern.cost.micro) / total),
                Quantity.short(Double(pattern.calls)), Quantity.short(Double(pattern.errors)),
                Quantity.duration(times.sum), Quantity.duration(times.percentile(0.5)),
                Quantity.duration(times.percentile(0.95)), Quantity.duration(times.percentile(0.99)),
            ]
            let numbers = " " + zip(cells, widths).map { Column.right($0, $1) }.joined() + "  "
            let text = pattern.text.isEmpty ? "(text not seen)" : String(decoding: pattern.text, as: UTF8.self)
            let database = pattern.database.map { "[\($0)] " } ?? ""
            lines.append(numbers + Column.fit(database + text, max(24, style.width - 72)))
        }
        return lines
    }
}
