// SPDX-License-Identifier: Apache-2.0
import Domain
import PostgresWire

/// Who ran what since the last time, in memory of a fixed size.
///
/// One user may fill an eighth of it; what is beyond that, or finds no room, is to be added to the user's other patterns.
/// What finds no room even so is counted.
struct ActivityTable {
    private struct Entry {
        var principal: PrincipalHandle
        var pattern: PatternHandle
        var counts = ActivityCounts()
    }

    private var entries: [Entry] = []
    /// Where entries are found: a power of two of places, at most half of them taken, so that every search ends.
    private var places: [Int32]
    private let limit: Int
    /// Entries of each principal.
    private var held: [PrincipalHandle: Int] = [:]
    /// Statements that found no room, ever.
    private(set) var lost: UInt64 = 0

    /// A table for `limit` pairs, a KiB each when they are there.
    init(limit: Int = 1 << 15) {
        self.limit = limit
        // A power of two, as places are found by a mask: with any other number most are never looked at, and a search of those
        // that are has no end once they are full.
        let count = 1 << (Int.bitWidth - (max(1, limit) * 2 - 1).leadingZeroBitCount)
        places = Array(repeating: -1, count: count)
    }

    /// Bytes that it takes.
    var bytes: Int { entries.count * ActivityLog.bytesOfEntry }

    var isEmpty: Bool { entries.isEmpty }

    /// Counts the end of a statement, its cost as it was settled; false: there is no room for its pattern.
    mutating func add(_ event: StatementEvent, low: Int64, high: Int64) -> Bool {
        guard let index = place(event.principal, event.pattern, most: limit - limit / 8, own: limit / 8) else {
            return false
        }
        count(event, low, high, at: index)
        return true
    }

    /// More was charged for something that ended before; what has no room is left out of the history.
    mutating func add(_ principal: PrincipalHandle, _ pattern: PatternHandle, low: Int64, high: Int64) {
        guard let index = place(principal, pattern, most: limit, own: limit) else { return }
        entries[index].counts.cost &+= high
        entries[index].counts.costLow &+= low
    }

    /// The same with another pattern, for which room is kept free.
    mutating func add(_ event: StatementEvent, as pattern: PatternHandle, low: Int64, high: Int64) {
        guard let index = place(event.principal, pattern, most: limit, own: limit) else {
            lost &+= 1
            return
        }
        count(event, low, high, at: index)
    }

    private mutating func count(_ event: StatementEvent, _ low: Int64, _ high: Int64, at index: Int) {
        entries[index].counts.cost &+= high
        entries[index].counts.costLow &+= low
        entries[index].counts.bytes &+= UInt64(clamping: event.bytesReceived)
        switch event.outcome {
        case .completed:
            entries[index].counts.calls &+= 1
            entries[index].counts.rows &+= event.rows
            entries[index].counts.durations.record(event.duration)
        case .failed, .skipped: entries[index].counts.errors &+= 1
        case .uncertain: entries[index].counts.uncertain &+= 1
        }
    }

    private func home(_ principal: PrincipalHandle, _ pattern: PatternHandle) -> Int {
        let mixed =
            (UInt64(UInt32(bitPattern: principal)) &<< 32 | UInt64(UInt32(bitPattern: pattern)))
            &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: mixed &>> 32) & (places.count - 1)
    }

    private mutating func place(
        _ principal: PrincipalHandle,
        _ pattern: PatternHandle,
        most: Int,
        own: Int
    ) -> Int? {
        let mask = places.count - 1
        var place = home(principal, pattern)
        while places[place] >= 0 {
            let index = Int(places[place])
            if entries[index].principal == principal, entries[index].pattern == pattern { return index }
            place = (place &+ 1) & mask
        }
        guard entries.count < most, held[principal, default: 0] < own else { return nil }
        held[principal, default: 0] += 1
        places[place] = Int32(entries.count)
        entries.append(Entry(principal: principal, pattern: pattern))
        return entries.count - 1
    }

    /// Patterns and principals are gone: what was counted of them is that of their heirs.
    mutating func fold(patterns: [PatternHandle: PatternHandle], principals: [PrincipalHandle: PrincipalHandle]) {
        let isTouched = entries.contains { patterns[$0.pattern] != nil || principals[$0.principal] != nil }
        guard isTouched else { return }
        let old = entries
        clear(keepingCapacity: true)
        for entry in old {
            let pattern = patterns[entry.pattern] ?? entry.pattern
            let principal = principals[entry.principal] ?? entry.principal
            // There is room: they are no more than before.
            guard let index = place(principal, pattern, most: limit, own: limit) else { continue }
            entries[index].counts.add(entry.counts)
        }
    }

    /// What was counted, which begins anew.
    mutating func take() -> [(principal: PrincipalHandle, pattern: PatternHandle, counts: ActivityCounts)] {
        let taken = entries.map { ($0.principal, $0.pattern, $0.counts) }
        guard !taken.isEmpty else { return [] }
        clear(keepingCapacity: taken.count < 4096)
        return taken
    }

    private mutating func clear(keepingCapacity: Bool) {
        entries.removeAll(keepingCapacity: keepingCapacity)
        held = [:]
        for index in places.indices { places[index] = -1 }
    }
}
