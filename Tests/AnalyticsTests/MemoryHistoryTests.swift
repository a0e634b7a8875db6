// SPDX-License-Identifier: Apache-2.0
import Analytics
import Domain
import TestKit
import Testing

struct MemoryHistoryTests {
    @Test(arguments: 1...5 as ClosedRange<UInt64>)
    func `a history in memory keeps the contract`(seed: UInt64) throws {
        try HistoryStoreContract.check(MemoryHistory(), seed: seed)
    }

    @Test func `answers are sums over minutes that may be told`() {
        let history = MemoryHistory()
        for (minute, user, calls) in [(10, "a", 2), (10, "b", 3), (11, "a", 4), (99, nil, 9)]
            as [(Int64, String?, Int64)]
        {
            var sums = HistorySums()
            (sums.calls, sums.low) = (calls, calls * 10)
            history.append([
                HistoryRow(
                    minute: minute,
                    user: user,
                    name: nil,
                    database: "shop",
                    fingerprint: Fingerprint(high: 1, low: 1),
                    text: nil,
                    sums: sums,
                    durations: "8:\(calls)"
                )
            ])
        }
        let users = history.groups(HistoryQuestion(from: 10, to: 12, by: .user))
        #expect(users.groups.map(\.user) == ["a", "b"] && users.groups.map(\.sums.calls) == [6, 3])
        #expect(users.total.calls == 9 && users.count == 2)
        let trend = history.trend(HistoryQuestion(from: 0, to: 100, by: .user, user: "a"), step: 5)
        #expect(trend.map(\.minute) == [10] && trend[0].sums.calls == 6)
        #expect(history.prune(before: 11, limit: .max) == 256 && history.span()?.first == 11)
        #expect(history.prune(before: 0, limit: 128) == 128 && history.span()?.first == 99)
    }
}
