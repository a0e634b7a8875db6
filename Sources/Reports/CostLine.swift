// SPDX-License-Identifier: Apache-2.0
public import Costs
public import Domain

/// One price for people or programs, as the `pgweir cost` commands print it.
public enum CostLine {
    /// One JSON object and a line feed; with `details` also tables, shape and what was learned.
    public static func json(_ price: StoredPrice, details: Bool) -> [UInt8] {
        var json = JSONWriter()
        json.object { json in
            json.field("key", price.key.description)
            json.field("fingerprint", price.fingerprint.description)
            json.field("database", price.database)
            json.field("method", price.method.rawValue)
            json.field("cost_units", price.cost)
            json.field("charge_units", price.charge)
            json.field("multiplier", price.learned.multiplier, places: 3)
            json.field("confidence", price.method.confidence, places: 2)
            json.field("runs", price.learned.runs)
            json.field("priced", price.priced.nanoseconds == 0 ? nil : price.priced.rfc3339)
            if !price.failure.isEmpty { json.field("failure", price.failure) }
            if details {
                json.field("plan_rows", price.rows, places: 0)
                json.field("plan_width", price.width)
                json.field("shape", price.shape)
                json.field("server_version", price.version)
                json.field("previous_units", price.previous.map { Quantity.fixed($0.micro, places: 6) })
                json.array("former") { json in
                    for former in price.former {
                        json.object { json in
                            json.field("cost_units", former.cost)
                            json.field("until", former.until.rfc3339)
                        }
                    }
                }
                json.array("tables") { json in
                    for table in price.tables { json.element(table) }
                }
            }
            json.field("pattern", price.pattern)
        }
        json.newline()
        return json.bytes
    }

    /// The columns of ``text(_:now:)``.
    public static let heading = Array(
        "FINGERPRINT                       METHOD         COST   CHARGE  CONF    RUNS   AGE  DATABASE      PATTERN\n"
            .utf8
    )

    /// One line of a table.
    public static func text(_ price: StoredPrice, now: Timestamp, width: Int) -> [UInt8] {
        var line = price.fingerprint.description + "  "
        line += pad(price.method.rawValue, 8)
        line += right(Quantity.decimal(price.cost.units, 2), 10) + right(Quantity.decimal(price.charge.units, 2), 9)
        line += right(Quantity.decimal(price.method.confidence, 1), 6) + right("\(price.learned.runs)", 8)
        line += right(age(now.nanoseconds(since: price.priced)), 6) + "  " + pad(price.database, 12) + "  "
        line += price.pattern.replacing("\n", with: " ")
        // Names of databases and in patterns are what others wrote.
        line = line.printable
        if line.count > width { line = String(line.prefix(max(1, width - 1))) + "…" }
        return Array((line + "\n").utf8)
    }

    /// All that is known of one price, a line each.
    public static func page(_ price: StoredPrice, now: Timestamp) -> [UInt8] {
        var lines = [
            "pattern      \(price.pattern)",
            "fingerprint  \(price.fingerprint)",
            "key          \(price.key)",
            "database     \(price.database)",
            "method       \(price.method.rawValue), confidence \(Quantity.decimal(price.method.confidence, 1))",
            "cost         \(Quantity.decimal(price.cost.units, 2)) units, \(source(price.method))",
            "charge       \(Quantity.decimal(price.charge.units, 2)) units a run (multiplier "
                + "\(Quantity.decimal(price.learned.multiplier, 2)) from \(price.learned.runs) runs)",
            "priced       \(price.priced.rfc3339), \(age(now.nanoseconds(since: price.priced))) ago",
        ]
        for (index, former) in price.former.enumerated() {
            let label = index == 0 ? "before       " : "             "
            lines.append("\(label)\(Quantity.decimal(former.cost.units, 2)) units until \(former.until.rfc3339)")
        }
        if !price.failure.isEmpty { lines.append("failure      \(price.failure), \(price.failures) times in a row") }
        if price.version > 0 {
            lines.append("plan         \(price.shape)")
            lines.append("             \(Quantity.decimal(price.rows, 0)) rows of \(price.width) bytes")
            lines.append("tables       \(price.tables.joined(separator: ", "))")
            lines.append("server       PostgreSQL \(price.version / 10_000).\(price.version % 10_000)")
        }
        return Array(lines.map(\.printable).joined(separator: "\n").utf8) + [0x0A]
    }

    private static func source(_ method: PriceMethod) -> String {
        switch method {
        case .generic: "by the planner, for any values"
        case .literal: "by the planner, for one statement"
        case .utility: "for statements of its class"
        case .pinned: "set by hand"
        case .failed: "assumed"
        }
    }

    private static func age(_ nanoseconds: Int64) -> String {
        let seconds = max(0, nanoseconds / 1_000_000_000)
        if seconds < 120 { return "\(seconds)s" }
        if seconds < 7200 { return "\(seconds / 60)m" }
        return "\(seconds / 3600)h"
    }

    private static func pad(_ text: String, _ width: Int) -> String {
        text.count >= width ? text : text + String(repeating: " ", count: width - text.count)
    }

    private static func right(_ text: String, _ width: Int) -> String {
        text.count >= width ? " " + text : String(repeating: " ", count: width - text.count) + text
    }
}
