// SPDX-License-Identifier: Apache-2.0
import Analytics
import Domain
import SQLiteStore
import TestKit
import Testing

struct MinuteHistoryTests {
    private func row(_ minute: Int64, _ user: String?, _ pattern: UInt64, calls: Int64, low: Int64) -> HistoryRow {
        var sums = HistorySums()
        (sums.calls, sums.low, sums.high, sums.time, sums.longest) = (calls, low, low + 1, calls * 10, minute)
        return HistoryRow(
            minute: minute,
            user: user,
            name: user.map { "name of \($0)" },
            database: "shop",
            fingerprint: Fingerprint(high: 1, low: pattern),
            text: "select ? -- \(pattern)",
            sums: sums,
            durations: "8:\(calls)"
        )
    }

    @Test func `sums are those of the rows, by user and by pattern`() throws {
        let folder = try ScratchFolder()
        let history = try MinuteHistory(path: folder.path + "/m.sqlite")
        try history.append([
            row(10, "a", 1, calls: 2, low: 5), row(10, "b", 1, calls: 3, low: 50), row(11, "a", 2, calls: 4, low: 7),
        ])
        try history.append([row(10, "a", 1, calls: 1, low: 1), row(99, nil, 1, calls: 9, low: 900)])
        let reader = try MinuteHistory(path: folder.path + "/m.sqlite", isReader: true)
        let users = try reader.groups(HistoryQuestion(from: 10, to: 12, by: .user))
        #expect(users.groups.map(\.user) == ["b", "a"] && users.groups.map(\.sums.low) == [50, 13])
        #expect(users.groups.map(\.name) == ["name of b", "name of a"])
        #expect(users.total.calls == 10 && users.groups[1].durations.sorted() == ["8:1", "8:2", "8:4"])
        let patterns = try reader.groups(HistoryQuestion(from: 0, to: 100, by: .pattern, order: "calls", limit: 1))
        #expect(patterns.count == 2 && patterns.groups.count == 1)
        #expect(patterns.groups[0].fingerprint == Fingerprint(high: 1, low: 1) && patterns.groups[0].sums.calls == 15)
        #expect(patterns.groups[0].database == "shop" && patterns.groups[0].text == "select ? -- 1")
        let trend = try reader.trend(HistoryQuestion(from: 0, to: 100, by: .user, user: "a"), step: 5)
        #expect(trend.map(\.minute) == [10] && trend[0].sums.calls == 7)
        #expect(try reader.groups(HistoryQuestion(from: 0, to: 100, by: .user)).groups.first?.user == nil)
        #expect(try reader.span()?.first == 10)
    }

    @Test func `old minutes go, and so do the oldest when it grows too large`() throws {
        let folder = try ScratchFolder()
        let history = try MinuteHistory(path: folder.path + "/m.sqlite")
        for minute in 0..<50 {
            try history.append((0..<100).map { row(Int64(minute), "u\($0)", UInt64($0), calls: 1, low: 1) })
        }
        let before = try history.prune(before: 10, limit: .max)
        #expect(try history.span()?.first == 10)
        let after = try history.prune(before: 10, limit: before / 2)
        #expect(after < before)
        #expect(try history.span()?.first ?? 0 > 10)
        #expect(try history.span()?.last == 49)
    }

    @Test func `what is no history is refused in words`() throws {
        let folder = try ScratchFolder()
        #expect(throws: HistoryError.self) { try MinuteHistory(path: folder.path + "/none.sqlite", isReader: true) }
        #expect(throws: HistoryError.self) { try MinuteHistory(path: "/dev/null/m.sqlite") }
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `a history in a file keeps the contract`(seed: UInt64) throws {
        let folder = try ScratchFolder()
        try HistoryStoreContract.check(MinuteHistory(path: folder.file("m.sqlite")), seed: seed)
    }
}
