// SPDX-License-Identifier: Apache-2.0
import Control
import Costs
import Domain
import Quotas
import Reports
import Settings
import Testing

@testable import Daemon
@testable import Pipeline

struct QuotaServiceTests {
    private let clock: FakeClock
    private let pool: WorkerPool
    private let store: FakeLedgerStore
    private let trail = AuditTrail(folder: nil)
    private let hasher = UserHasher(secret: Array("a secret".utf8), cluster: "main")

    init() {
        clock = FakeClock()
        pool = WorkerPool(workers: 1, policy: PolicySnapshot(policy: Self.policy(100), prices: PriceList()))
        store = FakeLedgerStore(clock)
    }

    private static func policy(_ hourly: Double) -> QuotaPolicy {
        var policy = QuotaPolicy(
            tiers: [
                Tier(name: "small", hourly: CostUnits(units: hourly), daily: nil),
                Tier(name: "large", hourly: CostUnits(units: 1e6), daily: nil),
            ],
            fallback: "small"
        )
        (policy.mode, policy.mostLimited) = (.enforce, 1)
        return policy
    }

    private func make(_ node: String = "a") -> QuotaService {
        QuotaService(
            pool,
            store: store,
            node: node,
            policy: Self.policy(100),
            hasher: hasher,
            trail: trail,
            lease: 60,
            claims: false,
            showsNames: false,
            clock: clock
        )
    }

    private func spend(_ units: Double, _ user: String) {
        let micro = CostUnits(units: units).micro
        let slot = SlotUsage(
            start: clock.time().nanoseconds / 10_000_000_000 * 10,
            usage: Usage(low: micro, high: micro)
        )
        pool.handles[0].outbox.put([UserUsage(user: user, slots: [slot], origin: nil)])
    }

    private func limit(_ service: QuotaService, _ user: String) -> Int? {
        service.wanted.limits?.entries.first { $0.user == hasher.key(of: user) }?.connections
    }

    @Test func `who overdraws is to be limited, and is let go when the hour is over`() async throws {
        let service = make()
        let running = Running(service)
        spend(120, "ana")
        while limit(service, "ana") == nil { try await clock.advance(by: 0.5) }
        #expect(service.name(of: hasher.key(of: "ana")) == "ana")
        try await eventually("it is audited") {
            trail.last(10, of: hasher.key(of: "ana")).contains { $0.event == "crossed" }
        }
        try await clock.advance(by: 3600)
        while limit(service, "ana") != nil { try await clock.advance(by: 1) }
        try await running.stop()
    }

    @Test func `what was used is stored at the end`() async throws {
        let running = Running(make())
        try await eventually("it begins") { clock.restingCount == 1 }
        spend(50, "ana")
        try await running.stop()
        let next = make("b")
        let again = Running(next)
        spend(60, "ana")
        while limit(next, "ana") == nil { try await clock.advance(by: 0.5) }
        try await again.stop()
    }

    @Test func `a ledger that fails is told, and what was used meanwhile is booked when it works again`() async throws {
        let service = make()
        let running = Running(service)
        try await eventually("it begins") { clock.restingCount == 1 }
        store.health.isFailing = true
        spend(120, "ana")
        while !service.facts.problems.contains(where: { $0.contains("not in step") }) {
            try await clock.advance(by: 0.5)
        }
        store.health.isFailing = false
        while !service.facts.problems.isEmpty { try await clock.advance(by: 0.5) }
        while limit(service, "ana") == nil { try await clock.advance(by: 0.5) }
        try await running.stop()
    }

    @Test func `a ledger that hangs is waited for at the end`() async throws {
        let running = Running(make())
        try await eventually("it begins") { clock.restingCount == 1 }
        store.health.gate.close()
        spend(1, "ana")
        await running.askToStop()
        try await eventually("it hangs") { store.health.gate.waiting == 1 }
        #expect(!running.isOver)
        store.health.gate.open()
        try await eventually("the end") { running.isOver }
    }

    @Test func `a reload judges by the new budgets, and a directory by the tiers that it names`() async throws {
        let service = make()
        let running = Running(service)
        spend(120, "ana")
        while limit(service, "ana") == nil { try await clock.advance(by: 0.5) }
        service.take(directory: ["ana": "large"])
        while limit(service, "ana") != nil { try await clock.advance(by: 1) }
        service.take(directory: [:])
        while limit(service, "ana") == nil { try await clock.advance(by: 1) }
        service.apply(Self.policy(1000))
        while limit(service, "ana") != nil { try await clock.advance(by: 1) }
        try await running.stop()
    }

    @Test func `an order of a person goes before the ledger's figures, and ends by itself`() async throws {
        let service = make()
        let running = Running(service)
        try await clock.advance(by: 0.1)
        let order = ControlRequest(
            "quota",
            ["do": "limit", "user": "ana", "connections": "3", "by": "dba", "reason": "test", "seconds": "60"]
        )
        _ = try service.answer(order) { _ in [] }
        while limit(service, "ana") != 3 { try await clock.advance(by: 0.5) }
        try await clock.advance(by: 61)
        while limit(service, "ana") != nil { try await clock.advance(by: 1) }
        try await running.stop()
    }
}
