// SPDX-License-Identifier: Apache-2.0
import Domain
import Testing

@testable import Attribution

struct PoolerSidesTests {
    private static func end(_ address: UInt32, _ port: UInt16) -> Endpoint {
        Endpoint(ipv4: 0x0A00_0000 + address, port: port)
    }

    /// An application at 10.0.0.1, a pooler at 10.0.0.2 that reaches its server from 10.0.0.3, the server at 10.0.0.4.
    private static let front = (client: end(1, 40_000), server: end(2, 6432))
    private static let back = (client: end(3, 50_000), server: end(4, 5432))

    private static let started = Timestamp(nanoseconds: 1_790_000_000_000_000_000)

    private static func client(_ more: [String: String] = [:]) -> [String: String] {
        [
            "addr": "10.0.0.1", "port": "40000", "local_addr": "10.0.0.2", "local_port": "6432", "user": "ann",
            "database": "shop", "connect_time": "2036-01-01 00:00:00 UTC",
        ].merging(more) { $1 }
    }

    private static func sides(
        _ seen: [(client: Endpoint, server: Endpoint)],
        after: [(client: Endpoint, server: Endpoint)]? = nil,
        clients: [[String: String]] = [client()],
        own: Set<Endpoint> = [],
        isRead: Bool = true
    ) throws -> PoolerSides {
        let server = try #require(
            PoolerLink(pooler: ["addr": "10.0.0.4", "port": "5432", "local_addr": "10.0.0.3", "local_port": "50000"])
        )
        let connections = { (ends: [(client: Endpoint, server: Endpoint)]) in
            ends.map { SeenConnection(client: $0.client, server: $0.server, isRead: isRead) }
        }
        return PoolerSides(
            before: connections(seen),
            after: connections(after ?? seen),
            clients: clients.compactMap { PoolerClient(pooler: $0) },
            servers: [server],
            own: own,
            since: started
        )
    }

    @Test func `both sides are told, and where the pooler is`() throws {
        let sides = try Self.sides([Self.front, Self.back])
        #expect((sides.clients, sides.servers) == (1, 1))
        #expect(sides.place == Self.end(3, 6432))
        #expect(sides.isWhole)
    }

    @Test func `one side alone is no matter`() throws {
        #expect(try Self.sides([Self.front]).place == nil)
        #expect(try Self.sides([Self.back]).place == nil)
    }

    @Test func `clients that cannot be read are no side`() throws {
        #expect(try Self.sides([Self.front, Self.back], isRead: false).place == nil)
    }

    @Test func `connections of others on the same addresses prove nothing`() throws {
        let sides = try Self.sides([
            (client: Self.end(1, 40_001), server: Self.end(2, 6432)),
            (client: Self.end(3, 50_001), server: Self.end(4, 5432)),
        ])
        #expect((sides.clients, sides.servers) == (0, 0))
        #expect(sides.place == nil)
    }

    @Test func `a client that is not seen would be lost`() throws {
        for row in [["port": "40001"], ["addr": "unix", "local_addr": "unix"]] {
            let sides = try Self.sides([Self.front, Self.back], clients: [Self.client(), Self.client(row)])
            #expect(sides.unseen == 1 && !sides.isWhole)
        }
    }

    @Test func `a client that did nothing since the tap began need not be seen`() throws {
        let quiet = [
            "port": "40001", "connect_time": "2020-01-01 00:00:00 UTC", "request_time": "2020-01-01 00:00:01 UTC",
        ]
        #expect(try Self.sides([Self.front, Self.back], clients: [Self.client(), Self.client(quiet)]).isWhole)
        let busy = quiet.merging(["request_time": "2036-01-01 00:00:00 UTC"]) { $1 }
        #expect(try Self.sides([Self.front, Self.back], clients: [Self.client(), Self.client(busy)]).unseen == 1)
        let unclear = quiet.merging(["connect_time": "?", "request_time": "?"]) { $1 }
        #expect(try Self.sides([Self.front, Self.back], clients: [Self.client(), Self.client(unclear)]).unseen == 1)
    }

    @Test func `clients of the console are not served`() throws {
        let console = Self.client(["port": "40001", "database": "pgbouncer"])
        #expect(try Self.sides([Self.front, Self.back], clients: [Self.client(), console]).isWhole)
    }

    @Test func `a connection from the pooler's address that is not its own would be lost, but not one of this process`()
        throws
    {
        let direct = (client: Self.end(3, 50_001), server: Self.end(4, 5432))
        #expect(try Self.sides([Self.front, Self.back, direct]).others == 1)
        #expect(try Self.sides([Self.front, Self.back, direct], own: [direct.client]).isWhole)
    }

    @Test func `what came or went while the pooler was asked proves nothing against it`() throws {
        let brief = (client: Self.end(3, 50_001), server: Self.end(4, 5432))
        #expect(try Self.sides([Self.front, Self.back, brief], after: [Self.front, Self.back]).isWhole)
        #expect(try Self.sides([Self.front, Self.back], after: [Self.front, Self.back, brief]).isWhole)
    }

    @Test func `a server on a Unix socket is on no network`() {
        let row = ["addr": "unix", "port": "5432", "local_addr": "unix", "local_port": "5432"]
        #expect(PoolerLink(pooler: row) == nil)
    }
}
