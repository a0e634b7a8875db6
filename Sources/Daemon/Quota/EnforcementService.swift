// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc
import PgBouncer
import Pipeline
import Platform
import Quotas
import Reports
import ServiceLifecycle
import Settings
import Synchronization

/// Where the limits that are wanted come from: the daemon's own keeper, or a store that an agent reads.
protocol LimitSource: Sendable {
    /// What is to be in force; `nil`: not known. And how far its clock is ahead of this machine's, in seconds.
    var wanted: (limits: PublishedLimits?, clockOffset: Int64) { get }
    /// The name of a user, where it was seen.
    func name(of user: UserKey) -> String?
    /// Users whom a backend knows: some of them may not have been seen.
    func meet(_ known: [UserKey: String])
}

extension QuotaService: LimitSource {}

/// A thread that brings backends to what is wanted, and keeps them there.
///
/// Only users that a backend itself knows are named to it: the store has hashes, and observed names are not trusted.
final class EnforcementService: Service {
    /// Makes the backends; they live on the service's thread alone.
    private let makeBackends: @Sendable () -> [any EnforcementBackend]
    private let hasher: UserHasher
    private let trail: AuditTrail
    private let node: String
    /// How long limits of an earlier life stay while nothing is known, in seconds.
    private let lease: Int64
    /// Whether problems go to the log from here.
    private let logsProblems: Bool
    private let source: any LimitSource
    private let runner: Runner
    private var clock: any ServiceClock { runner.clock }
    private let state = Mutex(State())

    struct Summary {
        var problems: [String] = []
        var loads: UInt64 = 0, failures: UInt64 = 0, drains: UInt64 = 0
        /// Limits by state.
        var states: [EnforcementState: Int] = [:]
        /// How long the oldest limit that is wanted has not been written, in seconds.
        var lag = 0.0
        /// Limits in force that nobody wants any more.
        var lingering = 0
    }

    /// How a backend stands that was told to lift all limits.
    struct Release: Sendable {
        var backend: String
        /// Whether the backend itself says that nobody is limited; false while it was not asked yet, too.
        var isConfirmed = false
        var problem: String?
    }

    private struct State {
        /// Until when no limit is set here, in seconds since the epoch, and which order said so.
        var pause: (until: Int64, number: Int) = (0, 0)
        var releases: [String: (release: Release, number: Int)] = [:]
        var backends: [String] = []
        var standings: [UserKey: [String: UserEnforcement]] = [:]
        var summaries: [String: Summary] = [:]
    }

    /// Between two turns, in seconds.
    private static let pause = 0.25

    init(
        _ source: any LimitSource,
        hasher: UserHasher,
        trail: AuditTrail,
        node: String,
        lease: Int64 = 60,
        logsProblems: Bool = true,
        clock: any ServiceClock = SystemClock(),
        makeBackends: @escaping @Sendable () -> [any EnforcementBackend]
    ) {
        runner = Runner(clock)
        (self.source, self.hasher, self.trail, self.node, self.lease) = (source, hasher, trail, node, lease)
        self.logsProblems = logsProblems
        self.makeBackends = makeBackends
    }

    /// Sets limits until the end, and lifts them then.
    func run() async {
        await runner.run("no thread for limits: none is set.") { [self] in serve() }
    }

    /// Lifts all limits here at once, and sets none until then, whatever a ledger says.
    func releaseAll(until seconds: Int64) {
        state.withLock { $0.pause = (seconds, $0.pause.number + 1) }
    }

    /// Sets limits as usual again.
    func resume() { state.withLock { $0.pause.until = 0 } }

    /// What came of the last order to lift all limits, at each backend.
    var releases: [Release] {
        state.withLock { state in
            state.backends.map { name in
                guard let entry = state.releases[name], entry.number == state.pause.number else {
                    return Release(backend: name)
                }
                return entry.release
            }
        }
    }

    /// How the limit of a user stands at each backend.
    func standing(of user: UserKey) -> [(backend: String, state: UserEnforcement)] {
        state.withLock { $0.standings[user]?.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } ?? [] }
    }

    /// Users of whom a backend knows something.
    var users: [UserKey] { state.withLock { Array($0.standings.keys) } }

    /// All standings as text, for other nodes: who is a hash there as well.
    var export: String { StandingText.write(state.withLock { $0.standings }, at: clock.time()) }

    var summary: Summary {
        state.withLock { state in
            state.summaries.sorted { $0.key < $1.key }.reduce(into: Summary()) { sum, entry in
                sum.problems += entry.value.problems.map { "\(entry.key): \($0)" }
                sum.loads += entry.value.loads
                sum.failures += entry.value.failures
                sum.drains += entry.value.drains
                sum.states.merge(entry.value.states, uniquingKeysWith: +)
                sum.lag = max(sum.lag, entry.value.lag)
                sum.lingering += entry.value.lingering
            }
        }
    }

    private func serve() {
        var backends = makeBackends().map { Site($0, at: clock.time()) }
        let names = backends.map(\.backend.name)
        state.withLock { $0.backends = names }
        while !runner.isFinished {
            let (limits, offset) = source.wanted
            for index in backends.indices { apply(limits, offset, &backends[index], source) }
            runner.rest(Self.pause)
        }
        for site in backends {
            let problem = site.backend.releaseAll(now: clock.time())
            if let problem { Log.warning("enforcement.left", "limits may be left at \(site.backend.name): \(problem)") }
            trail.write([
                AuditEntry(
                    "released",
                    nil,
                    at: clock.time(),
                    node: node,
                    actor: "enforcer",
                    details: [
                        ("backend", site.backend.name), ("reason", "the daemon ends"), ("problem", problem ?? ""),
                    ]
                )
            ])
        }
    }

    /// A backend and the users that it knows.
    private struct Site {
        let backend: any EnforcementBackend
        var known: [UserKey: String] = [:]
        var asked: Int64 = 0, met: Int64 = 0
        let began: Int64
        var generation: UInt64 = 0
        var since: [UserKey: Timestamp] = [:]

        init(_ backend: any EnforcementBackend, at now: Timestamp) {
            (self.backend, began) = (backend, now.nanoseconds / 1_000_000_000)
        }
    }

    /// Carries out an order to lift all limits; returns whether one is in force.
    private func pauses(_ site: Site, _ now: Timestamp) -> Bool {
        let name = site.backend.name
        let (pause, last) = state.withLock { ($0.pause, $0.releases[name]) }
        guard now.nanoseconds / 1_000_000_000 < pause.until else { return false }
        // What was not confirmed is tried again.
        guard last?.number != pause.number || last?.release.isConfirmed == false else { return true }
        let problem = site.backend.releaseAll(now: now)
        let release = Release(backend: name, isConfirmed: problem == nil, problem: problem)
        state.withLock { $0.releases[name] = (release, pause.number) }
        return true
    }

    private func apply(
        _ published: PublishedLimits?,
        _ offset: Int64,
        _ site: inout Site,
        _ source: any LimitSource
    ) {
        let now = clock.time()
        let seconds = now.nanoseconds / 1_000_000_000
        var limits = published
        if pauses(site, now) {
            limits = PublishedLimits(
                generation: published?.generation ?? site.generation,
                expires: seconds + lease + offset,
                entries: []
            )
        }
        // Limits of an earlier life stay until it is known what is wanted now, but no longer than a lease.
        if limits == nil, seconds - site.began < lease, seconds >= site.began { return }
        let isOver = limits.map { !$0.hold(at: seconds &+ offset) } ?? true
        let entries = isOver ? [] : limits?.entries.filter { $0.connections != nil } ?? []
        let isUnknown = entries.contains { site.known[$0.user] == nil }
        // Who is new there is found within a second, and who is gone within a minute.
        if seconds - site.asked >= (isUnknown ? 1 : 60) || seconds < site.asked {
            site.asked = seconds
            let names = site.backend.knownUsers()
            if !names.isEmpty {
                site.known = Dictionary(names.map { (hasher.key(of: $0), $0) }, uniquingKeysWith: { first, _ in first })
            }
        }
        // Where nothing is written, any name will do.
        if site.backend is DryRun {
            for entry in entries { site.known[entry.user] = source.name(of: entry.user) ?? entry.user.description }
        }
        if seconds - site.met >= 1 || seconds < site.met {
            site.met = seconds
            source.meet(site.known)
        }
        // Never a newer number than the limits have themselves: by it a backend refuses what a node that was paused, and
        // is not the one that decides any more, still believes.
        site.generation = limits?.generation ?? site.generation
        let wanted = WantedLimits(
            generation: site.generation,
            expires: Timestamp(
                nanoseconds: ((limits?.expires ?? 0) - offset).multipliedReportingOverflow(by: 1_000_000_000)
                    .partialValue
            ),
            limits: entries.compactMap { entry in
                guard let name = site.known[entry.user], let connections = entry.connections else { return nil }
                return UserLimit(user: name, connections: connections)
            }
        )
        let outcome = site.backend.apply(wanted, now: now)
        var standings: [UserKey: UserEnforcement] = [:]
        for user in outcome.users { standings[hasher.key(of: user.user)] = user }
        for entry in entries where site.known[entry.user] == nil {
            standings[entry.user] = UserEnforcement(
                user: "",
                connections: entry.connections,
                state: .skipped,
                reason: "\(site.backend.name) knows no such login"
            )
        }
        note(standings, entries, outcome, &site, now)
    }

    private func note(
        _ standings: [UserKey: UserEnforcement],
        _ entries: [PublishedLimits.Entry],
        _ outcome: EnforcementOutcome,
        _ site: inout Site,
        _ now: Timestamp
    ) {
        let name = site.backend.name
        let notices = site.backend.notices
        for entry in entries where site.since[entry.user] == nil { site.since[entry.user] = now }
        var audit: [AuditEntry] = []
        let before = state.withLock { $0.standings.compactMapValues { $0[name] } }
        for (user, standing) in standings {
            let old = before[user]
            guard old?.state != standing.state || old?.connections != standing.connections else { continue }
            let delay = site.since[user].map { now.nanoseconds(since: $0) / 1_000_000 }
            audit.append(
                AuditEntry(
                    standing.state.rawValue,
                    user,
                    at: now,
                    node: node,
                    actor: "enforcer",
                    details: [
                        ("backend", name), ("connections", standing.connections.map(String.init) ?? "all"),
                        ("observed", standing.observed.map(String.init) ?? ""), ("reason", standing.reason),
                        ("delay_ms", delay.map(String.init) ?? ""),
                    ]
                )
            )
            if standing.state == .released { site.since[user] = nil }
        }
        let isWanted = Set(entries.map(\.user))
        for user in site.since.keys where !isWanted.contains(user) && standings[user] == nil { site.since[user] = nil }
        trail.write(audit.sorted { ($0.user?.description ?? "") < ($1.user?.description ?? "") })
        var summary = Summary(
            problems: (outcome.problem.map { [$0] } ?? []) + notices,
            loads: outcome.loads,
            failures: outcome.failures,
            drains: outcome.drains
        )
        for (user, standing) in standings {
            summary.states[standing.state, default: 0] += 1
            if standing.state == .pending || standing.state == .failed, let since = site.since[user] {
                summary.lag = max(summary.lag, Double(now.nanoseconds(since: since)) / 1e9)
            }
            let isInForce = standing.connections != nil && standing.state != .released && standing.state != .skipped
            if isInForce, !isWanted.contains(user) { summary.lingering += 1 }
        }
        let told = summary
        let fresh = state.withLock { state in
            for user in state.standings.keys where standings[user] == nil { state.standings[user]?[name] = nil }
            for (user, standing) in standings { state.standings[user, default: [:]][name] = standing }
            state.standings = state.standings.filter { !$0.value.isEmpty }
            let known = state.summaries.updateValue(told, forKey: name)?.problems ?? []
            return told.problems.filter { !known.contains($0) }
        }
        if logsProblems { for problem in fresh { Log.warning("enforcement.problem", "\(name): \(problem)") } }
    }
}
