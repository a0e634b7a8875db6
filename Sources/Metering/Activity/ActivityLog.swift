// SPDX-License-Identifier: Apache-2.0
import Domain
import PostgresWire

/// Who ran what: for the history, and as evidence for what is decided about a user.
///
/// Only a daemon keeps it.
public struct ActivityLog {
    /// For the history; `nil`: nobody asks.
    private var table: ActivityTable?
    /// What users spent most on.
    var spend = SpendTable(places: 2)
    /// Finished statements by the binary exponent of their nanoseconds.
    public private(set) var octaves: [64 of UInt64] = .init(repeating: 0)
    /// Whether a daemon asks for any of that.
    private(set) var isWatched = false
    /// Whether what was spent is kept as evidence.
    private var keepsSpend = false
    /// Whether there is a table: at hand for every statement.
    private(set) var isKept = false

    /// A daemon asks from now on.
    mutating func watch() { isWatched = true }

    /// What was spent is kept from now on.
    mutating func keepSpend() { (spend, keepsSpend) = (SpendTable(), true) }

    /// Who ran what is kept from now on, so many pairs of both.
    mutating func keep(limit: Int) { (table, isKept) = (ActivityTable(limit: limit), true) }

    // MARK: What ran

    /// A statement ended, settled at this price; false: it is to be noted with the user's other patterns, as there is no room for its
    /// own.
    ///
    /// - Parameter isProven: whether its server is what it says, so that it is proven to have run.
    mutating func settled(_ event: StatementEvent, _ price: Int64, isProven: Bool) -> Bool {
        if event.outcome == .completed { octaves[63 &- (event.duration | 1).leadingZeroBitCount] &+= 1 }
        if keepsSpend, isProven { spend.add(event.principal, event.pattern, price, at: event.started) }
        return note(event, low: isProven ? price : 0, high: price)
    }

    /// For the history alone: a statement ended; false as for ``settled(_:_:isProven:)``.
    mutating func note(_ event: StatementEvent, low: Int64, high: Int64) -> Bool {
        table?.add(event, low: low, high: high) ?? true
    }

    /// The same with another pattern, for which room is kept free.
    mutating func note(_ event: StatementEvent, as pattern: PatternHandle, low: Int64, high: Int64) {
        table?.add(event, as: pattern, low: low, high: high)
    }

    /// What was charged beside the end of a statement.
    mutating func charged(
        _ principal: PrincipalHandle,
        _ pattern: PatternHandle,
        low: Int64,
        high: Int64,
        isProven: Bool,
        at time: Timestamp
    ) {
        if keepsSpend, isProven { spend.add(principal, pattern, low, calls: 0, at: time) }
        table?.add(principal, pattern, low: isProven ? low : 0, high: high)
    }

    // MARK: What is taken

    /// What was counted since the last time.
    mutating func take() -> [(principal: PrincipalHandle, pattern: PatternHandle, counts: ActivityCounts)] {
        table?.take() ?? []
    }

    /// Statements that found no room, ever.
    public var lost: UInt64 { table?.lost ?? 0 }

    /// What is taken of the budget.
    public func memory(_ limits: TableLimits) -> TableMemory {
        TableMemory("history", bytes: table?.bytes ?? 0, most: table == nil ? 0 : limits.activity * Self.bytesOfEntry)
    }
    /// Bytes of one line of the history that was not handed on yet.
    public static var bytesOfEntry: Int { MemoryLayout<ActivityCounts>.stride + 64 }

    /// Patterns and principals are gone: what was counted of them is that of their heirs.
    mutating func fold(patterns: [PatternHandle: PatternHandle], principals: [PrincipalHandle: PrincipalHandle]) {
        table?.fold(patterns: patterns, principals: principals)
        spend.fold(patterns: patterns, principals: principals)
    }
}
