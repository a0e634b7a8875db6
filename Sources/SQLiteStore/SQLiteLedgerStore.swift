// SPDX-License-Identifier: Apache-2.0
public import Domain
import GRDB
public import Quotas
import Synchronization

/// Totals in an SQLite file: what holds where there is no Redis, across restarts.
///
/// Several processes of one machine may share the file (WAL); each has a node name of its own.
public final class SQLiteLedgerStore: LedgerStore {
    private let file: SQLiteFile
    private let exchanges = Atomic<Int>(0)
    /// After so many exchanges what nobody needs is cleared away.
    private static let cleaning = 1000
    /// What it is, for people.
    public let name: String

    /// Opens the file, or makes it; ``SQLiteCostStore/init(path:isPatient:report:)`` tells of the parameters.
    public init(path: String, isPatient: Bool = false, report: FileReport = .none) throws(LedgerError) {
        name = path
        do {
            file = try SQLiteFile(path, Self.schema, report, isPatient: isPatient) { try Self.forget($0) }
        } catch {
            throw .unavailable(store: path, reason: "\(error)")
        }
    }

    /// Clears away what nobody needs any more; leases stay, as their tokens must grow.
    private static func forget(_ database: Database) throws {
        try database.execute(sql: "DELETE FROM register WHERE until <= unixepoch()")
        // Longer than any window looks back.
        try database.execute(sql: "DELETE FROM touched WHERE at <= unixepoch() - 3456000")
        try database.execute(sql: "DELETE FROM entry WHERE until <= unixepoch()")
    }

    private static let schema = SQLiteFile.Schema(
        steps: [
            (
                "1",
                { database in
                    try database.execute(
                        sql: """
                            CREATE TABLE register (
                                user TEXT NOT NULL, place TEXT NOT NULL, node TEXT NOT NULL,
                                low INTEGER NOT NULL, high INTEGER NOT NULL, until INTEGER NOT NULL,
                                PRIMARY KEY (user, place, node)) WITHOUT ROWID;
                            CREATE INDEX register_until ON register (until);
                            CREATE TABLE touched (user TEXT PRIMARY KEY, tier TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
                            CREATE INDEX touched_at ON touched (at);
                            CREATE TABLE lease (
                                name TEXT PRIMARY KEY, holder TEXT NOT NULL, until INTEGER NOT NULL,
                                token INTEGER NOT NULL) WITHOUT ROWID;
                            CREATE TABLE entry (
                                list TEXT NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL, until INTEGER NOT NULL,
                                PRIMARY KEY (list, name)) WITHOUT ROWID;
                            CREATE TABLE epoch (name TEXT NOT NULL);
                            INSERT INTO epoch (name) VALUES (hex(randomblob(8)));
                            """
                    )
                }
            )
        ],
        probes: [
            "SELECT user, place, node, low, high, until FROM register", "SELECT user, tier, at FROM touched",
            "SELECT name, holder, until, token FROM lease", "SELECT list, name, text, until FROM entry",
            "SELECT name FROM epoch",
        ]
    )

    /// None: it is on the same machine.
    public func time() throws(LedgerError) -> Timestamp? { nil }

    /// The name that the file was given when it was made.
    public func epoch() throws(LedgerError) -> String {
        try perform { database in try String.fetchOne(database, sql: "SELECT name FROM epoch") ?? "" }
    }

    /// Stores own totals and reads what is there, all or none.
    public func exchange(_ writes: [RegisterWrite], of node: String) throws(LedgerError) -> [RegisterReading] {
        let isDue = exchanges.add(1, ordering: .relaxed).newValue % Self.cleaning == 0
        return try perform { database in
            try Self.set(writes, as: node, database)
            if isDue { try Self.forget(database) }
            return try Self.read(writes.map(\.key), node, database)
        }
    }

    /// Reads registers.
    public func read(_ keys: [RegisterKey], of node: String) throws(LedgerError) -> [RegisterReading] {
        try perform { database in try Self.read(keys, node, database) }
    }

    /// Sets what is added to everybody's totals.
    public func correct(_ writes: [RegisterWrite]) throws(LedgerError) {
        try perform { database in try Self.set(writes, as: MemoryLedgerStore.correction, database) }
    }

    /// Rows that go with one statement: the parameters of a statement are at most 32,766.
    private static let batch = 500

    private static func set(_ writes: [RegisterWrite], as node: String, _ database: Database) throws {
        for start in stride(from: 0, to: writes.count, by: batch) {
            let part = writes[start..<min(start + batch, writes.count)]
            let rows = Array(repeating: "(?, ?, ?, ?, ?, ?)", count: part.count).joined(separator: ", ")
            let statement = try database.cachedStatement(
                sql: "INSERT OR REPLACE INTO register (user, place, node, low, high, until) VALUES \(rows)"
            )
            var values: [(any DatabaseValueConvertible)?] = []
            values.reserveCapacity(part.count * 6)
            for write in part {
                values.append(write.key.user.description)
                values.append(write.key.place)
                values.append(node)
                values.append(write.total.low)
                values.append(write.total.high)
                values.append(write.key.forgotten)
            }
            try statement.execute(arguments: StatementArguments(values))
        }
    }

    private static func read(_ keys: [RegisterKey], _ node: String, _ database: Database) throws -> [RegisterReading] {
        var readings = Array(repeating: RegisterReading(), count: keys.count)
        for start in stride(from: 0, to: keys.count, by: batch) {
            let part = keys[start..<min(start + batch, keys.count)]
            let pairs = part.indices.map { "(\($0 - start), ?, ?)" }.joined(separator: ", ")
            let statement = try database.cachedStatement(
                sql: """
                    WITH wanted (number, user, place) AS (VALUES \(pairs))
                    SELECT number, node, low, high FROM wanted JOIN register USING (user, place)
                    """
            )
            var values: [(any DatabaseValueConvertible)?] = []
            values.reserveCapacity(part.count * 2)
            for key in part {
                values.append(key.user.description)
                values.append(key.place)
            }
            let rows = try Row.fetchCursor(statement, arguments: StatementArguments(values))
            while let row = try rows.next() {
                let place = start + (try row.decode(Int.self, atIndex: 0))
                let total = Usage(low: try row.decode(atIndex: 2), high: try row.decode(atIndex: 3))
                guard readings.indices.contains(place) else { continue }
                if try row.decode(String.self, atIndex: 1) == node {
                    readings[place].own = total
                } else {
                    readings[place].others += total
                }
            }
        }
        return readings
    }

    /// Says that users were active.
    public func touch(_ users: [ActiveUser], at seconds: Int64) throws(LedgerError) {
        try perform { database in
            let statement = try database.cachedStatement(
                sql: "INSERT OR REPLACE INTO touched (user, tier, at) VALUES (?, ?, ?)"
            )
            for active in users { try statement.execute(arguments: [active.user.description, active.tier, seconds]) }
        }
    }

    /// Users who were active since.
    public func touched(since seconds: Int64) throws(LedgerError) -> [ActiveUser] {
        try perform { database in
            try Row.fetchAll(database, sql: "SELECT user, tier FROM touched WHERE at >= ?", arguments: [seconds])
                .compactMap { row in
                    let tier = try row.decode(String.self, atIndex: 1)
                    return UserKey(try row.decode(String.self, atIndex: 0)).map { ActiveUser($0, tier: tier) }
                }
        }
    }

    /// Takes or renews a lease.
    public func lease(_ name: String, holder: String, seconds: Int64) throws(LedgerError) -> UInt64? {
        try perform { database in
            try database.execute(
                sql: """
                    INSERT INTO lease (name, holder, until, token) VALUES (?, ?, unixepoch() + ?, unixepoch())
                    ON CONFLICT (name) DO UPDATE SET
                        token = iif(holder = excluded.holder AND until > unixepoch(), token, max(token + 1, unixepoch())),
                        holder = excluded.holder, until = excluded.until
                    WHERE holder = excluded.holder OR until <= unixepoch()
                    """,
                arguments: [name, holder, seconds]
            )
            guard database.changesCount > 0 else { return nil }
            let token = try Int64.fetchOne(database, sql: "SELECT token FROM lease WHERE name = ?", arguments: [name])
            return token.map { UInt64(clamping: $0) }
        }
    }

    /// Gives a lease back.
    public func giveBack(_ name: String, holder: String) throws(LedgerError) {
        try perform { database in
            try database.execute(
                sql: "UPDATE lease SET until = 0 WHERE name = ? AND holder = ?",
                arguments: [name, holder]
            )
        }
    }

    /// Keeps a text for a time.
    public func put(_ name: String, _ text: String?, seconds: Int64) throws(LedgerError) {
        try set(text, in: "", as: name, seconds: seconds)
    }

    /// Publishes limits unless newer ones stand.
    public func publish(_ limits: PublishedLimits, seconds: Int64) throws(LedgerError) -> Bool {
        try perform { database in
            let standing = try String.fetchOne(
                database,
                sql: "SELECT text FROM entry WHERE list = '' AND name = ? AND until > unixepoch()",
                arguments: [PublishedLimits.name]
            )
            if let standing, limits.isOutdated(by: standing, seconds: seconds) { return false }
            try Self.set(limits.text, in: "", as: PublishedLimits.name, seconds: seconds, database)
            return true
        }
    }

    /// The text, if its time is not over.
    public func get(_ name: String) throws(LedgerError) -> String? {
        try perform { database in
            try String.fetchOne(
                database,
                sql: "SELECT text FROM entry WHERE list = '' AND name = ? AND until > unixepoch()",
                arguments: [name]
            )
        }
    }

    /// Keeps a text in a list.
    public func keep(_ text: String?, in list: String, as name: String) throws(LedgerError) {
        try set(text, in: "." + list, as: name, seconds: 1 << 40)
    }

    /// All texts of a list.
    public func all(in list: String) throws(LedgerError) -> [String: String] {
        try perform { database in
            let rows = try Row.fetchAll(
                database,
                sql: "SELECT name, text FROM entry WHERE list = ?",
                arguments: ["." + list]
            )
            return Dictionary(
                try rows.map { (try $0.decode(String.self, atIndex: 0), try $0.decode(String.self, atIndex: 1)) },
                uniquingKeysWith: { first, _ in first }
            )
        }
    }

    private func set(_ text: String?, in list: String, as name: String, seconds: Int64) throws(LedgerError) {
        try perform { database in
            guard let text else {
                return try database.execute(
                    sql: "DELETE FROM entry WHERE list = ? AND name = ?",
                    arguments: [list, name]
                )
            }
            try Self.set(text, in: list, as: name, seconds: seconds, database)
        }
    }

    private static func set(
        _ text: String,
        in list: String,
        as name: String,
        seconds: Int64,
        _ database: Database
    ) throws {
        try database.execute(
            sql: "INSERT OR REPLACE INTO entry (list, name, text, until) VALUES (?, ?, ?, unixepoch() + ?)",
            arguments: [list, name, text, seconds]
        )
    }

    private func perform<Value>(_ body: (Database) throws -> Value) throws(LedgerError) -> Value {
        do {
            return try file.perform(body)
        } catch {
            throw .unavailable(store: name, reason: "\(error)")
        }
    }
}
