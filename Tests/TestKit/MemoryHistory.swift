// SPDX-License-Identifier: Apache-2.0
public import Analytics
public import Domain
import Synchronization

/// A history in memory, which ends with the process: the plainest store that keeps the contract.
public final class MemoryHistory: HistoryStore {
    private let rows = Mutex<[HistoryRow]>([])
    /// Bytes that a row counts as.
    private static let rowSize: Int64 = 128

    /// An empty history.
    public init() {}

    /// See ``HistoryStore/append(_:)``.
    public func append(_ rows: [HistoryRow]) { self.rows.withLock { $0 += rows } }

    /// See ``HistoryStore/prune(before:limit:)``.
    public func prune(before minute: Int64, limit: Int64) -> Int64 {
        rows.withLock { rows in
            rows.removeAll { $0.minute < minute }
            let most = Int(clamping: max(0, limit) / Self.rowSize)
            if rows.count > most {
                rows.sort { $0.minute < $1.minute }
                // Whole minutes: half of one would be told as all of it.
                let last = rows[rows.count - most - 1].minute
                rows.removeAll { $0.minute <= last }
            }
            return Int64(rows.count) * Self.rowSize
        }
    }

    /// See ``HistoryStore/groups(_:)``.
    public func groups(
        _ question: HistoryQuestion
    ) -> (groups: [HistoryGroup], total: HistorySums, count: Int) {
        struct Key: Hashable { var user: String?, fingerprint: Fingerprint?, database: String? }
        var (found, total, order) = ([Key: HistoryGroup](), HistorySums(), [Key]())
        // Names and texts are those that came last.
        for row in matching(question) {
            let key =
                switch question.grouping {
                case .user: Key(user: row.user ?? "")
                case .pattern: Key(fingerprint: row.fingerprint, database: row.database ?? "")
                case .database: Key(database: row.database ?? "")
                }
            if found[key] == nil { order.append(key) }
            var group = found[key] ?? HistoryGroup(sums: HistorySums(), durations: [])
            if question.grouping == .user { (group.user, group.name) = (row.user, row.name ?? group.name) }
            if question.grouping == .pattern {
                (group.fingerprint, group.text) = (row.fingerprint, row.text ?? group.text)
            }
            if question.grouping != .user { group.database = row.database }
            group.sums.add(row.sums)
            group.durations.append(row.durations)
            found[key] = group
            total.add(row.sums)
        }
        func weight(_ sums: HistorySums) -> Int64 {
            switch question.order {
            case "time": sums.time
            case "calls": sums.calls
            case "errors": sums.errors
            case "rows": sums.rows
            default: sums.low
            }
        }
        let groups = order.compactMap { found[$0] }.sorted { weight($0.sums) > weight($1.sums) }
        return (Array(groups.prefix(max(0, question.limit))), total, groups.count)
    }

    /// See ``HistoryStore/trend(_:step:)``.
    public func trend(_ question: HistoryQuestion, step: Int64) -> [(minute: Int64, sums: HistorySums)] {
        var found: [Int64: HistorySums] = [:]
        for row in matching(question) { found[Self.span(row.minute, step), default: HistorySums()].add(row.sums) }
        return found.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// See ``HistoryStore/trends(of:from:to:step:)``.
    public func trends(
        of patterns: [Fingerprint],
        from: Int64,
        to: Int64,
        step: Int64
    ) -> [Fingerprint: [Int64: HistorySums]] {
        let wanted = Set(patterns)
        var found: [Fingerprint: [Int64: HistorySums]] = [:]
        for row in matching(HistoryQuestion(from: from, to: to, by: .pattern)) where wanted.contains(row.fingerprint) {
            found[row.fingerprint, default: [:]][Self.span(row.minute, step), default: HistorySums()].add(row.sums)
        }
        return found
    }

    /// See ``HistoryStore/span()``.
    public func span() -> (first: Int64, last: Int64)? {
        rows.withLock { rows in
            guard let first = rows.map(\.minute).min(), let last = rows.map(\.minute).max() else { return nil }
            return (first, last)
        }
    }

    private func matching(_ question: HistoryQuestion) -> [HistoryRow] {
        rows.withLock { rows in
            rows.filter { row in
                question.from <= row.minute && row.minute < question.to
                    && (question.user == nil || question.user == row.user)
                    && (question.pattern == nil || question.pattern == row.fingerprint)
            }
        }
    }

    private static func span(_ minute: Int64, _ step: Int64) -> Int64 { minute / max(1, step) * max(1, step) }
}
