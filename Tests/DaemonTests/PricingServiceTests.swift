// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Explain
import Quotas
import Reports
import Synchronization
import TestKit
import Testing

@testable import Daemon
@testable import Pipeline

struct PricingServiceTests {
    private let clock = FakeClock()
    private let desk = LiveDesk(workers: 1, judgement: LiveJudgement(policy: .standard, prices: PriceList()))
    private let store = FakeCostStore()

    private func make() -> PricingService {
        PricingService(desk, store: store, consoles: [], isCalm: true, clock: clock) { [store] in
            Pricer(store: store, explainer: nil, fallback: .fallback) { _ in }
        }
    }

    private func ask(_ price: StoredPrice) {
        var sample = PatternSample(text: [])
        sample.user = "ana"
        let question = PriceQuestion(
            key: price.key,
            fingerprint: price.fingerprint,
            pattern: Array(price.pattern.utf8),
            sample: sample,
            database: price.database
        )
        desk.post(PricingTray(questions: [question]))
    }

    @Test func `workers are told the prices that they asked for, and asked for durations`() async throws {
        let price = CostStoreContract.price(1)
        store.memory.store([price])
        ask(price)
        let service = make()
        let running = Running(service)
        try await eventually("it answers") { desk.state.withLock { $0.prices[0]?.isEmpty == false } }
        #expect(desk.takePrices(0).map(\.key) == [price.key])
        try await eventually("counters are shown") { service.status.values.contains { $0 == ("found", 1) } }
        #expect(desk.state.withLock { $0.orders.observation } == 1)
        try await clock.advance(by: 1)
        try await clock.advance(by: 1)
        try await eventually("two seconds are over") { desk.state.withLock { $0.orders.observation } == 2 }
        try await running.stop()
    }

    @Test func `a store that fails is counted, and what it cannot answer waits for nobody`() async throws {
        store.health.isFailing = true
        ask(CostStoreContract.price(1))
        let service = make()
        let running = Running(service)
        try await eventually("it is counted") {
            service.status.values.contains { $0.name == "store_errors" && $0.value > 0 }
        }
        store.health.isFailing = false
        let price = CostStoreContract.price(2)
        store.memory.store([price])
        ask(price)
        try await clock.advance(by: 1)
        try await eventually("it works again") {
            desk.takePrices(0).contains { $0.key == price.key }
        }
        try await running.stop()
    }

    @Test func `what is busy is waited for at the end, as prices that were learned are stored then`() async throws {
        store.health.gate.close()
        ask(CostStoreContract.price(1))
        let running = Running(make())
        try await eventually("the store hangs") { store.health.gate.waiting == 1 }
        await running.askToStop()
        #expect(!running.isOver)
        store.health.gate.open()
        try await eventually("the end") { running.isOver }
    }
}
