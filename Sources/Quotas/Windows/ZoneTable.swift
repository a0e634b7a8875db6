// SPDX-License-Identifier: Apache-2.0

/// A time zone as a list of its changes: what calendar windows need to know of it.
public struct ZoneTable: Sendable, Hashable {
    /// From a moment on, local time is this much ahead of UTC.
    public struct Change: Sendable, Hashable {
        /// Seconds since the epoch.
        public var from: Int64
        /// Seconds east of UTC; within ±26 h.
        public var offset: Int64

        /// A change.
        public init(from: Int64, offset: Int64) { (self.from, self.offset) = (from, offset) }
    }

    /// Its name, such as `Europe/Berlin`.
    public let name: String
    private let first: Int64
    private let changes: [Change]

    /// A zone.
    ///
    /// - Parameters:
    ///   - first: the offset before the first change.
    ///   - changes: in any order; offsets out of range are taken as 0.
    public init(name: String, first: Int64 = 0, changes: [Change] = []) {
        func sane(_ offset: Int64) -> Int64 { abs(offset) <= 93_600 ? offset : 0 }
        self.name = name
        self.first = sane(first)
        self.changes = changes.sorted { $0.from < $1.from }.map { Change(from: $0.from, offset: sane($0.offset)) }
    }

    /// Coordinated universal time.
    public static let utc = ZoneTable(name: "UTC")

    /// Seconds east of UTC at a moment, in seconds since the epoch.
    public func offset(at seconds: Int64) -> Int64 {
        var (low, high) = (0, changes.count)
        while low < high {
            let middle = (low + high) / 2
            if changes[middle].from <= seconds { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? first : changes[low - 1].offset
    }

    /// When a local time is, given as the seconds that would be since the epoch if it were UTC.
    ///
    /// Of a time that occurs twice it is the first; one that is skipped is the moment of the change.
    public func moment(ofLocal local: Int64) -> Int64 {
        let early = local - offset(at: local - 93_600)
        if early + offset(at: early) == local { return early }
        let late = local - offset(at: local + 93_600)
        if late + offset(at: late) == local { return late }
        // Skipped: the change that skips it lies between the two.
        return changes.first { $0.from > min(early, late) - 1 && $0.from <= max(early, late) }?.from ?? early
    }

    /// Days from 1970-01-01 to the first of a month, 1 to 12, of the Gregorian calendar.
    public static func days(year: Int64, month: Int64) -> Int64 {
        CivilDate(year: year, month: month, day: 1).days
    }
}
