// SPDX-License-Identifier: Apache-2.0
import Domain
import Quotas
import Settings
import Systemd
import Testing

@testable import Daemon

/// What a fake backend was told, and how it answers.
private final class Site: Sendable {
    let limits = Shared<[String: Int]>([:])
    let problem = Shared<String?>(nil)
    let releases = Shared(0)
    let gate = Gate()
}

private final class FakeBackend: EnforcementBackend {
    let name = "fake"
    private let site: Site

    init(_ site: Site) { self.site = site }

    func knownUsers() -> Set<String> { ["ana", "ben"] }

    func apply(_ wanted: WantedLimits, now: Timestamp) -> EnforcementOutcome {
        site.gate.pass()
        if let problem = site.problem.value { return EnforcementOutcome(users: [], problem: problem) }
        site.limits.value = Dictionary(uniqueKeysWithValues: wanted.limits.map { ($0.user, $0.connections) })
        return EnforcementOutcome(
            users: wanted.limits.map { UserEnforcement(user: $0.user, connections: $0.connections, state: .enforced) }
        )
    }

    func releaseAll(now: Timestamp) -> String? {
        if let problem = site.problem.value { return problem }
        site.limits.value = [:]
        site.releases.change { $0 += 1 }
        return nil
    }
}

private final class FakeSource: LimitSource {
    let limits = Shared<PublishedLimits?>(nil)
    let met = Shared<[UserKey: String]>([:])
    var wanted: (limits: PublishedLimits?, clockOffset: Int64) { (limits.value, 0) }
    func name(of user: UserKey) -> String? { nil }
    func meet(_ known: [UserKey: String]) { met.value = known }
}

struct EnforcementServiceTests {
    private let clock = FakeClock()
    private let source = FakeSource()
    private let site = Site()
    private let trail = AuditTrail(folder: nil)
    private let hasher = UserHasher(secret: Array("a secret".utf8), cluster: "main")

    private func make() -> EnforcementService {
        EnforcementService(source, hasher: hasher, trail: trail, node: "a", lease: 60, clock: clock) { [site] in
            [FakeBackend(site)]
        }
    }

    /// Limits that hold for a minute from now on.
    private func want(_ limits: [String: Int], generation: UInt64 = 1) {
        let seconds = clock.time().nanoseconds / 1_000_000_000
        source.limits.value = PublishedLimits(
            generation: generation,
            expires: seconds + 60,
            entries: limits.map {
                PublishedLimits.Entry(
                    hasher.key(of: $0.key),
                    connections: $0.value,
                    rung: .limited,
                    since: seconds,
                    utilization: 1.2
                )
            }
        )
    }

    @Test func `limits are set, audited, and lifted at the end`() async throws {
        want(["ana": 5])
        let service = make()
        let running = Running(service)
        try await eventually("ana is limited") { site.limits.value == ["ana": 5] }
        let ana = hasher.key(of: "ana")
        try await eventually("it is told") { service.standing(of: ana).map(\.state.state) == [.enforced] }
        #expect(source.met.value.values.sorted() == ["ana", "ben"])
        #expect(trail.last(10, of: ana).map(\.event) == ["enforced"])
        try await running.stop()
        #expect(site.limits.value.isEmpty && site.releases.value == 1)
        #expect(trail.last(1, of: nil).map(\.event) == ["released"])
    }

    @Test func `a user whom the backend does not know is said to be skipped`() async throws {
        want(["mallory": 1])
        let service = make()
        let running = Running(service)
        let user = hasher.key(of: "mallory")
        try await eventually("it is told") { service.standing(of: user).map(\.state.state) == [.skipped] }
        #expect(site.limits.value.isEmpty)
        try await running.stop()
    }

    @Test func `limits end with their lease where nobody renews them`() async throws {
        want(["ana": 5])
        let running = Running(make())
        try await eventually("ana is limited") { site.limits.value == ["ana": 5] }
        try await clock.advance(by: 59)
        try await eventually("a turn is over") { clock.restingCount == 1 }
        #expect(site.limits.value == ["ana": 5])
        try await clock.advance(by: 2)
        try await eventually("they end") { site.limits.value.isEmpty }
        try await running.stop()
    }

    @Test func `limits of an earlier life stay while nothing is known, but no longer than a lease`()
        async throws
    {
        site.limits.value = ["ana": 5]
        let running = Running(make())
        try await clock.advance(by: 30)
        try await eventually("a turn is over") { clock.restingCount == 1 }
        #expect(site.limits.value == ["ana": 5])
        try await clock.advance(by: 31)
        try await eventually("they end") { site.limits.value.isEmpty }
        try await running.stop()
    }

    @Test func `a backend that fails is told, and tried again`() async throws {
        site.problem.value = "no console"
        want(["ana": 5])
        let service = make()
        let running = Running(service)
        try await eventually("it is told") { service.summary.problems == ["fake: no console"] }
        site.problem.value = nil
        try await clock.advance(by: 1)
        try await eventually("ana is limited") { site.limits.value == ["ana": 5] }
        try await eventually("all is well") { service.summary.problems.isEmpty }
        try await running.stop()
    }

    @Test func `an order to lift all goes before what is wanted, until it is taken back`()
        async throws
    {
        want(["ana": 5])
        let service = make()
        let running = Running(service)
        try await eventually("ana is limited") { site.limits.value == ["ana": 5] }
        service.releaseAll(until: clock.time().nanoseconds / 1_000_000_000 + 30)
        #expect(service.releases.map(\.isConfirmed) == [false])
        try await clock.advance(by: 1)
        try await eventually("all is lifted") { service.releases.map(\.isConfirmed) == [true] }
        #expect(site.limits.value.isEmpty)
        service.resume()
        try await clock.advance(by: 1)
        try await eventually("ana is limited again") { site.limits.value == ["ana": 5] }
        try await running.stop()
    }

    @Test func `a backend that is busy is waited for at the end: limits must not stay`() async throws {
        want(["ana": 5])
        site.gate.close()
        let running = Running(make())
        try await eventually("it is busy") { site.gate.waiting == 1 }
        await running.askToStop()
        #expect(!running.isOver)
        site.gate.open()
        try await eventually("the end") { running.isOver }
        #expect(site.limits.value.isEmpty && site.releases.value == 1)
    }

    @Test func `what an agent tells of its limits is read by a daemon for half a minute`() async throws {
        want(["ana": 5])
        let service = make()
        let running = Running(service)
        let ana = hasher.key(of: "ana")
        try await eventually("it is told") { !service.standing(of: ana).isEmpty }
        let (text, now) = (service.export, clock.time())
        #expect(StandingText.read(text, from: "b", at: now)[ana]?.map(\.0) == ["fake at b"])
        let later = Timestamp(nanoseconds: now.nanoseconds + 31_000_000_000)
        #expect(StandingText.read(text, from: "b", at: later).isEmpty)
        try await running.stop()
    }
}

struct AgentTests {
    private let clock = FakeClock()
    private let hasher = UserHasher(secret: Array("a secret".utf8), cluster: "main")

    @Test func `an agent reads what is wanted, tells how limits stand, and takes that back at the end`() async throws {
        let store = FakeLedgerStore(clock)
        let source = StoredLimits(store)
        let limits = PublishedLimits(generation: 1, expires: 1_800_000_060, entries: [])
        #expect(try store.publish(limits, seconds: 60))
        let service = EnforcementService(
            source,
            hasher: hasher,
            trail: AuditTrail(folder: nil),
            node: "agent",
            clock: clock
        ) { [] }
        let told = Shared<[String?]>([])
        let watch = AgentWatch(source, service, ServiceNotifier { _ in nil }, clock: clock) { text in
            told.change { $0.append(text) }
        }
        let running = Running(watch)
        try await eventually("it reads") { source.wanted.limits == limits }
        try await eventually("it tells") { !told.value.isEmpty }
        #expect(told.value.count == 1 && told.value[0] != nil)
        store.health.isFailing = true
        try await clock.advance(by: 0.5)
        try await eventually("a fault is known") { source.problem != nil }
        #expect(source.wanted.limits == limits, "what was decided ends by its lease")
        store.health.isFailing = false
        try await clock.advance(by: 0.5)
        try await eventually("it is over") { source.problem == nil }
        try await running.stop()
        #expect(told.value.last == .some(nil))
    }
}
