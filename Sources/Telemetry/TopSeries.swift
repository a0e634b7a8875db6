// SPDX-License-Identifier: Apache-2.0

/// Counters of the heaviest among many: a series each, and one for all others, none of which ever goes down.
///
/// Who is among them changes at most once a ``period``, and nobody leaves who is still heavier than the newcomer.
public struct TopSeries<Key: Hashable & Sendable>: Sendable {
    private let limit: Int
    private var members: [Key: Double] = [:]
    private var recent: [Key: Double] = [:]
    private var rest = 0.0
    private var chosen = -Double.infinity
    /// Seconds between two choices, and keys that are told apart in between.
    private static var period: Double { 30 }
    private static var mostRecent: Int { 1 << 17 }

    /// Series for `limit` keys.
    public init(limit: Int) { self.limit = limit }

    /// Counts something; what is not above zero is nothing.
    public mutating func add(_ value: Double, of key: Key) {
        guard value > 0 else { return }
        if members[key] != nil { members[key]? += value } else { rest += value }
        if recent[key] != nil || recent.count < Self.mostRecent { recent[key, default: 0] += value }
    }

    /// The series as of `now`, in seconds of any clock, the heaviest first; and what all others come to.
    public mutating func read(at now: Double) -> (members: [(key: Key, value: Double)], others: Double) {
        if now - chosen >= Self.period || now < chosen { choose(now) }
        return (members.map { ($0.key, $0.value) }.sorted { $0.1 > $1.1 }, rest)
    }

    private mutating func choose(_ now: Double) {
        chosen = now
        let heaviest = recent.sorted { $0.value > $1.value }.prefix(limit)
        for (key, weight) in heaviest where members[key] == nil {
            if members.count >= limit {
                guard let lightest = members.keys.min(by: { (recent[$0] ?? 0) < (recent[$1] ?? 0) }),
                    recent[lightest] ?? 0 < weight
                else { break }
                members[lightest] = nil
            }
            // What came before is among the others, and stays there.
            members[key] = 0
        }
        recent.removeAll(keepingCapacity: true)
    }
}
