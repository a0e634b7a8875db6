// SPDX-License-Identifier: Apache-2.0

/// How much one worker's tables may hold of what clients make up: their texts, names and addresses.
///
/// Each user has a share of a table. Where one is full, whoever holds most loses own entries, those not used for the longest
/// time first; what they had counted is added to one entry that stands for all others of the same user.
public struct TableLimits: Sendable {
    /// Patterns, each with as much of its text as ``textUnit``; longer ones count several times.
    public var patterns: Int
    /// Users in their databases, by client address.
    public var principals: Int
    /// Bytes of the first statements of patterns, which are kept until they are priced.
    public var samples: Int
    /// Pairs of user and pattern that the history has not taken yet.
    public var activity: Int
    /// Prices at hand where a service tells them; and statements that wait to be settled by their time.
    public var prices: Int, unsettled: Int

    /// Limits; each is at least what one entry takes.
    public init(
        patterns: Int,
        principals: Int,
        samples: Int,
        activity: Int = 1 << 15,
        prices: Int = PriceLookup.mostPrices,
        unsettled: Int = 1 << 20
    ) {
        self.patterns = min(1 << 20, max(16, patterns))
        self.principals = min(1 << 16, max(16, principals))
        self.samples = max(1 << 16, samples)
        self.activity = min(1 << 20, max(1 << 9, activity))
        self.prices = min(PriceLookup.mostPrices, max(1 << 6, prices))
        self.unsettled = min(1 << 20, max(1 << 9, unsettled))
    }

    /// Bytes of a pattern's text that count as one pattern.
    static var textUnit: Int { 512 }
    /// One user's share of a table, at most: three of four parts.
    static func most(of limit: Int) -> Int { limit - limit / 4 }
    /// Whoever holds less than others may fill a table beyond this.
    static func ease(_ limit: Int) -> Int { limit - limit / 8 }
}
