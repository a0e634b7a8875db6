// SPDX-License-Identifier: Apache-2.0

/// A tier as it is looked at many times at one moment: what does not depend on the user is worked out once.
struct PreparedTier {
    let name: String
    let tier: Tier?
    let mode: EnforcementMode
    /// The spans of the limits' windows now.
    let spans: [(start: Int64, end: Int64)]

    init(_ name: String, _ terms: Decider.Terms, now: Int64) {
        self.name = name
        tier = terms.policy.tiers[name]
        mode = terms.mode(of: name)
        spans = tier?.limits.map { $0.window.span(at: now, terms.policy.zone) } ?? []
    }
}

/// The tiers that were prepared for one look.
struct PreparedTiers {
    private var tiers: [PreparedTier] = []
    private var index: [String: Int] = [:]
    private var last = 0

    mutating func find(_ name: String, _ terms: Decider.Terms, now: Int64) -> PreparedTier {
        if last < tiers.count, tiers[last].name == name { return tiers[last] }
        if let known = index[name] {
            last = known
        } else {
            tiers.append(PreparedTier(name, terms, now: now))
            last = tiers.count - 1
            index[name] = last
        }
        return tiers[last]
    }
}

/// The fullest of a user's budgets, without the others.
struct Fullest {
    var low = 0.0, high = 0.0
    var standing: LimitStanding?

    init() {}

    init(_ user: UserKey, _ prepared: PreparedTier, in ledger: borrowing NodeLedger, _ zone: ZoneTable, now: Int64) {
        guard let tier = prepared.tier else { return }
        for (limit, span) in zip(tier.limits, prepared.spans) {
            let found = LimitStanding(limit, of: user, in: ledger, span, zone, now: now)
            if standing == nil || found.low > low { (standing, low) = (found, found.low) }
            high = max(high, found.high)
        }
    }
}
