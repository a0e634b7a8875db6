// SPDX-License-Identifier: Apache-2.0
public import Dashboard
import Domain
public import Reports

/// A report of the history for a terminal.
public struct HistoryText {
    private let report: ReportModel
    private let style: TerminalStyle

    /// A report in a terminal's style.
    public init(_ report: ReportModel, style: TerminalStyle) {
        self.report = report
        self.style = style
    }

    /// The lines of it, as UTF-8.
    public func render() -> [UInt8] {
        var lines = [
            style.paint(report.title, .bold) + "  \(report.span)",
            "  \(Quantity.short(report.costUnits)) cost units (possibly \(Quantity.short(report.costUnitsHigh))), "
                + "\(Quantity.grouped(UInt64(clamping: report.calls))) statements, \(report.errors) failed, "
                + "\(time(report.seconds)) of server time",
        ]
        if !report.trend.isEmpty { lines += ["", "  " + trend()] }
        if !report.groups.isEmpty {
            var table = table(report.group, hasPercentile: false)
            for group in report.groups {
                let calls = Quantity.grouped(UInt64(clamping: group.statements))
                let cells = [
                    Quantity.short(group.costUnits), Quantity.percent(group.utilization), calls, time(group.seconds),
                    String(group.errors), group.name ?? (group.id.isEmpty ? "(nobody known)" : group.id),
                ]
                table.add(cells.map { TextTable.Cell($0) })
            }
            lines += [""] + table.lines(style)
        }
        if !report.patterns.isEmpty {
            var table = table("Pattern", hasPercentile: true)
            for pattern in report.patterns {
                let calls = Quantity.grouped(UInt64(clamping: pattern.calls))
                let cells = [
                    Quantity.short(pattern.costUnits), Quantity.percent(pattern.share), calls, time(pattern.seconds),
                    time(pattern.p95), String(pattern.errors),
                    (pattern.text ?? pattern.fingerprint).replacing("\n", with: " "),
                ]
                table.add(cells.map { TextTable.Cell($0) })
            }
            lines += [""] + table.lines(style)
        }
        if report.patterns.isEmpty { lines.append("  nothing in this span") }
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }

    private func table(_ what: String, hasPercentile: Bool) -> TextTable {
        TextTable(
            [.number("units"), .number("share"), .number("calls"), .number("time")]
                + (hasPercentile ? [.number("p95", rank: 1)] : []) + [
                    .number("errors", rank: 2), .text(what, least: 24),
                ]
        )
    }

    private func time(_ seconds: Double) -> String { Quantity.duration(seconds: seconds) }

    /// One character a step.
    private func trend() -> String {
        let levels = Array("▁▂▃▄▅▆▇█")
        let most = report.trend.map(\.costUnits).max() ?? 0
        let steps = Dictionary(report.trend.map { ($0.minute, $0.costUnits) }, uniquingKeysWith: +)
        let first = report.from / report.step * report.step
        let text = stride(from: first, to: report.to, by: Int64.Stride(report.step)).map { minute -> Character in
            guard let value = steps[minute], value > 0, most > 0 else { return " " }
            return levels[min(7, Int(value / most * 7.999))]
        }
        return String(text) + "  units by \(report.step) min"
    }
}
