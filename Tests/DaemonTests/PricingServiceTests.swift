// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Explain
// SPDX-License-Identifier: Apache-2.0
import Metering
import Packets
import PostgresWire
import Quotas
import Reports
import Synchronization
import TestKit
import Testing

@testable import Daemon
@testable import Pipeline

/// A worker that keeps what it is told about prices.
private struct ToldWorker: WorkerState {
    let prices = Shared<[PriceAnswer]>([])
    /// How often it was asked for durations.
    let observations = Shared(0)

    func take(_ answers: [PriceAnswer]) { prices.change { $0 += answers } }
    func handOverObservations() { observations.change { $0 += 1 } }

    func snapshot() -> WorkerSnapshot { FinalWorkerState().last }
    func counters() -> CountersSnapshot { CountersSnapshot() }
    func countsByUser() -> [String: PrincipalCounts] { [:] }
    func seenCalls() -> [SeenCalls] { [] }
    func sessionCounts() -> SessionCounts { SessionCounts() }
    func seenConnections() -> [SeenConnection] { [] }
    func unknownSessions() -> [UnknownSession] { [] }
    func spending(of user: String, most: Int) -> [PatternSpend] { [] }
    func handOverActivity() {}
    func apply(_ prices: PriceList) {}
    func ignoreServerSide(of poolers: PoolerAddresses) {}
    func prove(_ servers: NamedServers) {}
    func take(_ resolutions: [SessionResolution]) {}
    func take(_ roles: RoleFacts) {}
    var descriptors: [Int32] { [] }
    var timeout: Int32 { 0 }
    func takePackets() {}
    func tidy() {}
    func takeRest() {}
    func settleRest() {}
    func finish() -> FinalWorkerState { FinalWorkerState() }
}

struct PricingServiceTests {
    private let clock = FakeClock()
    private let pool = WorkerPool(workers: 1, policy: PolicySnapshot(policy: .standard, prices: PriceList()))
    private let store = FakeCostStore()

    private func make() -> PricingService {
        PricingService(pool, store: store, consoles: [], isCalm: true, clock: clock) { [store] in
            Pricer(store: store, explainer: nil, fallback: .fallback) { _ in }
        }
    }

    private let told = ToldWorker()

    /// The worker looks into its mailbox, as it does between packets.
    private func look() -> ToldWorker {
        var worker: any WorkerState & ~Copyable = told
        pool.handles[0].mailbox.run(on: &worker)
        return told
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
        pool.handles[0].outbox.put(PricingBatch(questions: [question]))
    }

    @Test func `workers are told the prices that they asked for, and asked for durations`() async throws {
        let price = CostStoreContract.price(1)
        store.memory.store([price])
        ask(price)
        let service = make()
        let running = Running(service)
        try await eventually("it answers") { !look().prices.value.isEmpty }
        #expect(told.prices.value.map(\.key) == [price.key])
        try await eventually("counters are shown") { service.status.values.contains { $0 == ("found", 1) } }
        try await eventually("it asks for durations") { look().observations.value == 1 }
        try await clock.advance(by: 1)
        try await clock.advance(by: 1)
        try await eventually("two seconds are over") { look().observations.value == 2 }
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
            look().prices.value.contains { $0.key == price.key }
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
