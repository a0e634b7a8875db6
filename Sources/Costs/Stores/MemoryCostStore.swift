// SPDX-License-Identifier: Apache-2.0
public import Domain
import Synchronization

/// Prices in this process only; the least recently stored ones make room.
public final class MemoryCostStore: CostStore {
    private struct State {
        var prices: [Fingerprint: StoredPrice] = [:]
        var order: [Fingerprint] = []
    }

    private let state = Mutex(State())
    private let limit: Int
    /// What it is, for people.
    public let name = "memory"

    /// A store of at most `limit` prices.
    public init(limit: Int = 1 << 20) { self.limit = max(1, limit) }

    /// It lives as long as its process.
    public func epoch() -> String { "" }

    /// The prices that are known among `keys`.
    public func prices(of keys: [Fingerprint]) -> [StoredPrice] {
        state.withLock { state in keys.compactMap { state.prices[$0] } }
    }

    /// Keeps prices.
    public func store(_ prices: [StoredPrice]) {
        state.withLock { state in
            for price in prices {
                if state.prices.updateValue(price, forKey: price.key) == nil { state.order.append(price.key) }
            }
            let surplus = state.prices.count - limit
            guard surplus > 0 else { return }
            for key in state.order.prefix(surplus) { state.prices[key] = nil }
            state.order.removeFirst(surplus)
        }
    }

    /// Forgets prices.
    public func remove(_ keys: [Fingerprint]) {
        let gone = Set(keys)
        state.withLock { state in
            for key in keys { state.prices[key] = nil }
            state.order.removeAll { gone.contains($0) }
        }
    }

    /// All prices.
    public func scan(_ take: (StoredPrice) -> Bool) {
        for price in state.withLock({ Array($0.prices.values) }) where !take(price) { return }
    }

    /// Nobody shares this store.
    public func claim(_ key: Fingerprint, seconds: Int) -> Bool { true }
}
