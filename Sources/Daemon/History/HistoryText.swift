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
            lines += ["", head(report.group)]
            lines += report.groups.map { group in
                row(
                    group.costUnits,
                    group.utilization,
                    Int64(clamping: group.statements),
                    group.seconds,
                    "",
                    Int64(clamping: group.errors),
                    group.name ?? (group.id.isEmpty ? "(nobody known)" : group.id)
                )
            }
        }
        if !report.patterns.isEmpty {
            lines += ["", head("Pattern", "p95")]
            lines += report.patterns.map { pattern in
                row(
                    pattern.costUnits,
                    pattern.share,
                    pattern.calls,
                    pattern.seconds,
                    time(pattern.p95),
                    pattern.errors,
                    (pattern.text ?? pattern.fingerprint).replacing("\n", with: " ")
                )
            }
        }
        if report.patterns.isEmpty { lines.append("  nothing in this span") }
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }

    private func head(_ what: String, _ more: String = "") -> String {
        style.paint(
            Column.right("units", 10) + Column.right("share", 8) + Column.right("calls", 11) + Column.right("time", 10)
                + Column.right(more, more.isEmpty ? 0 : 10) + Column.right("errors", 8) + "  " + what,
            .dim
        )
    }

    private func row(
        _ units: Double,
        _ share: Double,
        _ calls: Int64,
        _ seconds: Double,
        _ more: String,
        _ errors: Int64,
        _ title: String
    ) -> String {
        let figures =
            Column.right(Quantity.short(units), 10) + Column.right(Quantity.percent(share), 8)
            + Column.right(Quantity.grouped(UInt64(clamping: calls)), 11) + Column.right(time(seconds), 10)
            + Column.right(more, more.isEmpty ? 0 : 10) + Column.right(String(errors), 8) + "  "
        return figures + Column.left(title, max(20, style.width - figures.count))
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
