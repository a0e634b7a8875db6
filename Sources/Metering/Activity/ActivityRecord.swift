// SPDX-License-Identifier: Apache-2.0
public import Domain

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
