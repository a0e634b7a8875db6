// SPDX-License-Identifier: Apache-2.0
import Foundation
import Quotas
import RedisClient
import RedisStore
import TestKit
import Testing

struct RedisLedgerStoreTests {
    /// Servers that the integration tests started.
    private static let servers = (ProcessInfo.processInfo.environment["PGWEIR_TEST_REDIS"] ?? "").split(separator: " ")

    @Test(.enabled(if: !servers.isEmpty, "no server: Tests/Integration/pricing starts some"), arguments: servers)
    func `a real server and a cluster keep the contract of ledgers`(url: Substring) throws {
        let cluster = "contract-\(UUID().uuidString)"
        func open() throws -> RedisLedgerStore {
            try RedisLedgerStore(RedisOptions(url: String(url)), cluster: cluster)
        }
        try LedgerStoreContract.check(open(), reopen: open)
    }

    @Test func `a server that is not there costs a second at most, and says which`() throws {
        let store = try RedisLedgerStore(RedisOptions(url: "redis://127.0.0.1:1"), cluster: "x")
        let clock = ContinuousClock()
        let took = clock.measure {
            #expect(throws: LedgerError.self) { try store.get("limits") }
        }
        #expect(took < .seconds(3))
    }
}
