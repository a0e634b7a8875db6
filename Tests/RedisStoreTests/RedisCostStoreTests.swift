// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import RedisClient
import RedisStore
import TestKit
import Testing

struct RedisCostStoreTests {
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
