// SPDX-License-Identifier: Apache-2.0
public import PostgresWire

/// Which patterns a list of limited length tells one by one: the most costly ones of each user, who has a share of the list,
/// so that one user with many costly patterns does not hide those of others.
public struct CostliestPatterns {
    /// A pattern that ran.
    public struct Entry {
        /// The pattern.
        public var handle: PatternHandle
        /// The number of the user who ran it first.
        public var owner: Int32
        /// In micro-units.
        public var cost: Int64

        /// A pattern and what it cost.
        public init(handle: PatternHandle, owner: Int32, cost: Int64) {
            (self.handle, self.owner, self.cost) = (handle, owner, cost)
        }
    }

    /// Patterns that are told one by one.
    public private(set) var listed: [PatternHandle] = []
    /// Those that are not.
    public private(set) var others: [PatternHandle] = []

    /// Divides `entries` into at most `most` that are listed and others, each in the order of its handles.
    public init(_ entries: [Entry], most: Int) {
        var lists = OwnedLists()
        for (index, entry) in entries.enumerated() { lists.append(Int32(clamping: index), to: entry.owner) }
        let share = lists.share(of: most)
        // One pass for all of them: there may be many owners.
        var costs: [Int32: [Int64]] = [:]
        for owner in lists.owners(above: share) { costs[owner] = [] }
        for entry in entries { costs[entry.owner]?.append(entry.cost) }
        var quotas = costs.mapValues { Quota($0, share: share) }
        for entry in entries {
            if quotas[entry.owner]?.takes(entry.cost) ?? true {
                listed.append(entry.handle)
            } else {
                others.append(entry.handle)
            }
        }
    }

    /// What an owner who holds more than the share may list.
    private struct Quota {
        /// Whatever costs more is listed.
        private let threshold: Int64
        /// So many that cost just as much are, too.
        private var ties: Int

        init(_ costs: [Int64], share: Int) {
            let costs = costs.sorted(by: >)
            guard share > 0, costs.indices.contains(share - 1) else {
                (threshold, ties) = (.max, 0)
                return
            }
            let threshold = costs[share - 1]
            self.threshold = threshold
            ties = share - (costs.firstIndex { $0 <= threshold } ?? 0)
        }

        mutating func takes(_ cost: Int64) -> Bool {
            if cost == threshold, ties > 0 {
                ties -= 1
                return true
            }
            return cost > threshold
        }
    }
}
