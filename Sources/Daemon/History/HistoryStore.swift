// SPDX-License-Identifier: Apache-2.0
import Domain
import SQLiteStore

/// Where minutes are kept, and what is asked of them.
protocol HistoryStore: Sendable {
    func append(_ rows: [HistoryRow]) throws(HistoryError)
    func prune(before minute: Int64, limit: Int64) throws(HistoryError) -> Int64
    func groups(
        _ question: HistoryQuestion
    ) throws(HistoryError) -> (groups: [HistoryGroup], total: HistorySums, count: Int)
    func trend(
        _ question: HistoryQuestion,
        step: Int64
    ) throws(HistoryError) -> [(minute: Int64, sums: HistorySums)]
    func trends(
        of patterns: [Fingerprint],
        from: Int64,
        to: Int64,
        step: Int64
    ) throws(HistoryError) -> [Fingerprint: [Int64: HistorySums]]
}

extension MinuteHistory: HistoryStore {}
