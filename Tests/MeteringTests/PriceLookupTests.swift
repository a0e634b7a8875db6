// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import PostgresWire
import Testing

@testable import Metering

struct PriceLookupTests {
    private static let unit: Int64 = 1_000_000
    private static let second: Int64 = 1_000_000_000
    private static let key = Fingerprint(high: 3, low: 4)

    /// A registry with one pattern, of user 1.
    private func registry() -> PatternRegistry {
        var registry = PatternRegistry(limit: 64, hash: .standard)
        _ = registry.add(
            Fingerprint(high: 1, low: 2),
            PatternScope(),
            key: Self.key,
            text: Array("select ?".utf8),
            ordinal: 1,
            owner: 1,
            .unknown
        )
        return registry
    }

    private func time(_ seconds: Int64) -> Timestamp { Timestamp(nanoseconds: (1000 + seconds) * Self.second) }

    @Test func `what a person listed holds for ever, else its class or the default, and nobody is asked`() throws {
        let patterns = registry()
        let found = patterns.occupant(at: 1)
        let record = try #require(found)
        var listed = PriceLookup(PriceList(prices: [record.value.fingerprint: CostUnits(units: 7)]))
        let first = listed.find(record, hasSample: false, at: time(0))
        #expect(first == 7 * Self.unit && record.value.isFixed && record.value.priceExpires == .max)
        var plain = PriceLookup(PriceList())
        let second = plain.find(record, hasSample: false, at: time(0))
        #expect(second == CostUnits.fallback.micro && !record.value.isFixed && !record.value.isMeasured)
        record.value.assumed = 2 * Self.unit
        let third = plain.find(record, hasSample: false, at: time(0))
        #expect(third == 2 * Self.unit && record.value.isMeasured)
        let asked = plain.asked
        #expect(asked == 2)
    }

    @Test func `a price is asked for every two seconds, and only once the text is there`() throws {
        let patterns = registry()
        let found = patterns.occupant(at: 1)
        let record = try #require(found)
        var prices = PriceLookup(PriceList())
        prices.ask(PricingScheme(cluster: "main", asTenant: false), .standard)
        let price = prices.find(record, hasSample: false, at: time(0))
        #expect(price == CostUnits.fallback.micro)
        #expect(record.value.scopeCode & PatternRecord.wantsSample != 0)
        var wanted = prices.requests?.take().wanted
        #expect(wanted == [])
        for (now, count) in [(1, 0), (3, 1), (4, 0), (6, 1)] as [(Int64, Int)] {
            _ = prices.find(record, hasSample: true, at: time(now))
            wanted = prices.requests?.take().wanted
            #expect(wanted?.count == count, "\(now)")
        }
        prices.take([PriceAnswer(key: Self.key, price: 5 * Self.unit, isMeasured: true)], at: time(6), patterns)
        let price7 = prices.find(record, hasSample: true, at: time(7))
        let (hits, stillWanted) = (prices.hits, prices.requests?.take().wanted)
        #expect(price7 == 5 * Self.unit && hits == 1 && stillWanted == [])
        #expect(record.value.isMeasured && record.value.priceExpires > time(7).nanoseconds)
        // Too old: it holds until there is a newer one.
        let stale = prices.find(record, hasSample: true, at: time(10_000))
        let asked = prices.requests?.take().wanted
        #expect(stale == 5 * Self.unit && asked == [record.handle])
    }

    @Test func `a price of one user's own is nobody else's`() throws {
        let patterns = registry()
        let found = patterns.occupant(at: 1)
        let record = try #require(found)
        var prices = PriceLookup(PriceList())
        prices.ask(PricingScheme(cluster: "main", asTenant: false), .standard)
        _ = prices.find(record, hasSample: true, at: time(0))
        let (ann, ben) = (Fingerprint(high: 11, low: 12), Fingerprint(high: 13, low: 14))
        prices.take([PriceAnswer(key: Self.key, price: 3, isMeasured: true, payer: ann)], at: time(1), patterns)
        let (anns, bens) = (
            prices.ownPrice(record, ann, at: time(2)), prices.ownPrice(record, ben, at: time(2))
        )
        #expect(record.value.hasOwnPrices && anns == 3 && bens == nil)
    }

    @Test(arguments: [false, true])
    func `what prices say of roles is what the server says of them, or their name`(asTenant: Bool) {
        let table = SlotTable(limit: 8, blank: Principal())
        var principals = table
        var handles: [Int32] = []
        for user in ["ann", "ben"] {
            guard let handle = principals.take() else { return }
            principals[handle].user = user
            handles.append(handle)
        }
        var prices = PriceLookup(PriceList())
        prices.ask(PricingScheme(cluster: "main", asTenant: asTenant), .standard)
        var facts = RoleFacts()
        facts.bypassing = ["ben"]
        let (isNew, isNewAgain) = (prices.take(facts), prices.take(facts))
        #expect(isNew && !isNewAgain)
        for handle in handles { prices.applyRole(to: principals.slot(handle)) }
        let classes = handles.map { principals[$0].roleIndex }
        #expect(classes == (asTenant ? [1, 2] : [0, 1]))
    }

    @Test func `one user fills a share of the search paths, and numbers mean what they did`() {
        var paths = SearchPaths(hash: .standard)
        func number(_ text: String, _ owner: Int32) -> UInt16 {
            let bytes = Array(text.utf8)
            return paths.number(of: bytes.rawSpan, for: owner)
        }
        let numbers = (0..<5000).map { number("a\($0)", 1) }
        #expect(numbers.prefix(4096).allSatisfy { $0 > 0 } && numbers.dropFirst(4096).allSatisfy { $0 == 0 })
        let bens = number("b", 2)
        #expect(bens > 0 && paths[bens] == "b" && paths[numbers[7]] == "a7" && paths[0] == nil && paths[.max] == nil)
        #expect(number("a7", 2) == numbers[7] && number(String(repeating: "x", count: 1025), 2) == 0)
        paths.forget(1)
        #expect(number("more", 1) > 0)
    }
}
