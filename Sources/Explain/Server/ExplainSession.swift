// SPDX-License-Identifier: Apache-2.0
import Glibc
import PostgresClient

/// A connection to the server that is asked for plans, set up so that a statement can do no harm there.
final class ExplainSession {
    let connection: PostgresConnection
    /// Such as 150018.
    let version: Int
    private var serial = 0

    /// Set by `set_config` after the login, so that neither the connection string nor the role can loosen them.
    private static let settings = [
        ("default_transaction_read_only", "on"), ("statement_timeout", "1000"), ("lock_timeout", "100"),
        ("idle_in_transaction_session_timeout", "5000"), ("plan_cache_mode", "force_generic_plan"), ("geqo", "on"),
        ("join_collapse_limit", "8"), ("from_collapse_limit", "8"),
        // A parallel plan hides work: its cost is that of the slowest process.
        ("max_parallel_workers_per_gather", "0"), ("client_encoding", "UTF8"), ("standard_conforming_strings", "on"),
        ("jit", "off"),
    ]
    /// Seconds for one message; the server's own timeout of 1 s comes first.
    static let patience = 3.0

    init(
        _ parameters: String,
        database: String?,
        user: String?,
        allowsPrimary: Bool
    ) throws(PricingError) {
        let facts: [String: String]
        do throws(PostgresError) {
            connection = try PostgresConnection(
                parameters,
                application: "pgweir explain",
                seconds: Self.patience,
                database: database,
                user: user
            )
            version = connection.serverVersion
            for (name, value) in Self.settings {
                _ = try connection.execute(
                    "SELECT set_config($1, $2, false)",
                    [name, value],
                    seconds: Self.patience
                )
            }
            let rows = try connection.execute(
                "SELECT pg_is_in_recovery() AS is_standby, rolsuper FROM pg_roles WHERE rolname = current_user",
                seconds: Self.patience
            )
            facts = rows.first ?? [:]
        } catch {
            throw .server(error)
        }
        guard facts["is_standby"] == "t" || allowsPrimary else { throw .isPrimary }
        guard facts["rolsuper"] == "f" else { throw .isSuperuser }
        guard version >= 120_000 else { throw .tooOld(version: version) }
    }

    /// A name for a prepared statement that was never used before: after an error the old one may still be there.
    func nextName() -> String {
        serial += 1
        return "pgweir_\(serial)"
    }

    func execute(_ sql: String, _ parameters: [String?] = []) throws(PostgresError) -> [[String: String]] {
        try connection.execute(sql, parameters, seconds: Self.patience)
    }

    /// Runs `body` in a transaction that changes nothing and is always rolled back.
    func inReadOnlyTransaction<Value>(
        searchPath: String?,
        _ body: () throws(PostgresError) -> Value
    ) throws(PostgresError) -> Value {
        _ = try execute("BEGIN TRANSACTION READ ONLY")
        do throws(PostgresError) {
            if let searchPath { _ = try execute("SELECT set_config('search_path', $1, true)", [searchPath]) }
            let value = try body()
            _ = try execute("ROLLBACK")
            return value
        } catch {
            // A session that does not even take this is given up by the caller.
            if case .refused = error { _ = try execute("ROLLBACK") }
            throw error
        }
    }
}
