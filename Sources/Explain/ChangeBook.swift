// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Fingerprints

/// Which prices to ask for again because a table changed, and when.
///
/// A change is told when its transaction has committed; the replica replays it later. So its patterns are asked for again
/// after 2 s, and once more after 30 s and 120 s; what comes later is found by the hourly refresh.
struct ChangeBook {
    private var byTable: [String: Set<Fingerprint>] = [:]
    private var byDatabase: [String: Set<Fingerprint>] = [:]
    private var pending: [(due: Int64, table: String)] = []
    private var lastNoted: [String: Int64] = [:]

    private static let delays: [Int64] = [2_000_000_000, 30_000_000_000, 120_000_000_000]
    /// A table that changes all the time is noticed so often, ns.
    private static let debounce: Int64 = 30_000_000_000
    private static let most = 100_000

    /// A price depends on its tables.
    mutating func index(_ price: StoredPrice) {
        guard byTable.count < Self.most else { return }
        byDatabase[price.database, default: []].insert(price.key)
        for table in price.tables {
            byTable[Self.place(price.database, Self.last(table)), default: []].insert(price.key)
        }
    }

    /// A price is known no longer, or has other tables now.
    mutating func remove(_ price: StoredPrice) {
        Self.remove(price.key, from: &byDatabase, price.database)
        for table in price.tables {
            Self.remove(price.key, from: &byTable, Self.place(price.database, Self.last(table)))
        }
    }

    private static func remove(_ key: Fingerprint, from index: inout [String: Set<Fingerprint>], _ name: String) {
        index[name]?.remove(key)
        if index[name]?.isEmpty == true { index[name] = nil }
    }

    var isEmpty: Bool { byTable.isEmpty && byDatabase.isEmpty }

    /// Something changed tables that the text names, or all of a database.
    mutating func note(_ change: PlanChange, at time: Int64) {
        let words = LexicalTokens.scan(change.pattern).filter { $0.kind == .word || $0.kind == .quoted }.map { token in
            Self.unquoted(String(decoding: change.pattern[token.range], as: UTF8.self))
        }
        guard let verb = words.first else { return }
        let tables = words.dropFirst().map { Self.place(change.database, $0) }.filter { byTable[$0] != nil }
        if tables.isEmpty, ["analyze", "vacuum", "drop", "reindex"].contains(verb) {
            schedule(Self.place(change.database, ""), at: time)
        }
        for table in Set(tables) { schedule(table, at: time) }
    }

    /// A table's size changed, as `schema.table`.
    mutating func note(table: String, of database: String, at time: Int64) {
        schedule(Self.place(database, Self.last(table)), at: time)
    }

    private mutating func schedule(_ table: String, at time: Int64) {
        if let last = lastNoted[table], time &- last < Self.debounce { return }
        if lastNoted.count > Self.most { lastNoted = [:] }
        lastNoted[table] = time
        for delay in Self.delays { pending.append((time &+ delay, table)) }
    }

    /// The prices whose time has come.
    mutating func due(at time: Int64) -> Set<Fingerprint> {
        guard pending.contains(where: { $0.due <= time }) else { return [] }
        var keys: Set<Fingerprint> = []
        for entry in pending where entry.due <= time {
            if entry.table.hasSuffix("\u{0}") {
                keys.formUnion(byDatabase[String(entry.table.dropLast())] ?? [])
            } else {
                keys.formUnion(byTable[entry.table] ?? [])
            }
        }
        pending.removeAll { $0.due <= time }
        return keys
    }

    private static func place(_ database: String, _ table: String) -> String { "\(database)\u{0}\(table)" }

    private static func last(_ table: String) -> String {
        table.split(separator: ".").last.map(String.init) ?? table
    }

    private static func unquoted(_ name: String) -> String {
        name.hasPrefix("\"") ? String(name.dropFirst().dropLast()).replacing("\"\"", with: "\"") : name.lowercased()
    }
}
