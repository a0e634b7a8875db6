// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What is kept of a plan that `EXPLAIN (VERBOSE, FORMAT JSON)` gave.
public struct Plan: Sendable, Equatable, Codable {
    /// The root's total cost, in planner units.
    public var cost: Double
    /// Rows that the planner expects to be returned, or written.
    public var rows: Double
    /// Expected bytes of a row.
    public var width: Int
    /// The tables it reads or writes, as `schema.table`, partitions included, in order.
    public var tables: [String]
    /// The kinds of its nodes from the root down, such as `Limit > Index Scan`.
    public var shape: String

    /// A longer plan is not read, in bytes.
    static let longest = 8 << 20

    /// Reads the JSON; `nil` for anything else.
    public init?(json: String) {
        guard json.utf8.count <= Self.longest,
            let value = try? JSONSerialization.jsonObject(with: Data(json.utf8)) as? [[String: Any]],
            let root = value.first?["Plan"] as? [String: Any], let cost = Self.number(root["Total Cost"]), cost.isFinite
        else { return nil }
        self.cost = max(0, cost)
        var counted = root
        // A ModifyTable is said to give no rows: what it writes comes from below.
        if root["Node Type"] as? String == "ModifyTable", let first = (root["Plans"] as? [[String: Any]])?.first {
            counted = first
        }
        rows = max(0, Self.number(counted["Plan Rows"]) ?? 0)
        width = Int(exactly: (Self.number(counted["Plan Width"]) ?? 0).rounded()) ?? 0
        var found: Set<String> = []
        var kinds: [String] = []
        Self.walk(root, depth: 0, &found, &kinds)
        tables = found.sorted()
        shape = kinds.joined(separator: " > ")
    }

    private static func walk(_ node: [String: Any], depth: Int, _ tables: inout Set<String>, _ kinds: inout [String]) {
        if let name = node["Relation Name"] as? String {
            tables.insert(((node["Schema"] as? String).map { $0 + "." } ?? "") + name)
        }
        if kinds.count < 12, let kind = node["Node Type"] as? String { kinds.append(kind) }
        for child in node["Plans"] as? [[String: Any]] ?? [] { walk(child, depth: depth + 1, &tables, &kinds) }
    }

    private static func number(_ value: Any?) -> Double? {
        switch value {
        case let number as Double: number
        case let number as Int: Double(number)
        case let number as NSNumber: number.doubleValue
        default: nil
        }
    }
}
