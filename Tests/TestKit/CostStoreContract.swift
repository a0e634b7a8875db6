// SPDX-License-Identifier: Apache-2.0
public import Costs
import Domain
import Testing

/// What every store of prices keeps to.
public enum CostStoreContract {
    /// A price with a key of its own.
    public static func price(_ number: UInt64, units: Double = 10) -> StoredPrice {
        StoredPrice(
            key: Fingerprint(high: 0xABCD, low: number),
            fingerprint: Fingerprint(high: 1, low: number),
            pattern: "select \(number) from t where a = ?",
            database: number % 2 == 0 ? "shop" : "crm",
            method: .generic,
            cost: CostUnits(units: units),
            priced: Timestamp(nanoseconds: 1_700_000_000_000_000_000)
        )
    }

    /// Fails the test where the store does otherwise.
    public static func check(_ store: any CostStore) throws {
        let prices = (1...250).map { price(UInt64($0)) }
        #expect(try store.prices(of: prices.map(\.key)).isEmpty)
        try store.store(prices)
        let found = try store.prices(of: prices.map(\.key) + [Fingerprint(high: 0, low: 0)])
        #expect(Set(found.map(\.key)) == Set(prices.map(\.key)))
        #expect(found.first { $0.key == prices[7].key } == prices[7])
        try store.store([price(3, units: 99)])
        #expect(try store.prices(of: [prices[2].key]).first?.cost.units == 99)
        try store.remove([prices[0].key, prices[1].key, Fingerprint(high: 9, low: 9)])
        var seen: Set<Fingerprint> = []
        try store.scan { price in
            seen.insert(price.key)
            return true
        }
        #expect(seen == Set(prices.dropFirst(2).map(\.key)))
        var count = 0
        try store.scan { _ in
            count += 1
            return count < 5
        }
        #expect(count == 5)
        let epoch = try store.epoch()
        #expect(try store.epoch() == epoch, "it stays the same store, whatever is stored or forgotten")
        #expect(try store.claim(prices[0].key, seconds: 60))
        #expect(try store.prices(of: []).isEmpty)
        try store.store([])
        try store.remove(prices.map(\.key))
    }
}
