// SPDX-License-Identifier: Apache-2.0
public import Domain

/// What durations teach about one pattern, each user's apart: nobody's runs move the price of another who runs it too.
public struct PayerLearning: Sendable {
    private var known: [Fingerprint: LearnedCost] = [:]

    /// Users that are told apart; of more, those who ran it least are forgotten.
    private static let most = 64

    /// Nothing learned yet.
    public init() {}

    /// Takes `count` runs of a user.
    public mutating func learn(_ payer: Fingerprint, _ count: UInt64, of milliseconds: Double, cost: CostUnits) {
        if known[payer] == nil, known.count >= Self.most,
            let least = known.min(by: { ($0.value.runs, $0.key) < ($1.value.runs, $1.key) })?.key
        {
            known[least] = nil
        }
        known[payer, default: LearnedCost()].learn(count, of: milliseconds, cost: cost)
    }

    /// The cost has changed.
    public mutating func rebase(from old: CostUnits, to new: CostUnits) {
        for payer in known.keys { known[payer]?.rebase(from: old, to: new) }
    }

    /// Users who have something of their own, once there are two.
    public var payers: [Fingerprint] { known.count > 1 ? known.keys.sorted() : [] }

    /// What a user's own runs taught; `nil`: too few, or it is the only one.
    public subscript(payer: Fingerprint) -> LearnedCost? {
        guard known.count > 1, let own = known[payer], own.runs >= 3 else { return nil }
        return own
    }
}
