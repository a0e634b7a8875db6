// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Foundation
import RedisClient
import RedisStore
import TestKit
import Testing

struct RedisCostStoreTests {
    /// Servers that `Tests/Integration/pricing` started.
    private static let servers = (ProcessInfo.processInfo.environment["PGWEIR_TEST_REDIS"] ?? "").split(separator: " ")

    @Test(.enabled(if: !servers.isEmpty, "no server: Tests/Integration/pricing starts some"), arguments: servers)
    func `a real server and a cluster keep the contract of stores`(url: Substring) throws {
        try CostStoreContract.check(try RedisCostStore(RedisOptions(url: String(url))))
    }

    @Test func `a server that is not there costs a second at most, and says which`() throws {
        let store = try RedisCostStore(RedisOptions(url: "redis://:secret@127.0.0.1:1"))
        let clock = ContinuousClock()
        let took = clock.measure {
            #expect(throws: CostStoreError.self) { try store.prices(of: [CostStoreContract.price(1).key]) }
        }
        #expect(took < .seconds(3))
        do {
            _ = try store.claim(CostStoreContract.price(1).key, seconds: 5)
        } catch {
            #expect(error.description.contains("127.0.0.1") && !error.description.contains("secret"))
        }
    }
}
