// SPDX-License-Identifier: Apache-2.0
public import Domain

/// How much room each user takes in a table of patterns, so that whoever takes most makes room first.
public struct PayerShares {
    private struct Share {
        var weight = 0
        var entries: [Fingerprint: Int] = [:]
    }

    private var shares: [String: Share] = [:]
    private var payers: [Fingerprint: String] = [:]
    /// What all entries weigh together.
    public private(set) var weight = 0

    /// Nobody holds anything.
    public init() {}

    /// How many entries there are.
    public var count: Int { payers.count }

    /// Notes an entry, anew if it is there already.
    public mutating func add(_ key: Fingerprint, of payer: String, weight: Int) {
        remove(key)
        payers[key] = payer
        shares[payer, default: Share()].entries[key] = weight
        shares[payer]?.weight += weight
        self.weight += weight
    }

    /// An entry is gone.
    public mutating func remove(_ key: Fingerprint) {
        guard let payer = payers.removeValue(forKey: key), let held = shares[payer]?.entries.removeValue(forKey: key)
        else { return }
        shares[payer]?.weight -= held
        weight -= held
        if shares[payer]?.entries.isEmpty == true { shares[payer] = nil }
    }

    /// Who holds most.
    public var largest: String? { shares.max { ($0.value.weight, $0.key) < ($1.value.weight, $1.key) }?.key }

    /// What a user's entries weigh.
    public func weight(of payer: String) -> Int { shares[payer]?.weight ?? 0 }

    /// Some entries of whoever holds most, `count` at most.
    public func victims(_ count: Int) -> [Fingerprint] {
        largest.flatMap { shares[$0] }.map { Array($0.entries.keys.prefix(count)) } ?? []
    }
}
