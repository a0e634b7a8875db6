// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Why a store of prices did not answer.
public enum CostStoreError: Error, Equatable, CustomStringConvertible {
    /// It cannot be reached, or asked not to be: its circuit is open.
    case unavailable(store: String, reason: String)
    /// It holds something that is no price of ours.
    case damaged(store: String, reason: String)

    /// What happened, and to which store.
    public var description: String {
        switch self {
        case .unavailable(let store, let reason): "\(store) does not answer: \(reason)"
        case .damaged(let store, let reason): "\(store) holds what is no price: \(reason)"
        }
    }
}

/// Prices beyond one worker's cache: memory, a file, or Redis.
///
/// Calls may take a second and come from one service's thread only, never from a worker. What cannot be had is not an
/// error of the data path: the assumed price holds.
public protocol CostStore: Sendable {
    /// What it is, for people.
    var name: String { get }
    /// How it stands, for people, such as the state of a circuit breaker; empty where there is nothing to tell.
    var condition: String { get }
    /// Whether somebody else may change what it holds.
    var isShared: Bool { get }
    /// What this store calls itself since it was made: another answer than before means that all prices were lost.
    func epoch() throws(CostStoreError) -> String
    /// The prices that are known among `keys`.
    func prices(of keys: [Fingerprint]) throws(CostStoreError) -> [StoredPrice]
    /// Keeps prices; each replaces the older one of its key.
    func store(_ prices: [StoredPrice]) throws(CostStoreError)
    /// Forgets prices.
    func remove(_ keys: [Fingerprint]) throws(CostStoreError)
    /// All prices, in no order; `take` says whether to go on.
    func scan(_ take: (StoredPrice) -> Bool) throws(CostStoreError)
    /// Whether this caller is the first to ask for a price within `seconds`, among all that share the store: so that each
    /// pattern is asked once.
    func claim(_ key: Fingerprint, seconds: Int) throws(CostStoreError) -> Bool
}

extension CostStore {
    /// Nothing to tell.
    public var condition: String { "" }

    /// Files and servers are shared.
    public var isShared: Bool { true }

    /// A name for a store that has none yet.
    public static func newEpoch() -> String { String(UInt64.random(in: .min ... .max), radix: 16) }
}
