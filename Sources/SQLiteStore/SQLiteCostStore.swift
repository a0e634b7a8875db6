// SPDX-License-Identifier: Apache-2.0
public import Costs
public import Domain
import GRDB
import Synchronization

/// Prices in an SQLite file: what holds where there is no Redis, across restarts.
///
/// Several processes may share the file (WAL); a damaged or foreign one is set aside, and a disk that is full costs the
/// price that could not be kept, no more.
public final class SQLiteCostStore: CostStore {
    private let file: SQLiteFile
    /// What it is, for people.
    public let name: String
    /// Prices beyond this are forgotten, the oldest first: when the file is opened, and now and then.
    private let mostPrices: Int
    private let stored = Atomic<Int>(0), claimed = Atomic<Int>(0)
    /// So many are stored, or claimed, between two looks.
    private static let pause = 1000

    /// Opens the file, or makes it.
    ///
    /// - Parameters:
    ///   - mostPrices: how many prices it keeps; a few more for a while.
    ///   - isPatient: where no file can be opened or made, operations fail until one can; else this throws.
    ///   - report: is told of files that are set aside or cannot be used.
    public init(
        path: String,
        mostPrices: Int = 200_000,
        isPatient: Bool = false,
        report: FileReport = .none
    ) throws(CostStoreError) {
        name = path
        self.mostPrices = mostPrices
        do {
            file = try SQLiteFile(path, Self.schema, report, isPatient: isPatient) { try Self.prune($0, mostPrices) }
        } catch {
            throw .unavailable(store: path, reason: "\(error)")
        }
    }

    private static let schema = SQLiteFile.Schema(
        steps: [
            (
                "1",
                { database in
                    try database.execute(
                        sql: """
                            CREATE TABLE price (key TEXT PRIMARY KEY, text TEXT NOT NULL, stored INTEGER NOT NULL) WITHOUT ROWID;
                            CREATE TABLE claim (key TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
                            """
                    )
                }
            ),
            (
                "2",
                { database in
                    try database.execute(sql: "CREATE TABLE epoch (name TEXT NOT NULL)")
                    try database.execute(
                        sql: "INSERT INTO epoch (name) VALUES (?)",
                        arguments: [SQLiteCostStore.newEpoch()]
                    )
                }
            ),
        ],
        probes: ["SELECT key, text, stored FROM price", "SELECT key, until FROM claim", "SELECT name FROM epoch"]
    )

    /// Forgets the oldest prices above `limit`, and claims that are over.
    private static func prune(_ database: Database, _ limit: Int) throws {
        let surplus = (try Int.fetchOne(database, sql: "SELECT COUNT(*) FROM price") ?? 0) - limit
        if surplus > 0 {
            try database.execute(
                sql: """
                    DELETE FROM price WHERE key IN (
                        SELECT key FROM price WHERE text NOT LIKE '_' || char(9) || 'pinned%' ORDER BY stored, key LIMIT ?)
                    """,
                arguments: [surplus]
            )
        }
        try forgetClaims(database)
    }

    /// Forgets claims that are over: a pattern that is never asked for again leaves one behind.
    private static func forgetClaims(_ database: Database) throws {
        try database.execute(sql: "DELETE FROM claim WHERE until <= unixepoch()")
    }

    /// The name that the file was given when it was made.
    public func epoch() throws(CostStoreError) -> String {
        try perform { database in try String.fetchOne(database, sql: "SELECT name FROM epoch") ?? "" }
    }

    /// The prices that are known among `keys`; a damaged one counts as unknown.
    public func prices(of keys: [Fingerprint]) throws(CostStoreError) -> [StoredPrice] {
        try perform { database in
            let statement = try database.cachedStatement(sql: "SELECT text FROM price WHERE key = ?")
            return try keys.compactMap { key in
                try String.fetchOne(statement, arguments: [key.description]).flatMap { StoredPrice(key: key, text: $0) }
            }
        }
    }

    /// Keeps prices, all or none.
    public func store(_ prices: [StoredPrice]) throws(CostStoreError) {
        try perform { database in
            let statement = try database.cachedStatement(
                sql: "INSERT OR REPLACE INTO price (key, text, stored) VALUES (?, ?, unixepoch())"
            )
            for price in prices { try statement.execute(arguments: [price.key.description, price.text]) }
            let before = stored.wrappingAdd(prices.count, ordering: .relaxed).oldValue
            if (before + prices.count) / Self.pause != before / Self.pause { try Self.prune(database, mostPrices) }
        }
    }

    /// Forgets prices.
    public func remove(_ keys: [Fingerprint]) throws(CostStoreError) {
        try perform { database in
            let statement = try database.cachedStatement(sql: "DELETE FROM price WHERE key = ?")
            for key in keys { try statement.execute(arguments: [key.description]) }
        }
    }

    /// All prices.
    public func scan(_ take: (StoredPrice) -> Bool) throws(CostStoreError) {
        let rows: [(String, String)] = try perform { database in
            try Row.fetchAll(database, sql: "SELECT key, text FROM price").map { row in
                (try row.decode(atIndex: 0), try row.decode(atIndex: 1))
            }
        }
        for (key, text) in rows {
            guard let key = Fingerprint(key), let price = StoredPrice(key: key, text: text) else { continue }
            guard take(price) else { return }
        }
    }

    /// Whether no other process asks for this price right now.
    public func claim(_ key: Fingerprint, seconds: Int) throws(CostStoreError) -> Bool {
        // Not only with prices: those of patterns that cannot be priced are never stored.
        let isDue = claimed.add(1, ordering: .relaxed).newValue % Self.pause == 0
        return try perform { database in
            if isDue { try Self.forgetClaims(database) }
            try database.execute(
                sql: """
                    INSERT INTO claim (key, until) VALUES (?, unixepoch() + ?)
                    ON CONFLICT (key) DO UPDATE SET until = excluded.until WHERE until <= unixepoch()
                    """,
                arguments: [key.description, seconds]
            )
            return database.changesCount > 0
        }
    }

    private func perform<Value>(_ body: (Database) throws -> Value) throws(CostStoreError) -> Value {
        do {
            return try file.perform(body)
        } catch {
            throw .unavailable(store: name, reason: "\(error)")
        }
    }
}
