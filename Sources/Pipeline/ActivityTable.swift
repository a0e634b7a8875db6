// SPDX-License-Identifier: Apache-2.0
public import Domain
import PostgresWire

/// What one user ran of one pattern in one database since the last time: a line of the history.
public struct ActivityRecord: Sendable {
    /// The user; `nil`: unattributed.
    public var user: String?
    /// The database; `nil`: unattributed.
    public var database: String?
    /// The pattern's key, and its normalized text.
    public var fingerprint: Fingerprint, text: [UInt8]
    /// What was counted.
    public var counts: ActivityCounts
}

/// Counts of a line of the history.
public struct ActivityCounts: Sendable, BitwiseCopyable {
    /// Executions finished, failed, and with an end that is not known.
    public var calls: UInt64 = 0, errors: UInt64 = 0, uncertain: UInt64 = 0
    /// Rows, and bytes that the server sent.
    public var rows: UInt64 = 0, bytes: UInt64 = 0
    /// Micro-units: proven, and proven or possible.
    public var costLow: Int64 = 0, cost: Int64 = 0
    /// Server times of finished executions.
    public var durations = DurationHistogram()

    /// All zero.
    public init() {}

    /// Adds other counts.
    public mutating func add(_ other: ActivityCounts) {
        calls &+= other.calls
        errors &+= other.errors
        uncertain &+= other.uncertain
        rows &+= other.rows
        bytes &+= other.bytes
        costLow &+= other.costLow
        cost &+= other.cost
        durations.add(other.durations)
    }
}

/// Who ran what since the last time, in memory of a fixed size: what finds no room is counted, not kept.
struct ActivityTable {
    private struct Entry {
        var principal: PrincipalHandle
        var pattern: PatternHandle
        var counts = ActivityCounts()
    }

    private var entries: [Entry] = []
    private var places: [Int32]
    private let limit: Int
    /// Statements that found no room, ever.
    private(set) var lost: UInt64 = 0

    /// A table for `limit` pairs, a KiB each when they are there.
    init(limit: Int = 1 << 15) {
        self.limit = limit
        places = Array(repeating: -1, count: limit * 2)
    }

    var isEmpty: Bool { entries.isEmpty }

    /// Counts the end of a statement; `cost` as it was settled.
    mutating func add(_ event: StatementEvent, low: Int64, high: Int64) {
        guard let index = place(event.principal, event.pattern) else {
            lost &+= 1
            return
        }
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

    private mutating func place(_ principal: PrincipalHandle, _ pattern: PatternHandle) -> Int? {
        let mixed =
            (UInt64(UInt32(bitPattern: principal)) &<< 32 | UInt64(UInt32(bitPattern: pattern)))
            &* 0x9E37_79B9_7F4A_7C15
        let mask = places.count - 1
        var place = Int(truncatingIfNeeded: mixed &>> 32) & mask
        while places[place] >= 0 {
            let index = Int(places[place])
            if entries[index].principal == principal, entries[index].pattern == pattern { return index }
            place = (place &+ 1) & mask
        }
        guard entries.count < limit else { return nil }
        places[place] = Int32(entries.count)
        entries.append(Entry(principal: principal, pattern: pattern))
        return entries.count - 1
    }

    /// What was counted, which begins anew.
    mutating func take() -> [(principal: PrincipalHandle, pattern: PatternHandle, counts: ActivityCounts)] {
        let taken = entries.map { ($0.principal, $0.pattern, $0.counts) }
        guard !taken.isEmpty else { return [] }
        entries.removeAll(keepingCapacity: taken.count < 4096)
        for index in places.indices { places[index] = -1 }
        return taken
    }
}
