// SPDX-License-Identifier: Apache-2.0
public import Analytics
import Domain
import Testing

/// What every store of the history keeps: random minutes give the answers that a plain list gives.
public enum HistoryStoreContract {
    /// Tries a store that is empty; `seed` repeats a run.
    public static func check(_ store: any HistoryStore, seed: UInt64) throws {
        let reference = MemoryHistory()
        var random = SplitMix64(seed: seed)
        #expect(try store.span() == nil)
        #expect(try store.groups(HistoryQuestion(from: 0, to: 1000, by: .user)).count == 0)
        for _ in 0..<20 {
            let rows = (0..<Int.random(in: 0...30, using: &random)).map { _ in row(&random) }
            try store.append(rows)
            reference.append(rows)
            try compare(store, reference, &random)
        }
        // Whoever is pruned away is not told any more, the rest is as it was.
        let minute = Int64.random(in: 20...60, using: &random)
        #expect(try store.prune(before: minute, limit: .max) > 0)
        _ = reference.prune(before: minute, limit: .max)
        try compare(store, reference, &random)
        let kept = try store.prune(before: 0, limit: .max)
        #expect(try store.prune(before: 0, limit: kept) <= kept)
        // With no room for anything there is nothing that is half a minute.
        while let first = try store.span()?.first {
            _ = try store.prune(before: 0, limit: 0)
            let next = try store.span()?.first
            #expect(next.map { $0 > first } ?? true)
            guard let next else { break }
            _ = reference.prune(before: next, limit: .max)
            try compare(store, reference, &random)
        }
    }

    private static func row(_ random: inout SplitMix64) -> HistoryRow {
        let user = ["a", "b", "c\u{E9}", nil][Int.random(in: 0...3, using: &random)]
        let pattern = UInt64.random(in: 1...4, using: &random)
        var sums = HistorySums()
        func number() -> Int64 { [0, 1, 7, 1_000_000, 1 << 40][Int.random(in: 0...4, using: &random)] }
        (sums.calls, sums.errors, sums.uncertain, sums.rows, sums.bytes) = (
            number(), number(), number(), number(), number()
        )
        (sums.low, sums.time, sums.longest) = (number(), number(), number())
        sums.high = sums.low + number()
        return HistoryRow(
            minute: Int64.random(in: 0...90, using: &random),
            user: user,
            name: user.map { "name of \($0)" },
            database: ["shop", "it's \"odd\"", nil][Int.random(in: 0...2, using: &random)],
            fingerprint: Fingerprint(high: .max, low: pattern),
            text: "select ? -- \(pattern) 'ü'",
            sums: sums,
            durations: "8:\(sums.calls)"
        )
    }

    private static func compare(
        _ store: any HistoryStore,
        _ reference: MemoryHistory,
        _ random: inout SplitMix64
    ) throws {
        let span = (try store.span(), reference.span())
        #expect(span.0?.first == span.1?.first && span.0?.last == span.1?.last)
        let from = Int64.random(in: 0...90, using: &random)
        let users = ["a", "b", "c\u{E9}", "nobody"]
        for grouping in HistoryGrouping.allCases {
            var question = HistoryQuestion(
                from: from,
                to: from + Int64.random(in: 0...90, using: &random),
                by: grouping
            )
            question.order = HistoryQuestion.orders.randomElement(using: &random) ?? "cost"
            question.limit = [0, 1, 2, 1000].randomElement(using: &random) ?? 1000
            if Bool.random(using: &random) { question.user = users.randomElement(using: &random) }
            if Bool.random(using: &random) {
                question.pattern = Fingerprint(high: .max, low: UInt64.random(in: 1...5, using: &random))
            }
            let (told, expected) = (try store.groups(question), reference.groups(question))
            #expect(told.total == expected.total && told.count == expected.count, "\(question)")
            #expect(told.groups.count == expected.groups.count, "\(question)")
            if question.limit == 1000 {
                #expect(Set(told.groups.map(sorted)) == Set(expected.groups.map(sorted)), "\(question)")
            }
            // Equal weights come in any order.
            #expect(told.groups.map { weight($0, question) } == expected.groups.map { weight($0, question) })
            #expect(try store.groups(question).groups.map(sorted) == told.groups.map(sorted))
            let step = Int64.random(in: 1...20, using: &random)
            let trends = (try store.trend(question, step: step), reference.trend(question, step: step))
            #expect(trends.0.map(\.minute) == trends.1.map(\.minute) && trends.0.map(\.sums) == trends.1.map(\.sums))
            let patterns = (UInt64(1)...5).map { Fingerprint(high: .max, low: $0) }
            #expect(
                try store.trends(of: patterns, from: from, to: question.to, step: step)
                    == reference.trends(of: patterns, from: from, to: question.to, step: step)
            )
            #expect(try store.trends(of: [], from: 0, to: 100, step: step).isEmpty)
        }
    }

    private static func sorted(_ group: HistoryGroup) -> HistoryGroup {
        var group = group
        group.durations.sort()
        return group
    }

    private static func weight(_ group: HistoryGroup, _ question: HistoryQuestion) -> Int64 {
        switch question.order {
        case "time": group.sums.time
        case "calls": group.sums.calls
        case "errors": group.sums.errors
        case "rows": group.sums.rows
        default: group.sums.low
        }
    }
}
