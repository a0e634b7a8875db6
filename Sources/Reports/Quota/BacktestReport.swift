// SPDX-License-Identifier: Apache-2.0
import Domain
public import Quotas

/// Who would have been limited by one policy and by another, when and why.
public struct BacktestReport {
    private let old: Backtest, new: Backtest
    private let oldName: String, newName: String

    /// Compares two backtests of one capture.
    public init(old: Backtest, named oldName: String, new: Backtest, named newName: String) {
        (self.old, self.new, self.oldName, self.newName) = (old, new, oldName, newName)
    }

    private var pairs: [(old: Backtest.Outcome, new: Backtest.Outcome)] {
        let known = Dictionary(old.outcomes.map { ($0.user, $0) }, uniquingKeysWith: { first, _ in first })
        return new.outcomes.compactMap { outcome in known[outcome.user].map { ($0, outcome) } }
    }

    /// One JSON object.
    public func json() -> [UInt8] {
        var json = JSONWriter(isIndented: true)
        json.object { json in
            json.field("first", Self.time(new.first))
            json.field("last", Self.time(new.last))
            json.field("old", oldName)
            json.field("new", newName)
            json.array("users") { json in
                for pair in pairs {
                    json.object { json in
                        json.field("user", pair.new.user)
                        json.object("old") { json in Self.write(pair.old, &json) }
                        json.object("new") { json in Self.write(pair.new, &json) }
                    }
                }
            }
        }
        json.newline()
        return json.bytes
    }

    private static func write(_ outcome: Backtest.Outcome, _ json: inout JSONWriter) {
        json.field("tier", outcome.tier)
        json.field("worst", outcome.worst.rawValue)
        json.field("peak", outcome.peak, places: 6)
        json.field("limited_seconds", outcome.limited)
        json.field("severe_seconds", outcome.severe)
        json.array("changes") { json in
            for change in outcome.transitions {
                json.object { json in
                    json.field("time", time(change.time))
                    json.field("from", change.from.rawValue)
                    json.field("to", change.to.rawValue)
                    json.field("connections", change.after.map(String.init))
                    json.field("cause", change.cause.rawValue)
                    json.field("utilization", change.utilization, places: 6)
                    json.field("window", change.standing?.limit.window.title)
                }
            }
        }
    }

    /// For people.
    public func text(top: Int, style: TerminalStyle) -> [UInt8] {
        func count(_ test: Backtest) -> String {
            let limited = test.outcomes.count { $0.isLimited }
            let held = test.outcomes.count { !$0.isLimited && $0.worst >= .limited }
            return "\(limited) of them" + (held > 0 ? ", and held \(held) more for consent" : "")
        }
        var lines = [
            style.paint("Policy backtest", .bold) + "  \(Self.time(new.first)) to \(Self.time(new.last)), "
                + "\(new.outcomes.count) users",
            "  old: \(oldName) would have limited \(count(old))",
            "  new: \(newName) would have limited \(count(new))",
            "",
        ]
        let name = max(14, min(32, style.width - 78))
        var table = TextTable([
            .word(" "), .text("user", least: 14), .text("old tier", least: 8), .number("peak"),
            .text("limited for", least: 11), .text("new tier", least: 8), .number("peak"),
            .text("limited for", least: 11),
        ])
        let rows = pairs.sorted { left, right in
            let ranks = [left, right].map { max($0.old.peak, $0.new.peak) }
            return ranks[0] != ranks[1] ? ranks[0] > ranks[1] : left.new.user < right.new.user
        }
        for pair in rows.prefix(top) {
            let differs = pair.old.isLimited != pair.new.isLimited
            table.add(
                [TextTable.Cell(differs ? "≠" : "", .yellow), TextTable.Cell(pair.new.user)] + Self.cells(pair.old)
                    + Self.cells(pair.new)
            )
        }
        lines += table.lines(style, indent: 0)
        if rows.count > top { lines.append(style.paint("  … \(rows.count - top) more (--top)", .dim)) }
        lines += ["", style.paint("What the new policy would have done", .bold)]
        let changes = new.outcomes.flatMap { outcome in outcome.transitions.map { (outcome.user, $0) } }
            .sorted { $0.1.time != $1.1.time ? $0.1.time < $1.1.time : $0.0 < $1.0 }
        for (user, change) in changes.prefix(top * 4) {
            let left = change.after.map { ", at most \($0) connection\($0 == 1 ? "" : "s")" } ?? ""
            lines.append(
                "  \(Self.time(change.time))  \(Column.left(user, name))\(change.from.rawValue) → \(change.to.rawValue)\(left): "
                    + "\(change.cause.rawValue), \(Quantity.percent(change.utilization)) of the "
                    + (change.standing?.limit.window.title ?? "budget")
            )
        }
        if changes.count > top * 4 {
            lines.append(style.paint("  … \(changes.count - top * 4) more (--format json)", .dim))
        }
        if changes.isEmpty { lines.append("  nothing") }
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }

    private static func cells(_ outcome: Backtest.Outcome) -> [TextTable.Cell] {
        let seconds = outcome.limited + outcome.severe
        let held =
            seconds == 0
            ? outcome.worst >= .limited ? "held for consent" : "never"
            : Quantity.duration(UInt64(seconds) * 1_000_000_000)
        return [
            TextTable.Cell(outcome.tier), TextTable.Cell(Quantity.percent(outcome.peak)),
            TextTable.Cell(held, QuotaReport.color(outcome.worst)),
        ]
    }

    private static func time(_ seconds: Int64) -> String {
        Timestamp(nanoseconds: seconds.multipliedReportingOverflow(by: 1_000_000_000).partialValue).rfc3339
    }
}
