// SPDX-License-Identifier: Apache-2.0
public import Analytics
import Domain
import GRDB

/// Minutes of who ran what, in an SQLite file that readers may open beside the daemon.
public final class MinuteHistory: HistoryStore {
    private let access: Access
    let path: String

    private enum Access: Sendable {
        /// The daemon's.
        case owner(SQLiteFile)
        case reader(DatabaseQueue)
    }

    /// Opens the file; makes it, for its owner alone, where it is not there and `isReader` is false.
    ///
    /// For the owner, ``SQLiteCostStore/init(path:isPatient:report:)`` tells of the other parameters.
    public init(
        path: String,
        isReader: Bool = false,
        isPatient: Bool = false,
        report: FileReport = .none
    ) throws(HistoryError) {
        self.path = path
        do {
            if isReader {
                guard SetAside.look(at: path) != .other else { throw FileProblem(reason: "it is no regular file") }
                var configuration = Configuration()
                configuration.readonly = true
                configuration.busyMode = .timeout(5)
                let queue = try DatabaseQueue(path: path, configuration: configuration)
                try queue.read { database in _ = try Row.fetchOne(database, sql: "SELECT 1 FROM minutes LIMIT 1") }
                access = .reader(queue)
            } else {
                access = .owner(try SQLiteFile(path, Self.plan, report, isPatient: isPatient))
            }
        } catch {
            throw HistoryError(path: path, reason: "\(error)")
        }
    }

    /// Runs `body` in a transaction.
    func perform<Result>(_ body: (Database) throws -> Result) throws(HistoryError) -> Result {
        do {
            switch access {
            case .owner(let file): return try file.perform(body)
            case .reader(let queue): return try queue.read(body)
            }
        } catch {
            throw HistoryError(path: path, reason: "\(error)")
        }
    }

    private static let plan = SQLiteFile.Schema(
        steps: [("1", { try $0.execute(sql: schema) })],
        probes: [
            "SELECT id, hash, name FROM users", "SELECT id, fingerprint, text FROM patterns",
            "SELECT id, name FROM bases",
            """
            SELECT minute, user, pattern, base, calls, errors, uncertain, rows, bytes, low, high, time, longest, durations
            FROM minutes
            """,
        ],
        isPrivate: true
    )

    private static let schema = """
        CREATE TABLE users (id INTEGER PRIMARY KEY, hash TEXT UNIQUE NOT NULL, name TEXT);
        CREATE TABLE patterns (id INTEGER PRIMARY KEY, fingerprint TEXT UNIQUE NOT NULL, text TEXT);
        CREATE TABLE bases (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);
        CREATE TABLE minutes (
            minute INTEGER NOT NULL, user INTEGER NOT NULL, pattern INTEGER NOT NULL, base INTEGER NOT NULL,
            calls INTEGER NOT NULL, errors INTEGER NOT NULL, uncertain INTEGER NOT NULL, rows INTEGER NOT NULL,
            bytes INTEGER NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL, time INTEGER NOT NULL,
            longest INTEGER NOT NULL, durations TEXT NOT NULL);
        CREATE INDEX minutes_minute ON minutes (minute);
        CREATE INDEX minutes_pattern ON minutes (pattern, minute);
        CREATE INDEX minutes_user ON minutes (user, minute);
        """

    /// Adds rows, all or none.
    public func append(_ rows: [HistoryRow]) throws(HistoryError) {
        guard !rows.isEmpty else { return }
        try perform { database in
            let insert = try database.cachedStatement(
                sql: """
                    INSERT INTO minutes (minute, user, pattern, base, calls, errors, uncertain, rows, bytes, low, high,
                        time, longest, durations)
                    VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)
                    """
            )
            var (users, patterns, bases): ([String: Int64], [Fingerprint: Int64], [String: Int64]) = ([:], [:], [:])
            for row in rows {
                let user = try users.value(for: row.user ?? "") {
                    try Self.number(database, "users", "hash", row.user ?? "", "name", row.name)
                }
                let pattern = try patterns.value(for: row.fingerprint) {
                    try Self.number(
                        database,
                        "patterns",
                        "fingerprint",
                        row.fingerprint.description,
                        "text",
                        row.text
                    )
                }
                let base = try bases.value(for: row.database ?? "") {
                    try Self.number(database, "bases", "name", row.database ?? "", nil, nil)
                }
                let sums = row.sums
                try insert.execute(arguments: [
                    row.minute, user, pattern, base, sums.calls, sums.errors, sums.uncertain, sums.rows, sums.bytes,
                    sums.low, sums.high, sums.time, sums.longest, row.durations,
                ])
            }
        }
    }

    /// The number of a text in a table, which is put there if it is new; `more` is brought up to date.
    private static func number(
        _ database: Database,
        _ table: String,
        _ column: String,
        _ text: String,
        _ extra: String?,
        _ more: String?
    ) throws -> Int64 {
        let find = try database.cachedStatement(sql: "SELECT id FROM \(table) WHERE \(column) = ?")
        if let known = try Int64.fetchOne(find, arguments: [text]) {
            if let extra, let more {
                let set = "UPDATE \(table) SET \(extra) = ?1 WHERE id = ?2 AND \(extra) IS NOT ?1"
                try database.cachedStatement(sql: set).execute(arguments: [more, known])
            }
            return known
        }
        if let extra {
            let insert = "INSERT INTO \(table) (\(column), \(extra)) VALUES (?, ?)"
            try database.cachedStatement(sql: insert).execute(arguments: [text, more])
        } else {
            try database.cachedStatement(sql: "INSERT INTO \(table) (\(column)) VALUES (?)").execute(arguments: [text])
        }
        return database.lastInsertedRowID
    }

    /// Forgets minutes before `minute`, and the oldest ones while the file holds more than `limit` bytes; returns how many
    /// bytes it holds then.
    public func prune(before minute: Int64, limit: Int64) throws(HistoryError) -> Int64 {
        try perform { database in
            try database.execute(sql: "DELETE FROM minutes WHERE minute < ?", arguments: [minute])
            // A tenth at once, so that this is not done each time.
            if try Self.size(database) > limit {
                try database.execute(
                    sql: """
                        DELETE FROM minutes WHERE minute <= (
                            SELECT minute FROM minutes ORDER BY minute
                            LIMIT 1 OFFSET (SELECT COUNT(*) / 10 FROM minutes))
                        """
                )
            }
            for table in ["users", "patterns", "bases"] {
                let column = table == "bases" ? "base" : String(table.dropLast())
                try database.execute(
                    sql: "DELETE FROM \(table) WHERE id NOT IN (SELECT \(column) FROM minutes)"
                )
            }
            return try Self.size(database)
        }
    }

    /// Bytes in use: free pages are filled before the file grows.
    private static func size(_ database: Database) throws -> Int64 {
        let pages = try Int64.fetchOne(database, sql: "PRAGMA page_count") ?? 0
        let free = try Int64.fetchOne(database, sql: "PRAGMA freelist_count") ?? 0
        return (pages - free) * (try Int64.fetchOne(database, sql: "PRAGMA page_size") ?? 4096)
    }
}

extension Dictionary {
    fileprivate mutating func value(for key: Key, _ make: () throws -> Value) rethrows -> Value {
        if let known = self[key] { return known }
        let made = try make()
        self[key] = made
        return made
    }
}
