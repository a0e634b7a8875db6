// SPDX-License-Identifier: Apache-2.0
import Domain
import Fingerprints
public import PostgresClient

/// Why a server cannot tell what it counted, and what to do about it.
public enum VerificationError: Error, CustomStringConvertible {
    /// It cannot be reached, or does not answer.
    case server(PostgresError)
    /// The extension is not in the database.
    case noExtension(database: String)
    /// The library was not loaded when the server began.
    case notLoaded
    /// The role sees its own statements only.
    case noRights(role: String)
    /// Nothing is counted (`pg_stat_statements.track = none`).
    case countsNothing

    /// What happened, and what to do.
    public var description: String {
        switch self {
        case .server(let error): "the server does not tell what it counted: \(error)"
        case .noExtension(let database):
            "database '\(database.printable)' has no pg_stat_statements: CREATE EXTENSION pg_stat_statements; in it, with "
                + "shared_preload_libraries = 'pg_stat_statements'"
        case .notLoaded:
            "pg_stat_statements is not loaded: set shared_preload_libraries = 'pg_stat_statements' and restart the server"
        case .noRights(let role):
            "role '\(role.printable)' sees its own statements only: GRANT pg_monitor TO \"\(role.printable)\";"
        case .countsNothing: "the server counts nothing: pg_stat_statements.track is 'none'"
        }
    }
}

/// What a server counts (PostgreSQL documentation, "pg_stat_statements"), and who is connected; for one thread.
///
/// Texts are asked for once for each entry, for what kind of statement it is, and not kept.
public final class StatementStatistics {
    /// What the server is and how it counts.
    struct Facts {
        var version = 0, port: UInt16 = 0
        var role = "", database = "", schema = ""
        var hasTopLevel = false, hasInfo = false
        var track = "top", countsUtilities = true
        /// Roles or databases that set it otherwise for themselves.
        var exceptions = 0
    }

    let facts: Facts
    private let connection: PostgresConnection
    private var normalizer = Normalizer(hash: .standard)
    private(set) var classes: [String: StatementClass] = [:]
    private var asked: UInt64 = 0
    private static let seconds = 10.0
    /// No more entries are read; pg_stat_statements.max is 5000 by default.
    private static let mostEntries = 200_000

    /// Connects; `parameters` is a connection string or URI of libpq.
    public init(_ parameters: String, application: String) throws(VerificationError) {
        do throws(PostgresError) {
            connection = try PostgresConnection(parameters, application: application, seconds: 5)
        } catch {
            throw .server(error)
        }
        facts = try Self.facts(connection)
    }

    private static func ask(
        _ connection: PostgresConnection,
        _ question: String
    ) throws(VerificationError) -> [[String: String]] {
        do throws(PostgresError) {
            return try connection.rows(of: "SELECT \(StatementClass.mark) " + question, seconds: seconds)
        } catch {
            // ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE: the extension is there, the library is not.
            if case .refused(_, "55000") = error { throw .notLoaded }
            throw .server(error)
        }
    }

    private func ask(_ question: String) throws(VerificationError) -> [[String: String]] {
        asked += 1
        return try Self.ask(connection, question)
    }

    private static func facts(_ connection: PostgresConnection) throws(VerificationError) -> Facts {
        let row =
            try ask(
                connection,
                """
                current_user AS role, pg_catalog.current_database() AS database, \
                pg_catalog.current_setting('server_version_num') AS version, pg_catalog.current_setting('port') AS port, \
                pg_catalog.current_setting('pg_stat_statements.track', true) AS track, \
                pg_catalog.current_setting('pg_stat_statements.track_utility', true) AS utility, \
                pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS may, \
                (SELECT pg_catalog.quote_ident(n.nspname) || ' ' || e.extversion FROM pg_catalog.pg_extension e \
                JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements') AS extension, \
                (SELECT count(*) FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) c \
                WHERE c LIKE 'pg\\_stat\\_statements.track%') AS exceptions
                """
            ).first ?? [:]
        var facts = Facts()
        (facts.role, facts.database) = (row["role"] ?? "", row["database"] ?? "")
        guard let extensionText = row["extension"], let blank = extensionText.lastIndex(of: " ") else {
            throw .noExtension(database: facts.database)
        }
        guard let track = row["track"] else { throw .notLoaded }
        guard row["may"] == "t" else { throw .noRights(role: facts.role) }
        guard track != "none" else { throw .countsNothing }
        facts.schema = String(extensionText[..<blank])
        // Such as 1.9 or 1.10.
        let numbers = extensionText[extensionText.index(after: blank)...].split(separator: ".").map { Int($0) ?? 0 }
        let isNew = numbers.first ?? 0 > 1 || numbers.count > 1 && numbers[0] == 1 && numbers[1] >= 9
        (facts.hasTopLevel, facts.hasInfo) = (isNew, isNew)
        (facts.version, facts.port) = (Int(row["version"] ?? "") ?? 0, UInt16(row["port"] ?? "") ?? 0)
        (facts.track, facts.countsUtilities) = (track, row["utility"] != "off")
        facts.exceptions = Int(row["exceptions"] ?? "") ?? 0
        return facts
    }

    /// What was counted up to now.
    func snapshot() throws(VerificationError) -> ServerSnapshot {
        var found = ServerSnapshot()
        let rows = try ask(
            """
            s.queryid, \(facts.hasTopLevel ? "s.toplevel" : "true AS toplevel"), s.calls, r.rolname, d.datname \
            FROM \(facts.schema).pg_stat_statements(false) s \
            LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.userid LEFT JOIN pg_catalog.pg_database d ON d.oid = s.dbid \
            LIMIT \(Self.mostEntries)
            """
        )
        // Counted when it ends, so that what it tells holds those before it.
        found.own = asked - 1
        for row in rows {
            guard let user = row["rolname"], let database = row["datname"],
                let calls = row["calls"].flatMap({ UInt64($0) })
            else { continue }
            let entry = StatementEntry(
                account: Account(user: user, database: database),
                query: row["queryid"] ?? "",
                isTopLevel: row["toplevel"] != "f"
            )
            found.entries[entry, default: 0] &+= calls
        }
        if facts.hasInfo {
            let info = try ask("dealloc, stats_reset FROM \(facts.schema).pg_stat_statements_info").first ?? [:]
            (found.deallocated, found.reset) = (UInt64(info["dealloc"] ?? "") ?? 0, info["stats_reset"])
        }
        if facts.version >= 140_000 {
            for row in try ask("datname, sessions FROM pg_catalog.pg_stat_database WHERE datname IS NOT NULL") {
                if let name = row["datname"] { found.sessions[name] = UInt64(row["sessions"] ?? "") ?? 0 }
            }
        }
        try classify(found)
        return found
    }

    /// Asks for the texts of entries that are new; the server reads them from a file, so only then.
    private func classify(_ snapshot: ServerSnapshot) throws(VerificationError) {
        let known = Set(snapshot.entries.keys.map(\.query))
        let new = known.filter { classes[$0] == nil && !$0.isEmpty }
        // Those that are gone make room.
        if classes.count > 2 * known.count + 1000 { classes = classes.filter { known.contains($0.key) } }
        guard !new.isEmpty else { return }
        let condition = new.count <= 1000 ? " WHERE queryid IN (\(new.joined(separator: ",")))" : ""
        let rows = try ask(
            "DISTINCT ON (queryid) queryid, pg_catalog.left(query, 1024) AS query FROM \(facts.schema).pg_stat_statements(true)"
                + condition
        )
        for row in rows {
            if let query = row["queryid"], let text = row["query"] {
                classes[query] = StatementClass(text, &normalizer)
            }
        }
    }

    /// Who is connected now.
    func sessions() throws(VerificationError) -> [ServerSession] {
        try ask(
            """
            a.pid, a.usename, a.datname, pg_catalog.host(a.client_addr) AS client_addr, a.client_port, a.backend_type, \
            a.state, s.ssl, g.encrypted AS gss, a.pid = pg_catalog.pg_backend_pid() AS own, \
            extract(epoch FROM pg_catalog.clock_timestamp() - a.backend_start) AS age FROM pg_catalog.pg_stat_activity a \
            LEFT JOIN pg_catalog.pg_stat_ssl s ON s.pid = a.pid LEFT JOIN pg_catalog.pg_stat_gssapi g ON g.pid = a.pid \
            WHERE a.usename IS NOT NULL
            """
        ).map { ServerSession($0) }
    }
}
