// SPDX-License-Identifier: Apache-2.0
public import Costs
public import Domain
import PostgresWire

/// How long the statements of each tenant and pattern took, second by second: what a replay tells a loaded server by.
///
/// A daemon knows beforehand how long a pattern usually takes, a replay at its end only. So the sums of logarithms are kept
/// until all workers are added up: their order and number change nothing.
public struct PaceLog {
    /// One tenant's executions of one pattern in one second.
    public struct Entry: BitwiseCopyable, Sendable {
        /// The second of packet time.
        public internal(set) var second: Int64
        /// The user, by the hash of the name.
        public internal(set) var tenant: Fingerprint
        /// What ran, by its key.
        public internal(set) var pattern: Fingerprint
        /// Index into the table of database names.
        public internal(set) var database: Int32
        /// Logarithms of durations, not of ratios.
        public internal(set) var pace: Pace
    }

    /// What is being counted, by its user and pattern; two of them share a place in turns.
    struct Cell: BitwiseCopyable {
        /// Of the table of owners.
        var owner: Int32 = 0
        var pattern: PatternHandle = 0
        var second: Int64 = 0
        var pace = Pace()
    }

    private var cells: [Cell]
    /// What was kept.
    public private(set) var entries: [Entry] = []
    /// Executions that found no room: of these seconds less is known.
    private(set) var lost: UInt64 = 0

    /// Entries, at most: 16 MiB.
    private static let most = 1 << 18

    /// A log with places for `places` pairs of user and pattern at once: a power of two, or none where nothing is to be counted.
    init(places: Int) { cells = Array(repeating: Cell(), count: places) }

    /// Counts an execution; returns what it took the place of, which is to be kept.
    @inline(__always)
    mutating func add(
        _ owner: Int32,
        _ pattern: PatternHandle,
        _ duration: Int64,
        at time: Timestamp
    ) -> Cell? {
        let second = time.nanoseconds / 1_000_000_000
        let key = UInt64(UInt32(bitPattern: owner)) &<< 32 | UInt64(UInt32(bitPattern: pattern))
        let index = Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) &>> 40) & (cells.count &- 1)
        if cells[index].owner == owner, cells[index].pattern == pattern, cells[index].second == second {
            cells[index].pace.add(Pace.logarithm(duration))
            return nil
        }
        let former = cells[index]
        cells[index] = Cell(owner: owner, pattern: pattern, second: second)
        cells[index].pace.add(Pace.logarithm(duration))
        return former.pace.count > 0 ? former : nil
    }

    /// Keeps what was counted of one pair in one second.
    mutating func keep(_ entry: Entry) {
        guard entries.count < Self.most else {
            lost &+= UInt64(clamping: entry.pace.count)
            return
        }
        entries.append(entry)
    }

    /// Takes out what is being counted.
    mutating func takeCells() -> [Cell] {
        defer { cells = Array(repeating: Cell(), count: cells.count) }
        return cells.filter { $0.pace.count > 0 }
    }
}
