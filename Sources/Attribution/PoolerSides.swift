// SPDX-License-Identifier: Apache-2.0
public import Domain
public import PostgresClient

/// Which sides of a pooler a tap sees, proven by the addresses and ports that the pooler itself lists.
///
/// Where both are seen each statement would be billed twice.
public struct PoolerSides: Sendable, Equatable {
    /// Connections seen that the pooler lists as its clients' (`SHOW CLIENTS`), and as its own to servers (`SHOW SERVERS`).
    public var clients = 0, servers = 0
    /// Where it listens, at the address from which it reaches its servers; `nil` unless both are seen.
    public var place: Endpoint?
    /// Clients that it lists and that did something under the tap's eyes, but are not seen, or cannot be read: on a Unix
    /// socket, on another way, or encrypted.
    public var unseen = 0
    /// Connections seen that come from the pooler's address too and that it does not list.
    public var others = 0

    /// Whether both sides are seen, and with the pooler's connections to servers passed over nothing would be lost.
    public var isWhole: Bool { place != nil && unseen == 0 && others == 0 }

    /// Compares the connections seen before the pooler was asked and after that with what it listed; `own` are ends of
    /// this process, and what was done before `since` the tap did not see.
    init(
        before: [SeenConnection],
        after: [SeenConnection],
        clients rows: [PoolerClient],
        servers links: [PoolerLink],
        own: Set<Endpoint>,
        since: Timestamp
    ) {
        let seen = Set(before).union(after)
        let backs = Set(links)
        let fronts = Set(rows.compactMap(\.link))
        var listening: UInt16?
        var source: Endpoint?
        var read: Set<PoolerLink> = []
        var backsSeen: Set<PoolerLink> = []
        for connection in seen {
            let link = PoolerLink(connection)
            if fronts.contains(link) {
                if connection.isRead { read.insert(link) }
                listening = connection.server.port
            } else if backs.contains(link) {
                backsSeen.insert(link)
                source = connection.client
            }
        }
        (clients, servers) = (read.count, backsSeen.count)
        guard let listening, var source, clients > 0 else { return }
        source.port = listening
        place = source
        unseen = rows.count { row in
            row.link.map { !read.contains($0) } ?? true && (row.lastSign.map { $0 >= since } ?? true)
        }
        // Those that came or went while the pooler was asked prove nothing.
        let rule = PoolerAddresses([source])
        let lasting = Set(before.map { PoolerLink($0) }).intersection(after.map { PoolerLink($0) })
        others = lasting.count { link in
            rule.isServerSide(client: link.local, server: link.server) && !backs.contains(link)
                && !own.contains(link.local)
        }
    }
}

/// A connection: who opened it, and to where.
struct PoolerLink: Sendable, Hashable {
    var local: Endpoint, server: Endpoint

    init(local: Endpoint, server: Endpoint) { (self.local, self.server) = (local, server) }

    init(_ connection: SeenConnection) { self.init(local: connection.client, server: connection.server) }

    /// A row of PgBouncer's `SHOW SERVERS`; `nil` for what is not on the network.
    init?(pooler row: [String: String]) {
        guard let server = Endpoint(row, "addr", "port"), let own = Endpoint(row, "local_addr", "local_port") else {
            return nil
        }
        self.init(local: own, server: server)
    }
}

/// A client as PgBouncer's `SHOW CLIENTS` lists it.
struct PoolerClient: Sendable, Hashable {
    /// Its connection; `nil`: on a Unix socket.
    var link: PoolerLink?
    /// When it came or asked for something last, by the pooler's clock and in whole seconds; `nil`: not told.
    var lastSign: Timestamp?

    /// A row; `nil` for a client of the console, whose statements go to no server.
    init?(pooler row: [String: String]) {
        guard row["database"] != "pgbouncer" else { return nil }
        if let client = Endpoint(row, "addr", "port"), let server = Endpoint(row, "local_addr", "local_port") {
            link = PoolerLink(local: client, server: server)
        }
        let times = [row["connect_time"], row["request_time"]].compactMap { $0.flatMap { Timestamp(connectTime: $0) } }
        lastSign = times.max()
    }
}

extension SessionDirectory {
    /// Asks a pooler which of its sides are seen; `nil` of a server, or when there is no list of what is seen after that.
    ///
    /// `before`: what is seen already. `own`: ends of connections of this process. `since`: when the tap began.
    ///
    /// - Throws: ``PostgresError`` with what is wrong.
    public func sides(
        before: [SeenConnection],
        own: Set<Endpoint>,
        since: Timestamp,
        after look: () -> [SeenConnection]?
    ) throws(PostgresError) -> PoolerSides? {
        guard kind == .pooler else { return nil }
        let connection = try PostgresConnection(parameters, application: "pgweir", seconds: Self.patience)
        let clients = try connection.rows(of: "SHOW CLIENTS", seconds: Self.patience)
        let servers = try connection.rows(of: "SHOW SERVERS", seconds: Self.patience)
        guard let after = look() else { return nil }
        return PoolerSides(
            before: before,
            after: after,
            clients: clients.compactMap { PoolerClient(pooler: $0) },
            servers: servers.compactMap { PoolerLink(pooler: $0) },
            own: own,
            // The pooler tells whole seconds.
            since: Timestamp(nanoseconds: since.nanoseconds / 1_000_000_000 * 1_000_000_000)
        )
    }
}
