// SPDX-License-Identifier: Apache-2.0
public import Analytics
public import Domain
import GRDB

/// What is asked of the history: sums over any span of minutes.
extension MinuteHistory {
    private static let sums = """
        SUM(calls), SUM(errors), SUM(uncertain), SUM(rows), SUM(bytes), SUM(low), SUM(high), SUM(time), MAX(longest)
        """

    /// The heaviest groups, and what everything comes to.
    public func groups(
        _ question: HistoryQuestion
    ) throws(HistoryError) -> (groups: [HistoryGroup], total: HistorySums, count: Int) {
        try perform { database in
            let (filter, arguments) = try Self.filter(question, database)
            let columns =
                switch question.grouping {
                case .user: "user, 0, 0"
                case .pattern: "0, pattern, base"
                case .database: "0, 0, base"
                }
            // By its name: a number of a column is soon another's.
            let column = HistoryQuestion.orders.contains(question.order) ? question.order : "cost"
            let order = column == "cost" ? "low" : column
            let rows = try Row.fetchAll(
                database,
                sql: """
                    SELECT \(columns), \(Self.sums) FROM minutes WHERE \(filter) GROUP BY 1, 2, 3
                    ORDER BY SUM(\(order)) DESC, 1, 2, 3
                    """,
                arguments: arguments
            )
            var total = HistorySums()
            for row in rows { total.add(try Self.sums(row, from: 3)) }
            let groups = try rows.prefix(question.limit).map { row in try Self.group(row, question, database) }
            return (groups, total, rows.count)
        }
    }

    /// The sums of each `step` minutes, in order; spans without rows are left out.
    public func trend(
        _ question: HistoryQuestion,
        step: Int64
    ) throws(HistoryError) -> [(minute: Int64, sums: HistorySums)] {
        try perform { database in
            let (filter, arguments) = try Self.filter(question, database)
            let step = max(1, step)
            let rows = try Row.fetchAll(
                database,
                sql: """
                    SELECT minute / \(step) * \(step) AS span, \(Self.sums) FROM minutes WHERE \(filter)
                    GROUP BY span ORDER BY span
                    """,
                arguments: arguments
            )
            return try rows.map { (try $0.decode(atIndex: 0), try Self.sums($0, from: 1)) }
        }
    }

    /// The trends of several patterns at once: sums of each `step` minutes.
    public func trends(
        of patterns: [Fingerprint],
        from: Int64,
        to: Int64,
        step: Int64
    ) throws(HistoryError) -> [Fingerprint: [Int64: HistorySums]] {
        guard !patterns.isEmpty else { return [:] }
        return try perform { database in
            let step = max(1, step)
            let names = patterns.map { "'\($0.description)'" }.joined(separator: ",")
            let rows = try Row.fetchAll(
                database,
                sql: """
                    SELECT p.fingerprint, minute / \(step) * \(step) AS span, \(Self.sums)
                    FROM minutes JOIN patterns p ON p.id = pattern
                    WHERE p.fingerprint IN (\(names)) AND minute >= ? AND minute < ? GROUP BY 1, 2
                    """,
                arguments: [from, to]
            )
            var found: [Fingerprint: [Int64: HistorySums]] = [:]
            for row in rows {
                guard let key = Fingerprint(try row.decode(String.self, atIndex: 0)) else { continue }
                found[key, default: [:]][try row.decode(atIndex: 1)] = try Self.sums(row, from: 2)
            }
            return found
        }
    }

    /// The first and the last minute that there are; `nil`: none.
    public func span() throws(HistoryError) -> (first: Int64, last: Int64)? {
        try perform { database in
            let row = try Row.fetchOne(database, sql: "SELECT MIN(minute), MAX(minute) FROM minutes")
            guard let row, let first = try row.decode(Int64?.self, atIndex: 0),
                let last = try row.decode(Int64?.self, atIndex: 1)
            else { return nil }
            return (first, last)
        }
    }

    private static func filter(
        _ question: HistoryQuestion,
        _ database: Database
    ) throws -> (String, StatementArguments) {
        var filter = "minute >= ? AND minute < ?"
        var arguments: StatementArguments = [question.from, question.to]
        if let user = question.user {
            filter += " AND user = (SELECT id FROM users WHERE hash = ?)"
            arguments += [user]
        }
        if let pattern = question.pattern {
            filter += " AND pattern = (SELECT id FROM patterns WHERE fingerprint = ?)"
            arguments += [pattern.description]
        }
        return (filter, arguments)
    }

    private static func sums(_ row: Row, from first: Int) throws -> HistorySums {
        var sums = HistorySums()
        func value(_ index: Int) throws -> Int64 { try row.decode(Int64?.self, atIndex: first + index) ?? 0 }
        (sums.calls, sums.errors, sums.uncertain, sums.rows, sums.bytes) = (
            try value(0), try value(1), try value(2), try value(3), try value(4)
        )
        (sums.low, sums.high, sums.time, sums.longest) = (try value(5), try value(6), try value(7), try value(8))
        return sums
    }

    private static func group(_ row: Row, _ question: HistoryQuestion, _ database: Database) throws -> HistoryGroup {
        let user = try row.decode(Int64.self, atIndex: 0)
        let pattern = try row.decode(Int64.self, atIndex: 1)
        let base = try row.decode(Int64.self, atIndex: 2)
        var group = HistoryGroup(sums: try sums(row, from: 3), durations: [])
        var inner = question
        var (more, values): (String, StatementArguments) = ("", [])
        switch question.grouping {
        case .user:
            let found = try Row.fetchOne(database, sql: "SELECT hash, name FROM users WHERE id = ?", arguments: [user])
            group.user = try found?.decode(String?.self, atIndex: 0)
            group.name = try found?.decode(String?.self, atIndex: 1)
            if group.user?.isEmpty == true { group.user = nil }
            (more, values) = (" AND user = ?", [user])
        case .pattern:
            let sql = "SELECT fingerprint, text FROM patterns WHERE id = ?"
            let found = try Row.fetchOne(database, sql: sql, arguments: [pattern])
            group.fingerprint = try found?.decode(String?.self, atIndex: 0).flatMap { Fingerprint($0) }
            group.text = try found?.decode(String?.self, atIndex: 1)
            group.database = try name(of: base, database)
            (more, values) = (" AND pattern = ? AND base = ?", [pattern, base])
        case .database:
            group.database = try name(of: base, database)
            (more, values) = (" AND base = ?", [base])
        }
        inner.limit = 0
        let (filter, arguments) = try Self.filter(inner, database)
        group.durations = try String.fetchAll(
            database,
            sql: "SELECT durations FROM minutes WHERE \(filter)\(more)",
            arguments: arguments + values
        )
        return group
    }

    private static func name(of base: Int64, _ database: Database) throws -> String? {
        let name = try String.fetchOne(database, sql: "SELECT name FROM bases WHERE id = ?", arguments: [base])
        return name?.isEmpty == false ? name : nil
    }
}
