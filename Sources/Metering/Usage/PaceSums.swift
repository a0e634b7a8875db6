// SPDX-License-Identifier: Apache-2.0
public import Costs
public import Domain

/// How long statements took, summed up by user, pattern, database and second, in bounded memory.
///
/// Where there are too many sums, those stay whose keys' hashes are small: of half of the keys, of a quarter, and so on. Which ones
/// depends on the keys alone, so parts that were thinned by themselves and then added are what one whole would be.
public struct PaceSums<Database: Hashable & Sendable>: Sendable {
    /// Whose executions of what, and when.
    public struct Key: Hashable, Sendable {
        /// In seconds since the epoch.
        public var second: Int64
        /// The user, by the hash of the name.
        public var tenant: Fingerprint
        /// The pattern and its database.
        public var pattern: Fingerprint, database: Database

        /// A key.
        public init(second: Int64, tenant: Fingerprint, pattern: Fingerprint, database: Database) {
            (self.second, self.tenant, self.pattern, self.database) = (second, tenant, pattern, database)
        }

        /// The database has another number elsewhere: it is no part of it.
        fileprivate var hash: UInt64 {
            var mixed = (tenant.low ^ pattern.high) &+ UInt64(bitPattern: second) &* 0x9E37_79B9_7F4A_7C15
            mixed = (mixed ^ pattern.low ^ mixed &>> 29) &* 0xBF58_476D_1CE4_E5B9
            return mixed ^ mixed &>> 32
        }
    }

    /// The sums.
    public private(set) var sums: [Key: Pace] = [:]
    /// One key of 2 to the power of this is kept.
    public private(set) var level: UInt64 = 0
    private let most: Int

    /// No sums; at most `most` are kept by ``thin(atLeast:)``.
    public init(most: Int) { self.most = max(1, most) }

    /// Adds to a sum.
    public mutating func add(_ pace: Pace, to key: Key) {
        if Self.isKept(key, level) { sums[key, default: Pace()].add(pace) }
    }

    /// Drops sums until they are few enough, and those that a part was without.
    public mutating func thin(atLeast other: UInt64 = 0) {
        if other > level { raise(to: other) }
        while sums.count > most, level < 63 { raise(to: level &+ 1) }
    }

    private mutating func raise(to level: UInt64) {
        self.level = min(63, level)
        sums = sums.filter { Self.isKept($0.key, self.level) }
    }

    private static func isKept(_ key: Key, _ level: UInt64) -> Bool { level == 0 || key.hash &>> (64 &- level) == 0 }
}
