// SPDX-License-Identifier: Apache-2.0
public import Domain

/// A price as a worker knows it.
public struct KnownPrice: BitwiseCopyable, Sendable {
    /// What an execution is charged when it is sent, in micro-units.
    public var price: Int64
    /// Rows and bytes are charged on top.
    public var isMeasured: Bool
    /// What the planner said, in micro-units; 0: nothing.
    public var planned: Int64
    /// How long an execution usually takes, ns; 0: not known.
    public var usual: Int64
    /// A person set it: neither time nor anything else changes it.
    public var isFixed: Bool

    /// A price.
    public init(price: Int64, isMeasured: Bool = false, planned: Int64 = 0, usual: Int64 = 0, isFixed: Bool = false) {
        (self.price, self.isMeasured, self.planned, self.usual) = (price, isMeasured, planned, usual)
        self.isFixed = isFixed
    }
}

/// A price as the cache gives it.
public struct CachedPrice: BitwiseCopyable {
    /// The price.
    public var known: KnownPrice
    /// Until when it is good, ns since 1970.
    public var expires: Int64
    /// It is older than that: it holds until there is a newer one, which should be asked for.
    public var isStale: Bool

    /// A price.
    public init(_ known: KnownPrice, expires: Int64, isStale: Bool) {
        (self.known, self.expires, self.isStale) = (known, expires, isStale)
    }
}

/// The first level of prices: one worker's own, fixed in size, least recently used of eight ways, with a lifetime.
///
/// A lookup touches one set of eight entries and allocates nothing. A price that is too old is still given, and said to
/// be stale. What much was spent on is pinned: only its like may take its place.
public struct PriceCache: ~Copyable {
    private struct Entry: BitwiseCopyable {
        var key = Fingerprint.unknown
        var price = KnownPrice(price: 0)
        var expires: Int64 = .min
        var used: UInt32 = 0
        var isPinned = false
        var isTaken: Bool { expires != .min }
    }

    /// The size of a daemon's: of 100,000 patterns the popular ones, 5 MiB.
    public static let liveCapacity = 131_072

    private static let ways = 8
    /// Bytes of one price with its half of a key.
    public static var bytesOfEntry: Int { MemoryLayout<Entry>.stride + MemoryLayout<UInt64>.stride }
    /// Bytes of all places.
    public var bytes: Int { entries.count * Self.bytesOfEntry }
    /// Patterns that cost more than this so far are pinned, in micro-units: ten thousand statements at an unknown price.
    public static let pinThreshold: Int64 = 10_000 * CostUnits.fallback.micro

    /// Halves of keys, by themselves: those of a set fill one cache line.
    ///
    /// 0 stands for a free place, or a key whose half is 0.
    private var tags: [[8 of UInt64]]
    private var entries: [Entry]
    private let mask: Int
    private let lifetime: Int64
    private var clock: UInt32 = 0
    /// Lookups that found a price in time, one that is too old, and none.
    public private(set) var hits: UInt64 = 0, stale: UInt64 = 0, misses: UInt64 = 0
    /// Prices that made room for others before their time.
    public private(set) var evictions: UInt64 = 0

    /// A cache of about `capacity` prices, each good for `lifetime` nanoseconds.
    public init(capacity: Int = liveCapacity, lifetime: Int64 = 600_000_000_000) {
        var sets = 1
        while sets * Self.ways < capacity { sets *= 2 }
        tags = Array(repeating: .init(repeating: 0), count: sets)
        entries = Array(repeating: Entry(), count: sets * Self.ways)
        mask = sets - 1
        self.lifetime = lifetime
    }

    /// The price of a pattern, or `nil` when it is not known; `spent`: what it cost so far, in micro-units.
    public mutating func find(_ key: Fingerprint, spent: Int64 = 0, at time: Timestamp) -> CachedPrice? {
        clock &+= 1
        guard let index = place(of: key) else {
            misses &+= 1
            return nil
        }
        entries[index].used = clock
        if spent >= Self.pinThreshold { entries[index].isPinned = true }
        let entry = entries[index]
        let isStale = entry.expires <= time.nanoseconds
        if isStale { stale &+= 1 } else { hits &+= 1 }
        return CachedPrice(entry.price, expires: entry.expires, isStale: isStale)
    }

    /// Where the price of `key` stands.
    ///
    /// All ways are compared, without a branch: which one it is cannot be foreseen, and a wrong guess costs more.
    @inline(__always)
    private mutating func place(of key: Fingerprint) -> Int? {
        let set = Int(truncatingIfNeeded: key.low) & mask
        let own = tags[set]
        var way = Self.ways
        for step in 1...8 { way = own[8 &- step] == key.high ? 8 &- step : way }
        guard way < Self.ways else { return nil }
        let first = set &* Self.ways
        if entries[first &+ way].key == key, entries[first &+ way].isTaken { return first &+ way }
        return otherPlace(of: key, first)
    }

    /// The same where another key of the set has the same half.
    @inline(never)
    private mutating func otherPlace(of key: Fingerprint, _ first: Int) -> Int? {
        (first..<first + Self.ways).first { entries[$0].key == key && entries[$0].isTaken }
    }

    /// Remembers a price.
    public mutating func store(_ price: KnownPrice, for key: Fingerprint, at time: Timestamp) {
        let first = (Int(truncatingIfNeeded: key.low) & mask) &* Self.ways
        let (sum, overflow) = time.nanoseconds.addingReportingOverflow(lifetime)
        let expires = overflow ? .max : max(sum, .min + 1)
        var victim = first
        for index in first..<first + Self.ways {
            if entries[index].key == key || !entries[index].isTaken {
                victim = index
                break
            }
            if isBetterVictim(entries[index], than: entries[victim]) { victim = index }
        }
        let isOther = entries[victim].isTaken && entries[victim].key != key
        if isOther, entries[victim].expires > time.nanoseconds { evictions &+= 1 }
        let isPinned = !isOther && entries[victim].isPinned
        tags[first / Self.ways][victim - first] = key.high
        entries[victim] = Entry(
            key: key,
            price: price,
            expires: expires,
            used: clock,
            isPinned: isPinned
        )
    }

    private func isBetterVictim(_ entry: Entry, than other: Entry) -> Bool {
        if entry.isPinned != other.isPinned { return other.isPinned }
        return clock &- entry.used > clock &- other.used
    }
}
