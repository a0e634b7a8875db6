// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Testing

struct PriceCacheTests {
    private func key(_ number: Int) -> Fingerprint {
        Fingerprint(high: UInt64(number), low: UInt64(number) &* 0x9E37_79B9)
    }

    @Test func `a price is found until its time is over`() {
        var cache = PriceCache(capacity: 64, lifetime: 100)
        cache.store(7, for: key(1), at: Timestamp(nanoseconds: 0))
        #expect(cache.price(of: key(1), at: Timestamp(nanoseconds: 99)) == 7)
        #expect(cache.price(of: key(1), at: Timestamp(nanoseconds: 100)) == nil)
        #expect(cache.price(of: key(2), at: Timestamp(nanoseconds: 0)) == nil)
        #expect(cache.hits == 1 && cache.misses == 2)
    }

    @Test func `memory is fixed and the least used goes first`() {
        var cache = PriceCache(capacity: 8, lifetime: .max)
        for number in 0..<8 { cache.store(Int64(number), for: key(number), at: .epoch) }
        for number in 1..<8 { #expect(cache.price(of: key(number), at: .epoch) == Int64(number)) }
        cache.store(99, for: key(99), at: .epoch)
        #expect(cache.price(of: key(0), at: .epoch) == nil)
        #expect(cache.price(of: key(99), at: .epoch) == 99)
        #expect(cache.evictions == 1)
    }

    @Test func `unknown patterns cost the fallback`() {
        let list = PriceList(prices: [key(1): CostUnits(units: 2.5)])
        #expect(list.price(of: key(1))?.units == 2.5)
        #expect(list.price(of: key(2)) == nil)
        #expect(list.fallback.units == 1000)
    }
}
