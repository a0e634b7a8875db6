// SPDX-License-Identifier: Apache-2.0
public import Domain
import Synchronization

/// Prices in this process only; those that were stored first make room.
public final class MemoryCostStore: CostStore {
    private struct State {
        var prices: [Fingerprint: StoredPrice] = [:]
        var order: [Fingerprint] = []
        /// What they take, in bytes.
        var weight = 0
    }

    private let state = Mutex(State())
    private let limit: Int
    private let mostBytes: Int
    /// What it is, for people.
    public let name = "memory"

    /// A store of at most `limit` prices, which take about `bytes` at most.
    public init(limit: Int = 1 << 20, bytes: Int = 64 << 20) { (self.limit, mostBytes) = (max(1, limit), bytes) }

    /// Nobody else changes what it holds.
    public var isShared: Bool { false }

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
                state.weight += Self.weight(price)
                if let old = state.prices.updateValue(price, forKey: price.key) {
                    state.weight -= Self.weight(old)
                } else {
                    state.order.append(price.key)
                }
            }
            guard state.prices.count > limit || state.weight > mostBytes else { return }
            // More than is needed, so that not every store moves all that is left.
            let (fewer, lighter) = (limit - limit / 16, mostBytes - mostBytes / 16)
            var gone = 0
            while state.prices.count > fewer || state.weight > lighter, gone < state.order.count {
                if let old = state.prices.removeValue(forKey: state.order[gone]) { state.weight -= Self.weight(old) }
                gone += 1
            }
            state.order.removeFirst(gone)
        }
    }

    private static func weight(_ price: StoredPrice) -> Int {
        512 + price.pattern.utf8.count + price.shape.utf8.count + price.tables.reduce(0) { $0 + 16 + $1.utf8.count }
    }

    /// Forgets prices.
    public func remove(_ keys: [Fingerprint]) {
        let gone = Set(keys)
        state.withLock { state in
            for key in keys {
                if let old = state.prices.removeValue(forKey: key) { state.weight -= Self.weight(old) }
            }
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
