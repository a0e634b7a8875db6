// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Testing

@testable import Metering

struct PriceRequestsTests {
    private let change = PlanChange(database: "shop", pattern: Array("create index on item(a)".utf8))

    private func pricing(asTenant: Bool = false) -> PriceRequests {
        PriceRequests(PricingScheme(cluster: "main", asTenant: asTenant), .standard)
    }

    @Test func `a change counts when its transaction commits, and not if it is rolled back`() {
        var pricing = pricing()
        pricing.hold(change, of: 3)
        pricing.hold(change, of: 3)
        pricing.hold(change, of: 4)
        #expect(pricing.holdsChanges && pricing.isEmpty)
        pricing.release(4, committed: false)
        pricing.release(5, committed: true)
        #expect(pricing.holdsChanges && pricing.isEmpty)
        pricing.release(3, committed: true)
        #expect(!pricing.holdsChanges)
        #expect(pricing.take().changes.count == 2)
    }

    @Test func `a connection that ends leaves no change behind, for the next one in its place`() {
        var metering = Metering.lab()
        metering.askForPrices(PricingScheme(cluster: "main", asTenant: false))
        metering.prices.hold(change, of: 3)
        metering.closed(3, at: Moment(time: .epoch, ordinal: 1))
        let (stillWaits, told) = (metering.prices.awaitsTransactions, metering.takePricing()?.changes.count)
        #expect(!stillWaits)
        #expect(told == 1)
    }

    @Test func `where too many wait for a commit, changes count at once, and none is lost unseen`() {
        var pricing = pricing()
        for flow in 0..<3000 { pricing.hold(change, of: FlowHandle(flow)) }
        for flow in 0..<3000 { pricing.release(FlowHandle(flow), committed: true) }
        let waiting = pricing.take()
        #expect(UInt64(waiting.changes.count) + waiting.overflow == 3000)
    }

    @Test func `prices are told apart by what row-level security does, or by the role itself`() {
        let scope = PatternScope()
        let pattern = Fingerprint(high: 1, low: 2)
        func key(_ pricing: PriceRequests, _ user: String, _ number: Int32) -> Fingerprint {
            let role = pricing.role(of: user, number)
            return pricing.key(pattern, scope, database: "shop", role: role)
        }
        let shared = pricing()
        #expect(key(shared, "ann", 0) == key(shared, "ben", 0))
        #expect(key(shared, "ann", 0) != key(shared, "ann", 1))
        let own = pricing(asTenant: true)
        #expect(key(own, "ann", 1) != key(own, "ben", 2))
    }
}
