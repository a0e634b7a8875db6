// SPDX-License-Identifier: Apache-2.0
public import Costs
import Domain
import PostgresWire

/// How long the statements of each tenant and pattern took, second by second: what a replay tells a loaded server by.
///
/// A daemon knows beforehand how long a pattern usually takes, a replay at its end only. So the sums of logarithms are kept
/// until all workers are added up: their order and number change nothing.
public struct PaceLog {
    /// One user's executions of one pattern in one second; the database by its number.
    public typealias Key = PaceSums<Int32>.Key

    /// What is being counted, by its user and pattern; two of them share a place in turns.
    struct Cell: BitwiseCopyable {
        /// Of the table of owners.
        var owner: Int32 = 0
        var pattern: PatternHandle = 0
        var second: Int64 = 0
        var pace = Pace()
    }

    private var cells: [Cell]
    /// What was counted, in the order in which it was: logarithms of durations, not of ratios.
    public private(set) var entries: [(key: Key, pace: Pace)] = []
    /// Of the keys of ``entries``, which are kept: see ``PaceSums/level``.
    public private(set) var level: UInt64 = 0
    private let most: Int

    /// A log with places for `places` pairs of user and pattern at once: a power of two, or none where nothing is to be counted.
    ///
    /// - Parameter most: entries, of which twice as many are added up and thinned: 32 MiB.
    init(places: Int, most: Int = PaceLog.most) {
        cells = Array(repeating: Cell(), count: places)
        self.most = most
    }

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
    mutating func keep(_ pace: Pace, of key: Key) {
        entries.append((key, pace))
        guard entries.count >= 2 * most else { return }
        var sums = PaceSums<Int32>(most: most)
        for entry in entries { sums.add(entry.pace, to: entry.key) }
        sums.thin(atLeast: level)
        level = sums.level
        entries = sums.sums.map { ($0.key, $0.value) }
    }

    /// Entries, at most, of a replay's log.
    public static var most: Int { 1 << 18 }

    /// Takes out what is being counted.
    mutating func takeCells() -> [Cell] {
        defer { cells = Array(repeating: Cell(), count: cells.count) }
        return cells.filter { $0.pace.count > 0 }
    }
}
