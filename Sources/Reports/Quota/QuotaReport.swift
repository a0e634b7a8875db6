// SPDX-License-Identifier: Apache-2.0
public import Domain
public import Metering
import Pipeline
public import Quotas

/// How the keeping of quotas stands as a whole.
public struct QuotaFacts: Sendable {
    /// The ledger, and how its store stands.
    public var store: String, condition: String
    /// This node, and whether it decides.
    public var node: String, isLeader: Bool
    /// What is wrong, with the remedy.
    public var problems: [String]
    /// Counters by name, in the order they are shown.
    public var values: [(name: String, value: UInt64)]

    /// Facts.
    public init(
        store: String,
        condition: String,
        node: String,
        isLeader: Bool,
        problems: [String],
        values: [(name: String, value: UInt64)]
    ) {
        (self.store, self.condition, self.node, self.isLeader) = (store, condition, node, isLeader)
        (self.problems, self.values) = (problems, values)
    }

    func write(_ json: inout JSONWriter) {
        json.field("store", store)
        json.field("store_condition", condition)
        json.field("node", node)
        json.field("decides", isLeader)
        json.array("problems") { json in for problem in problems { json.element(problem) } }
        for entry in values { json.field(named: entry.name, entry.value) }
    }

    /// For `pgweir status`.
    func lines(_ style: TerminalStyle) -> [String] {
        let shown = values.filter { ["users", "limited", "held", "waiting"].contains($0.name) }
            .filter { $0.value > 0 || $0.name == "users" }
            .map { "\($0.value) \($0.name)" }.joined(separator: ", ")
        return ["  quotas (\(store)\(isLeader ? "" : "; another node decides")): \(shown)"]
            + problems.map { "  \(style.paint("!", .red)) \($0)" }
    }
}

/// Users and their budgets, as `pgweir quota list` and `show` print them.
public struct QuotaReport {
    private let rows: [QuotaRow]
    private let facts: QuotaFacts
    private let now: Timestamp

    /// A report; the fullest budgets first.
    public init(_ rows: [QuotaRow], of facts: QuotaFacts, at now: Timestamp) {
        self.rows = rows.sorted { ($0.utilization, $1.title) > ($1.utilization, $0.title) }
        self.facts = facts
        self.now = now
    }

    /// One JSON object.
    public func json() -> [UInt8] {
        var json = JSONWriter(isIndented: true)
        json.object { json in
            json.field("time", now.rfc3339)
            json.object("ledger") { json in facts.write(&json) }
            json.array("users") { json in for row in rows { json.object { json in row.write(&json) } } }
        }
        json.newline()
        return json.bytes
    }

    /// For people.
    public func text(top: Int, style: TerminalStyle) -> [UInt8] {
        var lines = facts.problems.map { "\(style.paint("!", .red)) \($0)" }
        var table = TextTable([
            .text("user", least: 14), .text("tier", least: 6), .word("mode", rank: 2), .number("used"),
            .number("possible", rank: 3), .text("fullest", least: 7, rank: 1), .text("verdict", least: 24),
        ])
        for row in rows.prefix(top) {
            let fullest = row.standings.max { $0.low < $1.low }
            table.add([
                TextTable.Cell(row.title), TextTable.Cell(row.tier), TextTable.Cell(row.mode.rawValue),
                TextTable.Cell(Quantity.percent(row.utilization)),
                TextTable.Cell(Quantity.percent(row.utilizationHigh)),
                TextTable.Cell(fullest?.limit.window.title ?? "no limit"),
                TextTable.Cell(row.action, Self.color(row.rung)),
            ])
        }
        lines += table.lines(style, indent: 0)
        if rows.count > top { lines.append(style.paint("… \(rows.count - top) more (--top)", .dim)) }
        if rows.isEmpty { lines.append("nobody was active yet") }
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }

    static func color(_ rung: Verdict) -> TerminalStyle.Color {
        switch rung {
        case .ok: .green
        case .warning: .yellow
        case .limited: .red
        case .severe: .brightRed
        }
    }
}

/// The evidence behind one user's verdict, as `pgweir quota why` prints it.
public struct WhyReport {
    private let row: QuotaRow
    private let spends: [PatternSpend]
    private let history: [AuditEntry]
    private let now: Timestamp

    /// What is known of a user: how he stands, what he ran in this hour, what was done.
    public init(_ row: QuotaRow, spends: [PatternSpend], history: [AuditEntry], at now: Timestamp) {
        (self.row, self.spends, self.history, self.now) = (row, spends, history, now)
    }

    /// One JSON object.
    public func json() -> [UInt8] {
        var json = JSONWriter(isIndented: true)
        json.object { json in
            json.field("time", now.rfc3339)
            json.object("standing") { json in row.write(&json) }
            json.array("patterns") { json in
                for spend in spends {
                    json.object { json in
                        json.field("fingerprint", spend.fingerprint.description)
                        json.field("database", spend.database)
                        json.field("calls", spend.calls)
                        json.field("cost_units", CostUnits(micro: spend.cost))
                        json.field("text", text: spend.text)
                    }
                }
            }
            json.array("history") { json in for entry in history { json.element(entry.text(user: row.name)) } }
        }
        json.newline()
        return json.bytes
    }

    /// For people.
    public func text(style: TerminalStyle) -> [UInt8] {
        let since = row.since > 0 ? " since " + Self.time(row.since) : ""
        var lines = [
            style.paint(row.title.printable, .bold) + "  tier \(row.tier), mode \(row.mode.rawValue): "
                + style.paint(row.rung.rawValue, QuotaReport.color(row.rung)) + since + "; " + row.action
        ]
        if let override = row.override {
            lines.append(
                "  \(override.title) until \(Self.time(override.until)), by \(override.by): \(override.reason)"
                    .printable
            )
        }
        lines += ["", style.paint("Budgets", .bold)]
        for standing in row.standings {
            let resets = standing.resets > 0 ? ", comes back \(Self.time(standing.resets))" : ""
            lines.append(
                "  " + Column.left(standing.limit.window.title, 14)
                    + Column.right(Quantity.percent(standing.low), 8) + "  "
                    + Quantity.short(CostUnits(micro: standing.usage.low).units) + " of "
                    + Quantity.short(standing.limit.budget.units) + " units, possibly "
                    + Quantity.short(CostUnits(micro: standing.usage.high).units) + resets
            )
        }
        if row.standings.isEmpty { lines.append("  none: the tier has no limits, or nobody judges it") }
        lines += ["", style.paint("Patterns of this hour, on this node", .bold)]
        let total = max(1, spends.reduce(0) { $0 + max(0, $1.cost) })
        var table = TextTable([
            .number("share"), .number("units"), .number("calls"), .word("fingerprint"), .text("pattern", least: 24),
        ])
        for spend in spends.prefix(10) {
            table.add([
                TextTable.Cell(Quantity.percent(Double(spend.cost) / Double(total))),
                TextTable.Cell(Quantity.short(CostUnits(micro: spend.cost).units)),
                TextTable.Cell(Quantity.grouped(spend.calls)),
                TextTable.Cell(String(spend.fingerprint.description.prefix(8))),
                TextTable.Cell(String(decoding: spend.text, as: UTF8.self).replacing("\n", with: " ")),
            ])
        }
        if !spends.isEmpty { lines += table.lines(style) }
        if spends.isEmpty { lines.append("  none was seen") }
        lines += ["", style.paint("What was done", .bold)]
        lines += history.suffix(20).map { "  " + $0.text(user: row.name) }
        if history.isEmpty { lines.append("  nothing") }
        for entry in row.enforcement {
            let seen = entry.state.observed.map { ", \($0) connections seen" } ?? ""
            let reason = entry.state.reason.isEmpty ? "" : ": " + entry.state.reason
            lines.append("  now at \(entry.backend): \(entry.state.state.rawValue)\(seen)\(reason)".printable)
        }
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }

    private static func time(_ seconds: Int64) -> String {
        let (nanoseconds, isTooLate) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return isTooLate ? "never" : Timestamp(nanoseconds: nanoseconds).rfc3339
    }
}
