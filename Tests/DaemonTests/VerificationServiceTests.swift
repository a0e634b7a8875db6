// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Platform
import Quotas
import Reports
import Synchronization
import Testing

@testable import Daemon
@testable import Pipeline
@testable import Verification

/// A daemon's view of nothing: no worker, no quotas, no history.
func emptyView(_ clock: any ServiceClock = SystemClock(), workers: Int = 0) -> DaemonView {
    let pool = WorkerPool(workers: workers, policy: PolicySnapshot(policy: .standard, prices: PriceList()))
    return DaemonView(
        pool: pool,
        facts: DaemonFacts(process: 1, interfaces: ["eth0"], ports: [5432], began: clock.time(), workers: workers),
        pricing: PricingService(pool, store: MemoryCostStore(), consoles: [], isCalm: true) {
            fatalError("no price is asked for")
        },
        quotas: nil,
        history: nil,
        privacy: Privacy(),
        ignoresServerSide: false,
        relay: nil
    )
}

private struct Unreachable: Error, CustomStringConvertible {
    var description: String { "no server" }
}

struct VerificationServiceTests {
    private let clock = FakeClock()
    private let view: DaemonView
    private let begun = Shared<[String]>([])
    private let isReachable = Shared(true)
    private let seen = Shared<UInt64>(100)
    private let effort = Shared(0.0)
    private let gate = Gate()

    init() { view = emptyView(clock) }

    private func make(_ servers: [String] = ["one"]) -> VerificationService {
        VerificationService(servers, view, every: 60, clock: clock) {
            [begun, isReachable, seen, effort, gate] server, _ in
            begun.change { $0.append(server) }
            guard isReachable.value else { throw Unreachable() }
            return VerificationSpan(
                next: {
                    gate.pass()
                    guard isReachable.value else { throw Unreachable() }
                    var line = Comparison.Line(user: "ana", database: "shop")
                    line.queries = Comparison.Part(counted: 100, seenLow: seen.value, seenHigh: seen.value)
                    var comparison = Comparison()
                    (comparison.seconds, comparison.lines) = (60, [line])
                    return comparison
                },
                effort: { effort.value }
            )
        }
    }

    private var facts: VerificationFacts? { view.verification.withLock { $0?.first } }

    @Test func `each interval what a server counted is compared with what was seen`() async throws {
        let running = Running(make())
        try await eventually("it begins") { clock.restingCount == 1 }
        #expect(facts?.ratio == nil && facts?.problem == nil)
        try await clock.advance(by: 60)
        try await eventually("it has compared") { facts?.ratio == 1 }
        seen.value = 50
        try await clock.advance(by: 60)
        try await eventually("it is blind") { facts?.isBlind == true }
        #expect(facts?.totalCounted == 200 && facts?.totalSeen == 150 && facts?.ended == clock.time())
        try await running.stop()
    }

    @Test func `a server that takes long is asked less often`() async throws {
        effort.value = 3
        let running = Running(make())
        try await clock.advance(by: 299)
        try await eventually("it sleeps on") { clock.restingCount == 1 }
        #expect(facts?.ratio == nil)
        try await clock.advance(by: 1)
        try await eventually("it has compared") { facts?.ratio == 1 }
        try await running.stop()
    }

    @Test func `a server that cannot be asked is told of, and tried again a minute later`() async throws {
        isReachable.value = false
        let running = Running(make())
        try await eventually("it is told") { facts?.problem == "no server" }
        isReachable.value = true
        try await clock.advance(by: 60)
        try await clock.advance(by: 60)
        try await eventually("it has compared") { facts?.problem == nil && facts?.ratio == 1 }
        isReachable.value = false
        try await clock.advance(by: 60)
        try await eventually("it is told again") { facts?.problem == "no server" && facts?.ratio == nil }
        #expect(begun.value == ["one", "one"])
        try await running.stop()
    }

    @Test func `a server that hangs holds up neither the others nor the end`() async throws {
        let running = Running(make(["one", "two"]))
        gate.close()
        try await clock.advance(by: 60, resting: 2)
        try await eventually("they hang") { gate.waiting == 2 }
        try await running.stop()
        gate.open()
    }
}

struct AttributionServiceTests {
    private let clock = FakeClock()
    private let pool = WorkerPool(workers: 0, policy: PolicySnapshot(policy: .standard, prices: PriceList()))

    @Test func `it asks, and rests as long as what asks says`() async throws {
        let turns = Shared(0)
        let service = AttributionService(pool, clock: clock) { [turns] in
            { _ in
                turns.change { $0 += 1 }
                return 5
            }
        }
        let running = Running(service)
        try await clock.advance(by: 4.9)
        #expect(turns.value == 1)
        try await clock.advance(by: 0.1)
        try await eventually("it asks again") { turns.value == 2 }
        try await running.stop()
    }

    @Test func `a server that hangs does not hold up the end`() async throws {
        let gate = Gate()
        gate.close()
        let service = AttributionService(pool, clock: clock) {
            { _ in
                gate.pass()
                return 1
            }
        }
        let running = Running(service)
        try await eventually("it hangs") { gate.waiting == 1 }
        try await running.stop()
        gate.open()
    }
}
