// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc
import PostgresClient

/// A place that knows whose sessions are: a PostgreSQL server, or a PgBouncer.
public struct SessionDirectory: Sendable {
    /// What is asked there.
    public enum Kind: Sendable {
        /// PostgreSQL: `pg_stat_activity`, as a member of pg_monitor.
        case server
        /// PgBouncer: `SHOW CLIENTS` on its console, as one of its stats_users.
        case pooler
    }

    /// What it is, and how to connect: a connection string or URI of libpq.
    public var kind: Kind, parameters: String

    /// A directory.
    public init(_ kind: Kind, parameters: String) {
        self.kind = kind
        self.parameters = parameters
    }

    /// Its name for people: never the connection string, which may hold a password.
    public var name: String { kind == .server ? "pg_stat_activity" : "PgBouncer" }

    /// Seconds that one question may take.
    static let patience = 3.0

    func ask(_ connection: PostgresConnection) throws(PostgresError) -> SessionMatcher {
        switch kind {
        case .pooler:
            let rows = try connection.rows(of: "SHOW CLIENTS", seconds: Self.patience)
            return SessionMatcher(rows: rows.compactMap { SessionRow(pooler: $0) })
        case .server:
            let rows = try connection.rows(of: Self.query, seconds: Self.patience)
            let first = rows.first
            let address = first?["server_addr"].flatMap { Endpoint(address: $0, port: 0) }
            let port = first?["server_port"].flatMap { UInt16($0) }
            return SessionMatcher(
                rows: rows.compactMap { SessionRow(activity: $0) },
                serverAddress: address,
                serverPort: port
            )
        }
    }

    /// Connects and asks once, for a person who wants to know whether it works; returns what it is and how many sessions
    /// it lists.
    ///
    /// - Throws: ``PostgresError`` with what is wrong; ``DirectoryRightsError`` when the role sees too little.
    public func check() throws -> (version: String, sessions: Int) {
        let connection = try PostgresConnection(parameters, application: "pgweir doctor", seconds: Self.patience)
        let ask = kind == .server ? "SELECT pg_catalog.current_setting('server_version') AS version" : "SHOW VERSION"
        let version = try connection.rows(of: ask, seconds: Self.patience).first?["version"] ?? ""
        if kind == .server {
            let may = try connection.rows(of: Self.rightsQuery, seconds: Self.patience)
            guard may.first?["may"] == "t" else { throw DirectoryRightsError() }
        }
        return (version, try self.ask(connection).rows.count)
    }

    /// Whether the role may see the rows of others; PostgreSQL hides their addresses from those who may not.
    static let rightsQuery = "SELECT pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS may"

    // Schema-qualified: the search path is not ours.
    private static let query = """
        SELECT pg_catalog.host(client_addr) AS client_addr, client_port, usename, datname, application_name, \
        extract(epoch FROM pg_catalog.clock_timestamp() - backend_start) AS age, \
        pg_catalog.host(pg_catalog.inet_server_addr()) AS server_addr, \
        pg_catalog.current_setting('port') AS server_port \
        FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend'
        """
}

/// The role that asks may not see whose sessions are.
public struct DirectoryRightsError: Error, CustomStringConvertible {
    /// What happened, and what to do.
    public var description: String { "the role sees no addresses of other sessions: GRANT pg_monitor TO it" }
}
