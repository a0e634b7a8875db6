// SPDX-License-Identifier: Apache-2.0
public import Domain

/// What one user ran of one pattern in one database in one minute.
public struct HistoryRow: Sendable, Hashable {
    /// The minute, in minutes since the epoch.
    public var minute: Int64
    /// The user's hash, and name where names are kept; `nil` hash: unattributed.
    public var user: String?, name: String?
    /// The database; `nil`: unattributed.
    public var database: String?
    /// The pattern's key, and its text where texts are kept.
    public var fingerprint: Fingerprint, text: String?
    /// What was counted.
    public var sums: HistorySums
    /// A histogram of server times, as its owner writes it.
    public var durations: String

    /// A row.
    public init(
        minute: Int64,
        user: String?,
        name: String?,
        database: String?,
        fingerprint: Fingerprint,
        text: String?,
        sums: HistorySums,
        durations: String
    ) {
        (self.minute, self.user, self.name, self.database) = (minute, user, name, database)
        (self.fingerprint, self.text, self.sums, self.durations) = (fingerprint, text, sums, durations)
    }
}

/// Sums over rows.
public struct HistorySums: Sendable, Hashable {
    /// Executions finished, failed, and with an end that is not known.
    public var calls: Int64 = 0, errors: Int64 = 0, uncertain: Int64 = 0
    /// Rows, and bytes that the server sent.
    public var rows: Int64 = 0, bytes: Int64 = 0
    /// Micro-units: proven, and proven or possible.
    public var low: Int64 = 0, high: Int64 = 0
    /// Server time of finished executions, and the longest, ns.
    public var time: Int64 = 0, longest: Int64 = 0

    /// All zero.
    public init() {}

    /// Adds others.
    public mutating func add(_ other: HistorySums) {
        calls &+= other.calls
        errors &+= other.errors
        uncertain &+= other.uncertain
        rows &+= other.rows
        bytes &+= other.bytes
        low &+= other.low
        high &+= other.high
        time &+= other.time
        longest = max(longest, other.longest)
    }
}

/// By what sums of the history are told apart.
public enum HistoryGrouping: String, Sendable, CaseIterable {
    /// Users.
    case user
    /// Patterns in their databases.
    case pattern
    /// Databases.
    case database
}

/// What is asked of the history.
public struct HistoryQuestion: Sendable, Hashable {
    /// From this minute to before that one, in minutes since the epoch.
    public var from: Int64, to: Int64
    /// Only this user, by hash, or pattern; `nil`: all.
    public var user: String?, pattern: Fingerprint?
    /// By what sums are told apart.
    public var grouping: HistoryGrouping
    /// By what they are sorted: one of ``orders``.
    public var order: String
    /// The most groups.
    public var limit: Int

    /// What groups may be sorted by.
    public static let orders = ["cost", "time", "calls", "errors", "rows"]

    /// A question.
    public init(
        from: Int64,
        to: Int64,
        by grouping: HistoryGrouping,
        order: String = "cost",
        limit: Int = 20,
        user: String? = nil,
        pattern: Fingerprint? = nil
    ) {
        (self.from, self.to, self.grouping, self.order) = (from, to, grouping, order)
        (self.limit, self.user, self.pattern) = (limit, user, pattern)
    }
}

/// One group of an answer.
public struct HistoryGroup: Sendable, Hashable {
    /// The user's hash and name, where users are told apart.
    public var user: String?, name: String?
    /// The database, where that is told apart.
    public var database: String?
    /// The pattern, where that is told apart.
    public var fingerprint: Fingerprint?, text: String?
    /// What it comes to.
    public var sums: HistorySums
    /// The histograms of its rows.
    public var durations: [String]

    /// A group that nothing is told of but what it comes to.
    public init(sums: HistorySums, durations: [String]) { (self.sums, self.durations) = (sums, durations) }
}
