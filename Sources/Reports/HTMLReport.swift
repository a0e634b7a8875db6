// SPDX-License-Identifier: Apache-2.0
import Domain
import Metering
public import Pipeline
import Quotas

/// The report as one HTML file.
///
/// Nothing is loaded from elsewhere, and no script runs. It is light or dark as the reader's system is.
public struct HTMLReport {
    private let result: ReplayResult
    private let top: Int
    private let grouping: Grouping

    /// A report of `result` with at most `top` lines a table.
    public init(_ result: ReplayResult, top: Int, by grouping: Grouping) {
        (self.result, self.top, self.grouping) = (result, top, grouping)
    }

    /// UTF-8, ends with a line feed.
    public func render() -> [UInt8] {
        let plain = TextReport(
            result,
            top: top,
            by: grouping,
            style: TerminalStyle(width: nil, isColored: false)
        )
        let facts = (plain.summary().dropFirst() + plain.visibility())
            .map { Self.escape($0.trimmingPrefix { $0 == " " }) }
        var body = "<h1>pgweir</h1>\n<ul>" + facts.map { "<li>\($0)</li>" }.joined() + "</ul>\n"
        if grouping != .pattern { body += groups() }
        let note = plain.assumption().filter { !$0.isEmpty }.map { "<p>\(Self.escape($0))</p>\n" }.joined()
        body += note + patterns()
        return Array((Self.head + body + "</body></html>\n").utf8)
    }

    private static let head = """
        <!DOCTYPE html>
        <html lang="en"><head><meta charset="utf-8"><title>pgweir</title>
        <meta name="viewport" content="width=device-width,initial-scale=1">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
        <style>
        :root { color-scheme: light dark; --line: #8885; --good: #2a7d2a; --warn: #a86400; --bad: #c0392b }
        @media (prefers-color-scheme: dark) { :root { --good: #6c6; --warn: #e0a030; --bad: #f07060 } }
        body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem auto; max-width: 90rem; padding: 0 1rem }
        h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
        .wide { overflow-x: auto } table { border-collapse: collapse; width: 100% }
        th, td { border-bottom: 1px solid var(--line); padding: .25rem .6rem; text-align: left; vertical-align: top }
        th { font-weight: 600 } .n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
        code { font: 13px/1.4 ui-monospace, monospace; overflow-wrap: anywhere }
        .ok { color: var(--good) } .warning { color: var(--warn) } .limited, .severe { color: var(--bad) }
        </style></head><body>

        """

    /// A column's title, and whether it holds numbers.
    private typealias Column = (title: String, isNumber: Bool)

    private func table(_ title: String, _ columns: [Column], _ rows: [[String]], of all: Int) -> String {
        guard !rows.isEmpty else { return "<h2>\(title)</h2>\n<p>none</p>\n" }
        var html = "<h2>\(title)</h2>\n<div class=\"wide\"><table><thead><tr>"
        let kinds = columns.map { $0.isNumber ? " class=\"n\"" : "" }
        for (column, kind) in zip(columns, kinds) { html += "<th scope=\"col\"\(kind)>\(column.title)</th>" }
        html += "</tr></thead><tbody>\n"
        for row in rows {
            html += "<tr>"
            for (kind, cell) in zip(kinds, row) { html += "<td\(kind)>\(cell)</td>" }
            html += "</tr>\n"
        }
        html += "</tbody></table></div>\n"
        return all > rows.count ? html + "<p>… \(all - rows.count) more (--top)</p>\n" : html
    }

    private func groups() -> String {
        let all = result.groups(by: grouping)
        let isByUser = grouping == .user
        let titles: [Grouping: String] = [.user: "Users", .database: "Databases", .client: "Clients"]
        var columns: [Column] = isByUser ? [("user", false), ("database", false)] : [(grouping.rawValue, false)]
        columns += ["statements", "errors", "rows", "time", "cost"].map { ($0, true) }
        if isByUser { columns += [("budget", true), ("tier", false), ("verdict", false)] }
        let rows = all.prefix(top).map { group -> [String] in
            let counts = group.counts
            let names = isByUser ? [group.user ?? "–", group.database ?? "–"] : [group.name ?? "–"]
            var cells = names.map(Self.escape)
            cells += [
                Quantity.grouped(counts.started), Quantity.grouped(counts.errors), Quantity.grouped(counts.rows),
                Quantity.duration(counts.duration), Quantity.short(CostUnits(micro: counts.cost).units),
            ]
            guard isByUser else { return cells }
            let known = group.user.flatMap { result.standings[$0] }
            let verdict = (known?.standing.verdict ?? .ok).rawValue
            return cells + [
                Quantity.percent(known?.standing.utilization ?? 0), Self.escape(known?.tier?.name ?? "unlimited"),
                "<span class=\"\(verdict)\">\(verdict)</span>",
            ]
        }
        return table(titles[grouping] ?? "Applications", columns, rows, of: all.count)
    }

    private func patterns() -> String {
        let total = Double(max(1, result.patterns.reduce(0) { $0 &+ max(0, $1.cost.micro) }))
        let columns: [Column] =
            ["cost", "share", "calls", "errors", "total", "p50", "p95", "p99"].map { ($0, true) } + [("pattern", false)]
        let rows = result.patterns.prefix(top).map { pattern -> [String] in
            let times = pattern.durations
            let text = pattern.text.isEmpty ? "(text not seen)" : String(decoding: pattern.text, as: UTF8.self)
            let database = pattern.database.map { Self.escape($0) + " · " } ?? ""
            return [
                Quantity.short(pattern.cost.units), Quantity.percent(Double(pattern.cost.micro) / total),
                Quantity.grouped(pattern.calls), Quantity.grouped(pattern.errors), Quantity.duration(times.sum),
                Quantity.duration(times.percentile(0.5)), Quantity.duration(times.percentile(0.95)),
                Quantity.duration(times.percentile(0.99)),
                "<code>\(Self.escape(text))</code><br><small>\(database)\(pattern.fingerprint)</small>",
            ]
        }
        return table("Patterns by cost", columns, rows, of: result.patterns.count)
    }

    /// Text as HTML shows it; what no browser should be given is `?`.
    private static func escape(_ text: some StringProtocol) -> String {
        String(text).printable.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;").replacing("'", with: "&#39;")
    }
}
