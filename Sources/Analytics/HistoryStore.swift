// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Where the history is kept: what each user ran of each pattern in each database, minute by minute.
///
/// Every store keeps the contract that `HistoryStoreContract` in `Tests/TestKit` tries. Any thread may call it.
public protocol HistoryStore: Sendable {
    /// Adds rows, all or none; rows that are alike in all but their sums add up in every answer.
    func append(_ rows: [HistoryRow]) throws(HistoryError)
    /// Forgets minutes before `minute`, and the oldest ones while more than `limit` bytes are in use; returns how many are then.
    func prune(before minute: Int64, limit: Int64) throws(HistoryError) -> Int64
    /// The heaviest groups, what everything comes to, and how many groups there are.
    ///
    /// Groups that weigh the same come in any order, but in the same one each time.
    func groups(
        _ question: HistoryQuestion
    ) throws(HistoryError) -> (groups: [HistoryGroup], total: HistorySums, count: Int)
    /// The sums of each `step` minutes (1 at least), in order; spans without rows are left out.
    ///
    /// A span is named by its first minute, a multiple of `step`.
    func trend(
        _ question: HistoryQuestion,
        step: Int64
    ) throws(HistoryError) -> [(minute: Int64, sums: HistorySums)]
    /// The same for several patterns at once, in all databases.
    func trends(
        of patterns: [Fingerprint],
        from: Int64,
        to: Int64,
        step: Int64
    ) throws(HistoryError) -> [Fingerprint: [Int64: HistorySums]]
    /// The first and the last minute that there are; `nil`: none.
    func span() throws(HistoryError) -> (first: Int64, last: Int64)?
}

/// Why the history cannot be read or written.
public struct HistoryError: Error, CustomStringConvertible {
    /// Where it is kept, and what is wrong there.
    public var path: String, reason: String

    /// An error.
    public init(path: String, reason: String) { (self.path, self.reason) = (path, reason) }

    /// For people.
    public var description: String { "the history \(path) cannot be used: \(reason)" }
}
