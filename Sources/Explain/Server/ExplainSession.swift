// SPDX-License-Identifier: Apache-2.0
import PostgresClient

/// A connection to the server that is asked for plans, set up so that a statement can do no harm there.
final class ExplainSession {
    let connection: PostgresConnection
    /// Such as 150018.
    let version: Int
    private var serial = 0
    /// Prepared statements that the server holds.
    private var prepared: Set<String> = []
    private var hasAdmission = false

    /// Under which all runs that is ours: nobody else's functions and operators are found there.
    static let ownPath = "pg_catalog, pg_temp"

    /// Set after the login, so that neither the connection string, nor the role, nor the database can loosen them.
    ///
    /// The search_path first, and by SET, which looks up no function: the owner of a database may have set another one, in
    /// which `set_config` is the owner's.
    private static let settings = [
        ("search_path", ownPath),
        ("default_transaction_read_only", "on"), ("statement_timeout", "1000"), ("lock_timeout", "100"),
        ("idle_in_transaction_session_timeout", "5000"), ("plan_cache_mode", "force_generic_plan"), ("geqo", "on"),
        ("join_collapse_limit", "8"), ("from_collapse_limit", "8"),
        // A parallel plan hides work: its cost is that of the slowest process.
        ("max_parallel_workers_per_gather", "0"), ("client_encoding", "UTF8"), ("standard_conforming_strings", "on"),
        ("jit", "off"),
    ]
    /// Seconds for one message; the server's own timeout of 1 s comes first.
    static let timeout = 3.0
    /// Seconds for one that the planner works on: after these it did not look at its timeout, and is cancelled from outside.
    static let planTimeout = 1.5

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
                seconds: Self.timeout,
                database: database,
                user: user
            )
            version = connection.serverVersion
            for (name, value) in Self.settings {
                let value = name == "search_path" ? value : "'\(value)'"
                _ = try connection.execute("SET \(name) = \(value)", seconds: Self.timeout)
            }
            let rows = try connection.execute(
                "SELECT pg_is_in_recovery() AS is_standby, rolsuper FROM pg_roles WHERE rolname = current_user",
                seconds: Self.timeout
            )
            facts = rows.first ?? [:]
        } catch {
            throw .server(error)
        }
        guard facts["is_standby"] == "t" || allowsPrimary else { throw .isPrimary }
        guard facts["rolsuper"] == "f" else { throw .isSuperuser }
        guard version >= 120_000 else { throw .tooOld(version: version) }
    }

    /// Has the server parse a statement under a name, for as long as the planner may take.
    func prepare(_ name: String, _ text: [UInt8], types: [UInt32]) throws(PostgresError) {
        try connection.prepare(name, text, types: types, seconds: Self.planTimeout)
        prepared.insert(name)
    }

    /// Has the server forget a prepared statement, if it holds it; else each failure would take memory there for good.
    func release(_ name: String) {
        guard prepared.remove(name) != nil else { return }
        _ = try? execute("DEALLOCATE \(name)")
    }

    /// A name for a prepared statement that was never used before: after an error the old one may still be there.
    func nextName() -> String {
        serial += 1
        return "pgweir_\(serial)"
    }

    func execute(_ sql: String, _ parameters: [String?] = []) throws(PostgresError) -> [[String: String]] {
        try connection.execute(sql, parameters, seconds: Self.timeout)
    }

    /// The rows of ``AdmissionQuery``, which is planned once a session.
    func admission(_ parameters: [String?]) throws(PostgresError) -> [[String: String]] {
        try connection.execute(prepared: "pgweir_admission", parameters, seconds: Self.timeout)
    }

    /// The plan of a prepared statement, provided that definitions are what they were.
    ///
    /// All goes in one message, so that nothing but the server's own steps lies between the last comparison and the plan.
    /// Whoever changes definitions all the time is found by one of the comparisons, which random pauses keep apart.
    func plan(
        _ call: String,
        path: String,
        unless definitions: Admission.Definitions?
    ) throws(PostgresError) -> String? {
        var batch: [String] = []
        if let definitions {
            let known = [definitions.relations, definitions.hash].map(Self.literal).joined(separator: ", ")
            let compare = "EXECUTE pgweir_unchanged(\(known))"
            let pause = "SELECT pg_sleep(0.003 * random())"
            batch = [compare, pause, compare, pause, compare, pause, compare]
        }
        if path != Self.ownPath { batch.append("SELECT set_config('search_path', \(Self.literal(path)), true)") }
        batch.append("EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE \(call)")
        let rows = try connection.rows(of: batch.joined(separator: "; "), seconds: Self.planTimeout)
        if path != Self.ownPath { try setPath(Self.ownPath) }
        return rows.lazy.compactMap { $0["QUERY PLAN"] }.first
    }

    /// What ``plan(_:path:unless:)`` is refused with where definitions are others.
    static let changed = "22012"

    /// A string constant; standard_conforming_strings is on.
    private static func literal(_ text: String) -> String { "'" + text.replacing("'", with: "''") + "'" }

    /// Runs `body` in a transaction that changes nothing and is always rolled back.
    func inReadOnlyTransaction<Value>(
        _ body: () throws(PricingError) -> Value
    ) throws(PricingError) -> Value {
        do throws(PostgresError) {
            if !hasAdmission {
                try connection.prepare("pgweir_admission", Array(AdmissionQuery.text.utf8), seconds: Self.timeout)
                try connection.prepare("pgweir_unchanged", Array(AdmissionQuery.unchanged.utf8), seconds: Self.timeout)
                hasAdmission = true
            }
            _ = try execute("BEGIN TRANSACTION READ ONLY")
        } catch {
            throw .server(error)
        }
        do throws(PricingError) {
            let value = try body()
            try rollBack()
            return value
        } catch {
            // A session that does not even take this is given up by the caller.
            if !error.isConnectionLost, !error.isTimeout { try rollBack() }
            throw error
        }
    }

    private func rollBack() throws(PricingError) {
        do throws(PostgresError) { _ = try execute("ROLLBACK") } catch { throw .server(error) }
    }

    /// Has names looked up along `path` until the transaction ends.
    func setPath(_ path: String) throws(PostgresError) {
        _ = try execute("SELECT pg_catalog.set_config('search_path', $1, true)", [path])
    }
}
