// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Quotas
import SQLiteStore
import Synchronization
import Testing

@testable import Daemon
@testable import Metering
@testable import Pipeline

struct HistoryServiceTests {
    private let clock = FakeClock()
    private let desk = LiveDesk(workers: 0, judgement: LiveJudgement(policy: .standard, prices: PriceList()))
    private let store = FakeHistoryStore()

    private func make(_ privacy: Privacy = Privacy()) -> HistoryService {
        HistoryService(desk, store: store, limits: (86_400, 1 << 20), privacy: privacy, clock: clock) {
            "hash of " + $0
        }
    }

    private func run(_ user: String?, _ calls: UInt64, _ fingerprint: UInt64 = 1) {
        var counts = ActivityCounts()
        counts.calls = calls
        desk.post([
            ActivityRecord(
                user: user,
                database: "shop",
                fingerprint: Fingerprint(high: 7, low: fingerprint),
                text: Array("select ?".utf8),
                counts: counts
            )
        ])
    }

    @Test func `a minute is written when it is over, users as hashes`() async throws {
        let running = Running(make())
        try await eventually("it begins") { clock.restingCount == 1 }
        run("ana", 2)
        try await clock.advance(by: 30)
        try await eventually("it has asked") { desk.state.withLock { $0.activity.isEmpty } }
        run("ana", 3)
        #expect(store.rows.value.isEmpty)
        try await clock.advance(by: 31)
        try await eventually("the minute is written") { store.rows.value.count == 1 }
        let row = store.rows.value[0]
        #expect(row.minute == 30_000_000 && row.user == "hash of ana" && row.name == nil && row.sums.calls == 5)
        #expect(row.text == "select ?")
        try await running.stop()
    }

    @Test func `the minute that runs is written at the end`() async throws {
        let service = make(Privacy(userNames: .page, queryText: .none))
        let running = Running(service)
        try await eventually("it begins") { clock.restingCount == 1 }
        run("ana", 2)
        run(nil, 1)
        try await running.stop()
        let rows = store.rows.value.sorted { ($0.user ?? "") < ($1.user ?? "") }
        #expect(rows.map(\.name) == [nil, "ana"] && rows.map(\.user) == [nil, "hash of ana"])
        #expect(rows.allSatisfy { $0.text == nil } && service.facts.rows == 2)
    }

    @Test func `a disk that fails loses the minute, says so, and the next one is kept`() async throws {
        let service = make()
        let running = Running(service)
        try await eventually("it begins") { clock.restingCount == 1 }
        store.health.isFailing = true
        run("ana", 1)
        try await clock.advance(by: 61)
        try await eventually("it failed") { service.facts.failures == 1 }
        #expect(service.facts.problem?.contains("it was told to") == true)
        store.health.isFailing = false
        run("ana", 1)
        try await clock.advance(by: 60)
        try await eventually("the next is kept") { store.rows.value.count == 1 }
        #expect(service.facts.problem == nil && service.facts.failures == 1)
        try await running.stop()
    }

    @Test func `a disk that hangs holds up nobody but this service, which ends once it answers`() async throws {
        let running = Running(make())
        try await eventually("it begins") { clock.restingCount == 1 }
        run("ana", 1)
        store.health.gate.close()
        try await clock.advance(by: 61)
        try await eventually("it hangs") { store.health.gate.waiting == 1 }
        run("ana", 4)
        await running.askToStop()
        #expect(!running.isOver)
        store.health.gate.open()
        try await eventually("the end") { running.isOver }
        #expect(store.rows.value.map(\.sums.calls).reduce(0, +) == 5)
    }

    @Test func `old minutes are pruned every hour`() async throws {
        let service = make()
        let running = Running(service)
        try await clock.advance(by: 5)
        try await eventually("pruned at once") { store.prunes.value.count == 1 }
        #expect(store.prunes.value[0].before == (1_800_000_000 - 86_400) / 60 && store.prunes.value[0].limit == 1 << 20)
        try await clock.advance(by: 3600)
        try await eventually("pruned again") { store.prunes.value.count == 2 }
        #expect(service.facts.bytes == 4096)
        try await running.stop()
    }

    @Test func `more pairs of one user than are kept are one line`() async throws {
        let running = Running(make())
        try await eventually("it begins") { clock.restingCount == 1 }
        for number in 0..<1010 as Range<UInt64> { run("ana", 1, number + 10) }
        run("ben", 1)
        try await running.stop()
        let rows = store.rows.value
        #expect(rows.count == 1002 && rows.map(\.sums.calls).reduce(0, +) == 1011)
        #expect(rows.contains { $0.text == "(other patterns)" && $0.sums.calls == 10 })
    }
}
