// SPDX-License-Identifier: Apache-2.0
public import Domain
public import PostgresClient

/// Which sides of a pooler a tap sees, proven by the addresses and ports that the pooler itself lists.
///
/// Where both are seen each statement is billed twice, unless the pooler's address is named (``PoolerSides/place``).
public struct PoolerSides: Sendable, Equatable {
    /// Connections seen that the pooler lists as its clients' (`SHOW CLIENTS`), and as its own to servers (`SHOW SERVERS`).
    public var clients = 0, servers = 0
    /// Where it listens, at the address from which it reaches its servers; `nil` unless both are seen.
    public var place: Endpoint?

    /// Compares the connections seen, each its client's and its server's end, with what a pooler lists.
    init(seen: [(client: Endpoint, server: Endpoint)], clients rows: [SessionRow], servers links: [PoolerLink]) {
        let fronts = Set(rows.compactMap { row in row.server.map { PoolerLink(local: row.client, server: $0) } })
        let backs = Set(links)
        var listening: UInt16?
        var own: Endpoint?
        for connection in seen {
            let link = PoolerLink(local: connection.client, server: connection.server)
            if fronts.contains(link) {
                clients += 1
                listening = connection.server.port
            } else if backs.contains(link) {
                servers += 1
                own = connection.client
            }
        }
        guard let listening, var own else { return }
        own.port = listening
        place = own
    }
}

/// A connection: who opened it, and to where.
struct PoolerLink: Sendable, Hashable {
    var local: Endpoint, server: Endpoint

    init(local: Endpoint, server: Endpoint) { (self.local, self.server) = (local, server) }

    /// A row of PgBouncer's `SHOW SERVERS`; `nil` for what is not on the network.
    init?(pooler row: [String: String]) {
        guard let server = Endpoint(row, "addr", "port"), let own = Endpoint(row, "local_addr", "local_port") else {
            return nil
        }
        self.init(local: own, server: server)
    }
}

extension SessionDirectory {
    /// Asks a pooler which of its sides the connections `seen` are; `nil` of a server.
    ///
    /// - Throws: ``PostgresError`` with what is wrong.
    public func sides(of seen: [(client: Endpoint, server: Endpoint)]) throws(PostgresError) -> PoolerSides? {
        guard kind == .pooler else { return nil }
        let connection = try PostgresConnection(parameters, application: "pgweir", seconds: Self.patience)
        let clients = try connection.rows(of: "SHOW CLIENTS", seconds: Self.patience)
        let servers = try connection.rows(of: "SHOW SERVERS", seconds: Self.patience)
        return PoolerSides(
            seen: seen,
            clients: clients.compactMap { SessionRow(pooler: $0) },
            servers: servers.compactMap { PoolerLink(pooler: $0) }
        )
    }
}
