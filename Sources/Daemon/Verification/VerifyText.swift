// SPDX-License-Identifier: Apache-2.0
import Domain
public import Reports
public import Verification

/// A comparison for people.
public struct VerifyText {
    var style: TerminalStyle

    /// Text in a terminal's style.
    public init(style: TerminalStyle) { self.style = style }

    /// The lines of it, as UTF-8.
    public func render(_ comparison: Comparison, _ heading: String) -> [UInt8] {
        let version = comparison.serverVersion
        let utilities = comparison.countsUtilities ? "utility statements, too" : "no utility statements"
        var lines = [
            style.paint(heading, .bold),
            "  PostgreSQL \(version / 10_000).\(version % 10_000), pg_stat_statements.track = \(comparison.track.printable), "
                + "\(utilities); \(Quantity.significant(comparison.seconds)) s",
            "",
        ]
        guard !comparison.lines.isEmpty else {
            lines.append("  The server counted nothing in this time, and nothing was seen.")
            return Array((lines.joined(separator: "\n") + "\n").utf8)
        }
        let names = comparison.lines.map { "\($0.user)@\($0.database)".printable }
        let width = min(48, max(17, names.map(\.count).max() ?? 0))
        let titles = ["counted", "seen", "share", "utility", "seen", "share"]
        lines.append(row("User and database", width, titles))
        for (name, line) in zip(names, comparison.lines) {
            let cells = cells(line.queries) + cells(line.utilities)
            let text = row(name, width, cells)
            lines.append(line.isExplained ? text : style.paint(text, .red))
            lines += line.reasons.map { "      \($0.text)" }
            if !line.isExplained { lines.append("      " + style.paint("! not accounted for", .red)) }
        }
        let total = comparison.total
        lines += ["", "  " + verdict(comparison, total)]
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }

    private func verdict(_ comparison: Comparison, _ total: Comparison.Part) -> String {
        let share = comparison.seenRatio.map { VerificationFacts.percent($0) } ?? "nothing"
        let text =
            "seen: \(share) of \(Quantity.grouped(total.counted)) statements that clients sent, as the server counted"
        return comparison.isExplained
            ? text + "; all is accounted for." : text + "; see the lines with !, and Documentation/verify.md."
    }

    private func cells(_ part: Comparison.Part) -> [String] {
        let share = part.share.map { $0 > 1 ? "> 100 %" : VerificationFacts.percent($0) } ?? "–"
        return [Quantity.grouped(part.counted), Quantity.grouped(part.seen), share]
    }

    private func row(_ name: String, _ width: Int, _ cells: [String]) -> String {
        let columns = zip(cells, [11, 11, 9, 11, 11, 9]).map { Column.right($0, $1) }
        return "  " + Column.left(name, width) + columns.joined()
    }
}
