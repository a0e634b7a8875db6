// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Patterns that wait to be priced: each once, the popular ones first, those that failed not again too soon.
///
/// Bounded: when it is full, rare patterns are left out, which is counted; they ask again when they run again.
public struct PriceQueue<Request> {
    private struct Entry {
        var request: Request
        var calls: UInt64
        var since: Int64
    }

    private struct Rest {
        var until: Int64
        var failures: Int
    }

    private var entries: [Fingerprint: Entry] = [:]
    private var resting: [Fingerprint: Rest] = [:]
    private let limit: Int
    /// Requests that found no room.
    public private(set) var overflow: UInt64 = 0
    /// Requests for a pattern that was waiting already.
    public private(set) var duplicates: UInt64 = 0

    /// The first rest after a failure, and the longest, ns.
    private static var shortestRest: Int64 { 60_000_000_000 }
    private static var longestRest: Int64 { 600_000_000_000 }

    /// A queue of at most `limit` patterns.
    public init(limit: Int = 10_000) { self.limit = max(1, limit) }

    /// How many wait.
    public var count: Int { entries.count }

    /// How long the one that waits longest has waited, ns.
    public func age(at time: Int64) -> Int64 { entries.values.reduce(0) { max($0, time &- $1.since) } }

    /// Asks for a price; `calls`: how often the pattern ran since it was asked for last.
    public mutating func add(_ key: Fingerprint, _ request: @autoclosure () -> Request, calls: UInt64, at time: Int64) {
        if let rest = resting[key], rest.until > time { return }
        if entries[key] != nil {
            entries[key]?.calls &+= calls
            duplicates &+= 1
            return
        }
        if entries.count >= limit {
            overflow &+= 1
            // Looking for the least popular one costs a walk: only for those that are popular themselves.
            guard calls > 1, let rare = entries.min(by: { $0.value.calls < $1.value.calls }), rare.value.calls < calls
            else { return }
            entries[rare.key] = nil
        }
        entries[key] = Entry(request: request(), calls: calls, since: time)
    }

    /// The pattern to price next: the most popular one, but of every fourth turn the one that has waited longest.
    public mutating func next(turn: UInt64) -> (key: Fingerprint, request: Request)? {
        let best =
            turn % 4 == 3
            ? entries.min { ($0.value.since, $0.key) < ($1.value.since, $1.key) }
            : entries.max { ($0.value.calls, $1.value.since, $1.key) < ($1.value.calls, $0.value.since, $0.key) }
        guard let best else { return nil }
        entries[best.key] = nil
        return (best.key, best.value.request)
    }

    /// The question failed: it is not asked again for a minute, then longer each time, up to ten.
    public mutating func failed(_ key: Fingerprint, at time: Int64) -> Int {
        let failures = min(30, (resting[key]?.failures ?? 0) + 1)
        let rest = min(Self.longestRest, Self.shortestRest &* Int64(1 << min(failures - 1, 4)))
        if resting.count >= limit { resting = resting.filter { $0.value.until > time } }
        if resting.count < limit { resting[key] = Rest(until: time &+ rest, failures: failures) }
        return failures
    }

    /// It could not be asked for reasons of its own: no failure, but it rests a while, ns.
    public mutating func postpone(_ key: Fingerprint, for rest: Int64, at time: Int64) {
        guard resting.count < limit else { return }
        resting[key] = Rest(until: time &+ rest, failures: resting[key]?.failures ?? 0)
    }

    /// It was answered: an earlier failure no longer counts.
    public mutating func succeeded(_ key: Fingerprint) { resting[key] = nil }
}
