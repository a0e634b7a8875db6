// SPDX-License-Identifier: Apache-2.0
import Domain
import Metering
public import Pipeline
import Quotas

/// One table of a report for other programs, as RFC 4180 has it: a heading, a line each, CR LF.
///
/// Times are in seconds, costs in units with six places, both with a full stop. A text that a spreadsheet would take for a
/// formula has a `'` in front, as names and patterns are what clients made up.
public struct CSVReport {
    private let result: ReplayResult
    private let top: Int?
    private let grouping: Grouping

    /// The table that `grouping` names, with at most `top` lines; `nil`: all.
    public init(_ result: ReplayResult, top: Int?, by grouping: Grouping) {
        (self.result, self.top, self.grouping) = (result, top, grouping)
    }

    /// UTF-8.
    public func render() -> [UInt8] {
        let lines = grouping == .pattern ? patterns() : groups()
        return Array(lines.map { $0.map(Self.field).joined(separator: ",") + "\r\n" }.joined().utf8)
    }

    private func patterns() -> [[String]] {
        let heading = [
            "fingerprint", "database", "calls", "errors", "rows", "cost_units", "cost_units_low", "seconds",
            "p50_seconds", "p95_seconds", "p99_seconds", "longest_seconds", "pattern",
        ]
        return [heading]
            + result.patterns.prefix(top ?? .max).map { pattern in
                let times = pattern.durations
                let seconds = [
                    times.sum, times.percentile(0.5), times.percentile(0.95), times.percentile(0.99), times.longest,
                ]
                return [
                    pattern.fingerprint.description, pattern.database ?? "", "\(pattern.calls)", "\(pattern.errors)",
                    "\(pattern.rows)", Self.units(pattern.cost.micro), Self.units(pattern.costLow.micro),
                ] + seconds.map(Self.seconds) + [String(decoding: pattern.text, as: UTF8.self)]
            }
    }

    private func groups() -> [[String]] {
        let isByUser = grouping == .user
        let heading =
            (isByUser ? ["user", "database"] : [grouping.rawValue])
            + [
                "statements", "completed", "failed", "skipped", "uncertain", "errors", "rows", "seconds", "cost_units",
                "cost_units_low",
            ] + (isByUser ? ["tier", "utilization", "verdict"] : [])
        return [heading]
            + result.groups(by: grouping).prefix(top ?? .max).map { group in
                let counts = group.counts
                let numbers = [
                    counts.started, counts.completed, counts.failed, counts.skipped, counts.uncertain, counts.errors,
                    counts.rows,
                ]
                let names = isByUser ? [group.user ?? "", group.database ?? ""] : [group.name ?? ""]
                let known = group.user.flatMap { result.standings[$0] }
                let standing = [
                    known?.tier?.name ?? "", Quantity.decimal(known?.standing.utilization ?? 0, 6),
                    (known?.standing.verdict ?? .ok).rawValue,
                ]
                return names + numbers.map { "\($0)" }
                    + [Self.seconds(counts.duration), Self.units(counts.cost), Self.units(counts.costLow)]
                    + (isByUser ? standing : [])
            }
    }

    private static func seconds(_ nanoseconds: UInt64) -> String {
        Quantity.fixed(Int64(clamping: nanoseconds), places: 9)
    }

    private static func units(_ micro: Int64) -> String { Quantity.fixed(micro, places: 6) }

    /// A field, in quotation marks where it has to be.
    static func field(_ text: String) -> String {
        var text = text
        if let first = text.unicodeScalars.first, "=+-@\t\r".unicodeScalars.contains(first), Double(text) == nil {
            text = "'" + text
        }
        // By scalars: CR LF is one character.
        guard text.unicodeScalars.contains(where: { "\",\r\n".unicodeScalars.contains($0) }) else { return text }
        return "\"" + text.replacing("\"", with: "\"\"") + "\""
    }
}
