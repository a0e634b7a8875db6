// SPDX-License-Identifier: Apache-2.0
public import Domain

/// The first level of prices: one worker's own, fixed in size, least recently used of eight ways, with a lifetime.
///
/// A lookup touches one set of eight entries and allocates nothing.
public struct PriceCache: ~Copyable {
    private struct Entry: BitwiseCopyable {
        var key = Fingerprint.unknown
        var price: Int64 = 0
        var expires: Int64 = .min
        var used: UInt32 = 0
    }

    private static let ways = 8

    private var entries: [Entry]
    private let mask: Int
    private let lifetime: Int64
    private var clock: UInt32 = 0
    /// Lookups that found a price, and that did not.
    public private(set) var hits: UInt64 = 0, misses: UInt64 = 0
    /// Prices that made room for others before their time.
    public private(set) var evictions: UInt64 = 0

    /// A cache of about `capacity` prices, each good for `lifetime` nanoseconds.
    public init(capacity: Int = 16_384, lifetime: Int64 = 600_000_000_000) {
        var sets = 1
        while sets * Self.ways < capacity { sets *= 2 }
        entries = Array(repeating: Entry(), count: sets * Self.ways)
        mask = sets - 1
        self.lifetime = lifetime
    }

    /// The price of a pattern, or `nil` when it is not known or too old.
    public mutating func price(of key: Fingerprint, at time: Timestamp) -> Int64? {
        let first = (Int(truncatingIfNeeded: key.low) & mask) &* Self.ways
        clock &+= 1
        for index in first..<first &+ Self.ways where entries[index].key == key {
            guard entries[index].expires > time.nanoseconds else { break }
            entries[index].used = clock
            hits &+= 1
            return entries[index].price
        }
        misses &+= 1
        return nil
    }

    /// The price of a pattern and until when it is good, ns since 1970; no lookup in the counters' sense.
    public func entry(of key: Fingerprint, at time: Timestamp) -> (price: Int64, expires: Int64)? {
        let first = (Int(truncatingIfNeeded: key.low) & mask) &* Self.ways
        for index in first..<first &+ Self.ways where entries[index].key == key {
            return entries[index].expires > time.nanoseconds ? (entries[index].price, entries[index].expires) : nil
        }
        return nil
    }

    /// Remembers a price.
    public mutating func store(_ price: Int64, for key: Fingerprint, at time: Timestamp) {
        let first = (Int(truncatingIfNeeded: key.low) & mask) &* Self.ways
        var victim = first
        for index in first..<first + Self.ways {
            if entries[index].key == key || entries[index].expires <= time.nanoseconds {
                victim = index
                break
            }
            if clock &- entries[index].used > clock &- entries[victim].used { victim = index }
        }
        if entries[victim].expires > time.nanoseconds, entries[victim].key != key { evictions &+= 1 }
        let (expires, overflow) = time.nanoseconds.addingReportingOverflow(lifetime)
        entries[victim] = Entry(key: key, price: price, expires: overflow ? .max : expires, used: clock)
    }
}
