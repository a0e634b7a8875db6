// SPDX-License-Identifier: Apache-2.0
import Domain
import GRDB
public import Quotas

/// The audit in an SQLite file, to be asked; the lines of the audit file are the record.
public final class AuditHistory: Sendable {
    private let queue: DatabaseQueue
    private let path: String
    /// Older entries beyond this are forgotten.
    private static let most = 1_000_000

    /// Opens the file, or makes it.
    public init(path: String) throws(LedgerError) {
        self.path = path
        do {
            queue = try SQLiteFile.open(path) { migrator in
                migrator.registerMigration("1") { database in
                    try database.execute(
                        sql: """
                            CREATE TABLE audit (
                                number INTEGER PRIMARY KEY, time INTEGER NOT NULL, node TEXT NOT NULL, actor TEXT NOT NULL,
                                event TEXT NOT NULL, user TEXT, details TEXT NOT NULL);
                            CREATE INDEX audit_user ON audit (user, number);
                            """
                    )
                }
            }
            try queue.write { database in
                try database.execute(
                    sql: "DELETE FROM audit WHERE number <= (SELECT MAX(number) FROM audit) - \(Self.most)"
                )
            }
        } catch {
            throw .unavailable(store: path, reason: "\(error)")
        }
    }

    /// Keeps entries.
    public func append(_ entries: [AuditEntry]) throws(LedgerError) {
        do {
            try queue.write { database in
                let statement = try database.cachedStatement(
                    sql: "INSERT INTO audit (time, node, actor, event, user, details) VALUES (?, ?, ?, ?, ?, ?)"
                )
                for entry in entries {
                    let details = entry.details.map { "\($0.name)\t\(Self.clean($0.value))" }.joined(separator: "\n")
                    try statement.execute(arguments: [
                        entry.time.nanoseconds, entry.node, entry.actor, entry.event, entry.user?.description, details,
                    ])
                }
            }
        } catch {
            throw .unavailable(store: path, reason: "\(error)")
        }
    }

    /// The last entries, of one user or of all, the oldest first.
    public func last(_ count: Int, of user: UserKey?) throws(LedgerError) -> [AuditEntry] {
        do {
            return try queue.read { database in
                let rows = try Row.fetchAll(
                    database,
                    sql: """
                        SELECT time, node, actor, event, user, details FROM audit
                        WHERE ?1 IS NULL OR user = ?1 ORDER BY number DESC LIMIT ?2
                        """,
                    arguments: [user?.description, count]
                )
                return rows.reversed().map { row in
                    let details = (row[5] as String).split(separator: "\n").map { line in
                        let parts = line.split(separator: "\t", maxSplits: 1, omittingEmptySubsequences: false)
                        return (name: String(parts[0]), value: parts.count > 1 ? String(parts[1]) : "")
                    }
                    return AuditEntry(
                        row[3],
                        (row[4] as String?).flatMap { UserKey($0) },
                        at: Timestamp(nanoseconds: row[0]),
                        node: row[1],
                        actor: row[2],
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
