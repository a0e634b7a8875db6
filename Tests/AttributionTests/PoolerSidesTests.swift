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

    private static func sides(_ seen: [(client: Endpoint, server: Endpoint)]) throws -> PoolerSides {
        let client = try #require(
            SessionRow(pooler: [
                "addr": "10.0.0.1", "port": "40000", "local_addr": "10.0.0.2", "local_port": "6432", "user": "ann",
                "database": "shop",
            ])
        )
        let server = try #require(
            PoolerLink(pooler: ["addr": "10.0.0.4", "port": "5432", "local_addr": "10.0.0.3", "local_port": "50000"])
        )
        return PoolerSides(seen: seen, clients: [client], servers: [server])
    }

    @Test func `both sides are told, and where the pooler is to be named`() throws {
        let sides = try Self.sides([Self.front, Self.back])
        #expect((sides.clients, sides.servers) == (1, 1))
        #expect(sides.place == Self.end(3, 6432))
    }

    @Test func `one side alone is no matter`() throws {
        #expect(try Self.sides([Self.front]).place == nil)
        #expect(try Self.sides([Self.back]).place == nil)
    }

    @Test func `connections of others on the same addresses prove nothing`() throws {
        let sides = try Self.sides([
            (client: Self.end(1, 40_001), server: Self.end(2, 6432)),
            (client: Self.end(3, 50_001), server: Self.end(4, 5432)),
        ])
        #expect((sides.clients, sides.servers) == (0, 0))
        #expect(sides.place == nil)
    }

    @Test func `a server on a Unix socket is on no network`() {
        let row = ["addr": "unix", "port": "5432", "local_addr": "unix", "local_port": "5432"]
        #expect(PoolerLink(pooler: row) == nil)
    }
}
