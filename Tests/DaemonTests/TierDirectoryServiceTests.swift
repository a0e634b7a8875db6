// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import PostgresClient
import Quotas
import Reports
import Testing

@testable import Daemon
@testable import Pipeline
@testable import Settings

struct TierDirectoryServiceTests {
    private let clock = FakeClock()
    private let quotas: QuotaService
    private let asked = Shared<[String]>([])
    private let answer = Shared<[String: String]?>(["ana": "premium"])
    private let gate = Gate()

    init() {
        let clock = clock
        let pool = WorkerPool(workers: 0, policy: PolicySnapshot(policy: .standard, prices: PriceList()))
        quotas = QuotaService(
            pool,
            store: MemoryLedgerStore { clock.time().nanoseconds / 1_000_000_000 },
            node: "a",
            policy: .standard,
            hasher: UserHasher(secret: [1], cluster: "main"),
            trail: AuditTrail(folder: nil),
            lease: 60,
            claims: false,
            showsNames: false,
            clock: clock
        )
    }

    private func make(_ settings: DirectorySettings?) -> TierDirectoryService {
        TierDirectoryService(settings, .standard, for: quotas, clock: clock) {
            [asked, answer, gate] settings, _ throws(PostgresError) in
            asked.change { $0.append(settings.server) }
            gate.pass()
            guard let found = answer.value else { throw PostgresError.cannotConnect(reason: "no server") }
            return found
        }
    }

    private func settings(_ server: String) -> DirectorySettings {
        var settings = DirectorySettings(server: server)
        settings.every = 60
        return settings
    }

    private var directory: [String: String] { quotas.withState { $0.directory } }

    @Test func `it asks at once, and again when its time is over`() async throws {
        let running = Running(make(settings("first")))
        try await eventually("it asks") { directory == ["ana": "premium"] }
        answer.value = ["ana": "enterprise"]
        try await clock.advance(by: 59)
        try await clock.advance(by: 1)
        try await eventually("it asks again") { directory == ["ana": "enterprise"] }
        #expect(asked.value == ["first", "first"])
        try await running.stop()
    }

    @Test func `what does not answer is told, and what was known goes on`() async throws {
        let running = Running(make(settings("first")))
        try await eventually("it asks") { directory == ["ana": "premium"] }
        answer.value = nil
        try await clock.advance(by: 60)
        try await eventually("it is told") { quotas.facts.problems.contains { $0.contains("quota.directory") } }
        #expect(directory == ["ana": "premium"])
        answer.value = [:]
        try await clock.advance(by: 60)
        try await eventually("it is over") { quotas.facts.problems.isEmpty && directory.isEmpty }
        try await running.stop()
    }

    @Test func `a reload asks another database at once, or nobody any more`() async throws {
        let service = make(settings("first"))
        let running = Running(service)
        try await eventually("it asks") { asked.value == ["first"] }
        try await eventually("it rests") { clock.restingCount == 1 }
        service.follow(settings("first"), .standard)
        service.follow(settings("second"), .standard)
        try await eventually("it asks the other") { asked.value == ["first", "second"] }
        service.follow(nil, .standard)
        try await eventually("tiers are forgotten") { directory.isEmpty }
        try await running.stop()
    }

    @Test func `a database that hangs does not hold up the end`() async throws {
        gate.close()
        let running = Running(make(settings("first")))
        try await eventually("it hangs") { gate.waiting == 1 }
        try await running.stop()
        gate.open()
    }
}
