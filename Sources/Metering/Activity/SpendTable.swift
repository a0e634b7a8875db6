// SPDX-License-Identifier: Apache-2.0
public import Domain
import PostgresWire

/// What one user spent on one pattern in the current hour: evidence for a verdict.
public struct PatternSpend: Sendable {
    /// The pattern's key.
    public var fingerprint: Fingerprint
    /// Its normalized text.
    public var text: [UInt8]
    /// The database.
    public var database: String
    /// Micro-units, proven.
    public var cost: Int64
    /// Executions.
    public var calls: UInt64

    /// The same with nothing spent.
    public var nothing: PatternSpend {
        var copy = self
        (copy.cost, copy.calls) = (0, 0)
        return copy
    }
}

/// Who spent how much on what in the current hour, in memory of a fixed size.
///
/// Two entries share a place; where both are taken, the smaller gives way: so the heavy ones stay, which are asked for.
struct SpendTable {
    private struct Entry: BitwiseCopyable {
        var principal: Int32 = -1
        var pattern: Int32 = 0
        var hour: Int32 = .min
        var calls: UInt32 = 0
        var cost: Int64 = 0
    }

    private var entries: [Entry]
    private let mask: Int

    init(places: Int = 1 << 16) {
        entries = Array(repeating: Entry(), count: places)
        mask = places - 1
    }

    @inline(__always)
    mutating func add(
        _ principal: PrincipalHandle,
        _ pattern: PatternHandle,
        _ cost: Int64,
        calls: UInt32 = 1,
        at time: Timestamp
    ) {
        let hour = Int32(truncatingIfNeeded: time.nanoseconds / 3_600_000_000_000)
        let mixed =
            (UInt64(UInt32(bitPattern: principal)) &<< 32 | UInt64(UInt32(bitPattern: pattern)))
            &* 0x9E37_79B9_7F4A_7C15
        let first = Int(truncatingIfNeeded: mixed &>> 40) & mask
        let second = first ^ 1
        if entries[first].principal == principal, entries[first].pattern == pattern, entries[first].hour == hour {
            return add(cost, calls, at: first)
        }
        if entries[second].principal == principal, entries[second].pattern == pattern, entries[second].hour == hour {
            return add(cost, calls, at: second)
        }
        let place = weight(first, hour) <= weight(second, hour) ? first : second
        entries[place] = Entry(principal: principal, pattern: pattern, hour: hour, calls: calls, cost: cost)
    }

    @inline(__always)
    private mutating func add(_ cost: Int64, _ calls: UInt32, at place: Int) {
        entries[place].cost &+= cost
        entries[place].calls &+= calls
    }

    private func weight(_ place: Int, _ hour: Int32) -> Int64 { entries[place].hour == hour ? entries[place].cost : -1 }

    /// Patterns and principals are gone: what was counted of them is that of their heirs.
    mutating func fold(patterns: [PatternHandle: PatternHandle], principals: [PrincipalHandle: PrincipalHandle]) {
        for index in entries.indices where entries[index].principal >= 0 {
            if let heir = patterns[entries[index].pattern] { entries[index].pattern = heir }
            if let heir = principals[entries[index].principal] { entries[index].principal = heir }
        }
    }

    /// What some principals spent, most first.
    func spent(
        by isWanted: (PrincipalHandle) -> Bool,
        at time: Timestamp,
        most count: Int
    ) -> [(pattern: PatternHandle, cost: Int64, calls: UInt64)] {
        let hour = Int32(truncatingIfNeeded: time.nanoseconds / 3_600_000_000_000)
        var sums: [PatternHandle: (cost: Int64, calls: UInt64)] = [:]
        for entry in entries where entry.hour == hour && entry.principal >= 0 && isWanted(entry.principal) {
            sums[entry.pattern, default: (0, 0)].cost += entry.cost
            sums[entry.pattern, default: (0, 0)].calls += UInt64(entry.calls)
        }
        return sums.sorted { ($0.value.cost, $1.key) > ($1.value.cost, $0.key) }.prefix(count)
            .map { ($0.key, $0.value.cost, $0.value.calls) }
    }
}
