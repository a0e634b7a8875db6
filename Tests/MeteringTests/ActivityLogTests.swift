// SPDX-License-Identifier: Apache-2.0
import Domain
import PostgresWire
import Testing

@testable import Metering

struct ActivityLogTests {
    private func event(_ pattern: PatternHandle, _ duration: Int64 = 1000) -> StatementEvent {
        var event = StatementEvent()
        (event.principal, event.pattern, event.duration, event.rows) = (1, pattern, duration, 3)
        return event
    }

    private func spent(_ log: ActivityLog) -> [Int64] {
        log.spend.spent(by: { _ in true }, at: .epoch, most: 10).map(\.cost)
    }

    @Test func `nothing is kept that nobody asked for`() {
        var log = ActivityLog()
        let hasRoom = log.settled(event(1), 5, isProven: true)
        log.charged(1, 1, low: 5, high: 5, isProven: true, at: .epoch)
        #expect(hasRoom && log.take().isEmpty && spent(log).isEmpty && log.lost == 0)
        #expect(log.memory(TableLimits(patterns: 16, principals: 16, samples: 16)).most == 0)
    }

    @Test func `what is not proven is no evidence, and possible only`() {
        var log = ActivityLog()
        log.keep(limit: 1024)
        log.keepSpend()
        _ = log.settled(event(1), 5, isProven: true)
        _ = log.settled(event(2), 7, isProven: false)
        log.charged(1, 2, low: 7, high: 7, isProven: false, at: .epoch)
        #expect(spent(log) == [5])
        let taken = log.take().sorted { $0.pattern < $1.pattern }
        #expect(taken.map(\.counts.costLow) == [5, 0] && taken.map(\.counts.cost) == [5, 14])
        #expect(taken.map(\.counts.calls) == [1, 1] && taken.map(\.counts.rows) == [3, 3])
    }

    @Test func `what has no room is said, and goes with the user's others`() {
        var log = ActivityLog()
        log.keep(limit: 16)
        let noted = (0..<10 as Range<Int32>).map { log.note(event($0), low: 1, high: 1) }
        #expect(noted.filter { $0 }.count == 2)
        for _ in 0..<8 { log.note(event(5), as: 99, low: 1, high: 1) }
        #expect(log.take().reduce(0) { $0 + $1.counts.cost } == 10 && log.lost == 0)
    }

    @Test func `finished statements are counted by the binary exponent of their nanoseconds`() {
        var log = ActivityLog()
        for duration in [0, 1, 2, 3, 1024, .max] as [Int64] { _ = log.settled(event(1, duration), 1, isProven: true) }
        let octaves = log.octaves
        #expect(octaves[0] == 2 && octaves[1] == 2 && octaves[10] == 1 && octaves[62] == 1)
    }
}
