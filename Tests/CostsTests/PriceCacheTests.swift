// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Testing

struct PriceCacheTests {
    private func key(_ number: Int) -> Fingerprint {
        Fingerprint(high: UInt64(number), low: UInt64(number) &* 0x9E37_79B9)
    }

    @Test func `a price that is too old is still given, and said to be stale`() {
        var cache = PriceCache(capacity: 64, lifetime: 100)
        cache.store(KnownPrice(price: 7, isMeasured: true), for: key(1), at: Timestamp(nanoseconds: 0))
        let fresh = cache.find(key(1), at: Timestamp(nanoseconds: 99))
        #expect(fresh?.known.price == 7 && fresh?.known.isMeasured == true && fresh?.isStale == false)
        let old = cache.find(key(1), at: Timestamp(nanoseconds: 100))
        #expect(old?.known.price == 7 && old?.isStale == true)
        #expect(cache.find(key(2), at: Timestamp(nanoseconds: 0)) == nil)
        #expect(cache.hits == 1 && cache.stale == 1 && cache.misses == 1)
    }

    @Test func `keys of one set are told apart where they share a half, or it is zero`() {
        var cache = PriceCache(capacity: 8, lifetime: .max)
        let keys = [(7, 1), (7, 2), (0, 3), (7, 4), (0, 5)].map { Fingerprint(high: $0.0, low: $0.1) }
        for (price, key) in keys.enumerated() { cache.store(KnownPrice(price: Int64(price)), for: key, at: .epoch) }
        for (price, key) in keys.enumerated() { #expect(cache.find(key, at: .epoch)?.known.price == Int64(price)) }
        #expect(cache.find(Fingerprint(high: 7, low: 9), at: .epoch) == nil)
        #expect(cache.find(Fingerprint(high: 0, low: 9), at: .epoch) == nil)
    }

    @Test func `memory is fixed and the least used goes first`() {
        var cache = PriceCache(capacity: 8, lifetime: .max)
        for number in 0..<8 { cache.store(KnownPrice(price: Int64(number)), for: key(number), at: .epoch) }
        for number in 1..<8 { #expect(cache.find(key(number), at: .epoch)?.known.price == Int64(number)) }
        cache.store(KnownPrice(price: 99), for: key(99), at: .epoch)
        #expect(cache.find(key(0), at: .epoch) == nil)
        #expect(cache.find(key(99), at: .epoch)?.known.price == 99)
        #expect(cache.evictions == 1)
    }

    @Test func `what much was spent on stays, though it was used least lately`() {
        var cache = PriceCache(capacity: 8, lifetime: .max)
        for number in 0..<8 { cache.store(KnownPrice(price: Int64(number)), for: key(number), at: .epoch) }
        _ = cache.find(key(0), spent: PriceCache.pinThreshold, at: .epoch)
        for number in 1..<8 { _ = cache.find(key(number), at: .epoch) }
        for number in 20..<60 { cache.store(KnownPrice(price: 1), for: key(number), at: .epoch) }
        #expect(cache.find(key(0), at: .epoch)?.known.price == 0)
    }

    @Test func `unknown patterns cost the fallback`() {
        let list = PriceList(prices: [key(1): CostUnits(units: 2.5)])
        #expect(list.price(of: key(1))?.units == 2.5)
        #expect(list.price(of: key(2)) == nil)
        #expect(list.fallback.units == 1000)
    }
}
