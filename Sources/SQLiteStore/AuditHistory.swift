// SPDX-License-Identifier: Apache-2.0
import Domain
import GRDB
public import Quotas
import Synchronization

/// The audit in an SQLite file, to be asked; the lines of the audit file are the record.
public final class AuditHistory: Sendable {
    private let file: SQLiteFile
    private let path: String
    private let most: Int
    private let appended = Atomic<Int>(0)
    /// So many are appended between two looks for those that are too many.
    private static let pause = 1000

    /// Opens the file, or makes it; ``SQLiteCostStore/init(path:isPatient:report:)`` tells of the other parameters.
    ///
    /// - Parameter most: how many entries it keeps, the newest; a few more for a while.
    public init(
        path: String,
        most: Int = 1_000_000,
        isPatient: Bool = false,
        report: FileReport = .none
    ) throws(LedgerError) {
        (self.path, self.most) = (path, most)
        do {
            file = try SQLiteFile(path, Self.schema, report, isPatient: isPatient) { try Self.prune($0, most) }
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
                            CREATE TABLE audit (
                                number INTEGER PRIMARY KEY, time INTEGER NOT NULL, node TEXT NOT NULL, actor TEXT NOT NULL,
                                event TEXT NOT NULL, user TEXT, details TEXT NOT NULL);
                            CREATE INDEX audit_user ON audit (user, number);
                            """
                    )
                }
            )
        ],
        probes: ["SELECT number, time, node, actor, event, user, details FROM audit"]
    )

    private static func prune(_ database: Database, _ most: Int) throws {
        try database.execute(
            sql: "DELETE FROM audit WHERE number <= (SELECT MAX(number) FROM audit) - ?",
            arguments: [most]
        )
    }

    /// Keeps entries.
    public func append(_ entries: [AuditEntry]) throws(LedgerError) {
        do {
            try file.perform { database in
                let statement = try database.cachedStatement(
                    sql: "INSERT INTO audit (time, node, actor, event, user, details) VALUES (?, ?, ?, ?, ?, ?)"
                )
                for entry in entries {
                    let details = entry.details.map { "\($0.name)\t\(Self.clean($0.value))" }.joined(separator: "\n")
                    try statement.execute(arguments: [
                        entry.time.nanoseconds, entry.node, entry.actor, entry.event, entry.user?.description, details,
                    ])
                }
                let before = appended.wrappingAdd(entries.count, ordering: .relaxed).oldValue
                if (before &+ entries.count) / Self.pause != before / Self.pause { try Self.prune(database, most) }
            }
        } catch {
            throw .unavailable(store: path, reason: "\(error)")
        }
    }

    /// The last entries, of one user or of all, the oldest first.
    public func last(_ count: Int, of user: UserKey?) throws(LedgerError) -> [AuditEntry] {
        do {
            return try file.perform { database in
                let rows = try Row.fetchAll(
                    database,
                    sql: """
                        SELECT time, node, actor, event, user, details FROM audit
                        WHERE ?1 IS NULL OR user = ?1 ORDER BY number DESC LIMIT ?2
                        """,
                    arguments: [user?.description, count]
                )
                return try rows.reversed().map { row in
                    let details = try row.decode(String.self, atIndex: 5).split(separator: "\n").map { line in
                        let parts = line.split(separator: "\t", maxSplits: 1, omittingEmptySubsequences: false)
                        return (name: String(parts[0]), value: parts.count > 1 ? String(parts[1]) : "")
                    }
                    return AuditEntry(
                        try row.decode(atIndex: 3),
                        try row.decode(String?.self, atIndex: 4).flatMap { UserKey($0) },
                        at: Timestamp(nanoseconds: try row.decode(atIndex: 0)),
                        node: try row.decode(atIndex: 1),
                        actor: try row.decode(atIndex: 2),
                        details: details
                    )
                }
            }
        } catch {
            throw .unavailable(store: path, reason: "\(error)")
        }
    }

    private static func clean(_ text: String) -> String {
        String(text.map { $0.isNewline || $0 == "\t" ? " " : $0 })
    }
}
