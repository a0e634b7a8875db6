// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Patterns that wait to be priced: each once, those that failed not again too soon.
///
/// Users take turns by the time that their questions take, so that one who makes up patterns does not make others wait; of one
/// user's the popular ones come first.
/// Bounded in number and bytes: when it is full, whoever has most waiting makes room, rare patterns first, which is counted;
/// they ask again when they run again.
public struct PriceQueue<Request> {
    private struct Entry {
        var request: Request
        var calls: UInt64
        var since: Int64
        var bytes: Int
    }

    private struct Share {
        var entries: [Fingerprint: Entry] = [:]
        var bytes = 0
        /// How many of them were taken.
        var turns: UInt64 = 0
    }

    private struct Rest {
        var until: Int64
        var failures: Int
    }

    /// What waits, by the user who pays, and whose a pattern is.
    private var shares: [String: Share] = [:]
    private var payers: [Fingerprint: String] = [:]
    /// Users with something waiting, in the order of their coming.
    private var order: [String] = []
    /// What users' questions took so far, in ms; who had nothing waiting has no claim to what others took meanwhile.
    private var taken: [String: Double] = [:]
    private var latest = 0.0
    private var resting: [Fingerprint: Rest] = [:]
    private var bytes = 0
    private let limit: Int
    private let mostBytes: Int
    private let describe: (Request) -> (payer: String, bytes: Int)
    /// Requests that found no room.
    public private(set) var overflow: UInt64 = 0
    /// Requests for a pattern that was waiting already.
    public private(set) var duplicates: UInt64 = 0

    /// The first rest after a failure, and the longest, ns.
    private static var shortestRest: Int64 { 60_000_000_000 }
    private static var longestRest: Int64 { 600_000_000_000 }

    /// A queue of at most `limit` patterns and about `bytes` bytes.
    ///
    /// - Parameter describe: who pays for a request, and how many bytes it holds.
    public init(
        limit: Int = 10_000,
        bytes: Int = 16 << 20,
        _ describe: @escaping (Request) -> (payer: String, bytes: Int) = { _ in ("", 0) }
    ) {
        (self.limit, mostBytes) = (max(1, limit), bytes)
        self.describe = describe
    }

    /// How many wait.
    public var count: Int { payers.count }

    /// How long the one that waits longest has waited, ns.
    public func age(at time: Int64) -> Int64 {
        shares.values.reduce(0) { $1.entries.values.reduce($0) { max($0, time &- $1.since) } }
    }

    /// Asks for a price; `calls`: how often the pattern ran since it was asked for last.
    public mutating func add(_ key: Fingerprint, _ request: @autoclosure () -> Request, calls: UInt64, at time: Int64) {
        if let rest = resting[key], rest.until > time { return }
        if let payer = payers[key] {
            shares[payer]?.entries[key]?.calls &+= calls
            duplicates &+= 1
            return
        }
        let request = request()
        let (payer, size) = describe(request)
        while count >= limit || (bytes + size > mostBytes && count > 0) {
            overflow &+= 1
            guard makeRoom(for: payer, size, calls) else { return }
        }
        if shares[payer] == nil {
            order.append(payer)
            if taken.count > limit { taken = taken.filter { shares[$0.key] != nil } }
            taken[payer] = max(taken[payer] ?? 0, latest)
        }
        shares[payer, default: Share()].entries[key] = Entry(request: request, calls: calls, since: time, bytes: size)
        shares[payer]?.bytes += size
        bytes += size
        payers[key] = payer
    }

    /// Whoever has most waiting gives something up: another user always, the same one only for what is more popular.
    private mutating func makeRoom(for payer: String, _ size: Int, _ calls: UInt64) -> Bool {
        func weight(_ share: Share?) -> Int {
            guard let share else { return 0 }
            return share.entries.count * max(1, mostBytes / limit) + share.bytes
        }
        guard let largest = shares.max(by: { (weight($0.value), $0.key) < (weight($1.value), $1.key) }) else {
            return false
        }
        let isOwn = largest.key == payer || weight(shares[payer]) + size >= weight(largest.value)
        let share = isOwn ? shares[payer] : largest.value
        // Looking for the least popular one costs a walk: of one's own only for those that are popular themselves.
        guard !isOwn || calls > 1, let rare = share?.entries.min(by: { $0.value.calls < $1.value.calls }),
            !isOwn || rare.value.calls < calls
        else { return false }
        _ = remove(rare.key)
        return true
    }

    private mutating func remove(_ key: Fingerprint) -> Entry? {
        guard let payer = payers.removeValue(forKey: key), let entry = shares[payer]?.entries.removeValue(forKey: key)
        else { return nil }
        shares[payer]?.bytes -= entry.bytes
        bytes -= entry.bytes
        if shares[payer]?.entries.isEmpty == true {
            shares[payer] = nil
            order.removeAll { $0 == payer }
        }
        return entry
    }

    /// The pattern to price next: of the user whose turn it is the most popular one, but of every fourth turn the one that has
    /// waited longest.
    public mutating func next(turn: UInt64) -> (key: Fingerprint, request: Request)? {
        guard let payer = order.min(by: { taken[$0, default: 0] < taken[$1, default: 0] }), let share = shares[payer]
        else { return nil }
        latest = taken[payer, default: 0]
        // Each question takes some time.
        taken[payer] = latest + 1
        shares[payer]?.turns &+= 1
        // Where there are many users, turns in all say nothing of one's own.
        let own = order.count == 1 ? turn : share.turns
        let best =
            own % 4 == 3
            ? share.entries.min { ($0.value.since, $0.key) < ($1.value.since, $1.key) }
            : share.entries.max { ($0.value.calls, $1.value.since, $1.key) < ($1.value.calls, $0.value.since, $0.key) }
        guard let best, let entry = remove(best.key) else { return nil }
        return (best.key, entry.request)
    }

    /// A user's question took so long, in ms.
    public mutating func charge(_ milliseconds: Double, to payer: String) {
        if taken[payer] != nil { taken[payer]? += max(0, milliseconds) }
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
