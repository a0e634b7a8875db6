// SPDX-License-Identifier: Apache-2.0
import CLinux
import Domain
import Glibc
import Pipeline
import Platform
import Quotas
import RedisClient
import RedisStore
import Reports
import ServiceLifecycle
import Settings
import Synchronization
import Telemetry

/// The daemon's thread that keeps quotas: usage from the workers, through the ledger, to limits that are wanted.
final class QuotaService: Service {
    let hasher: UserHasher
    let trail: AuditTrail
    let node: String
    private let showsNames: Bool
    private let pool: WorkerPool
    private let store: any LedgerStore
    private let runner: Runner
    var clock: any ServiceClock { runner.clock }
    private let state: Mutex<State>
    private let enforcement = Mutex<EnforcementService?>(nil)
    private let claims = Mutex(OriginClaims())
    /// Whether other nodes may see what this node sees.
    private let isShared: Bool

    struct State {
        var keeper: QuotaKeeper
        var policy: QuotaPolicy
        /// Users by name, and names by user.
        var users: [String: ActiveUser] = [:]
        var names: [UserKey: String] = [:]
        var directory: [String: String] = [:]
        var policyName: String
        var problems: [String: String] = [:]
        /// The heaviest users, for metrics.
        var spenders = TopSeries<UserKey>(limit: 20)
    }

    /// Names that are remembered at most.
    private static let mostNames = 1 << 17
    /// Between two turns, in seconds.
    private static let pause = 0.1

    init(
        _ pool: WorkerPool,
        store: any LedgerStore,
        node: String,
        policy: QuotaPolicy,
        hasher: UserHasher,
        trail: AuditTrail,
        lease: Int64,
        claims isShared: Bool,
        showsNames: Bool,
        clock: any ServiceClock = SystemClock()
    ) {
        runner = Runner(clock)
        self.showsNames = showsNames
        (self.pool, self.store, self.node, self.hasher, self.trail) = (pool, store, node, hasher, trail)
        self.isShared = isShared
        let incarnation = String(UInt64.random(in: .min ... .max), radix: 16)
        let policyName = Self.name(of: policy, hasher)
        state = Mutex(
            State(
                keeper: QuotaKeeper(
                    store,
                    node: node,
                    incarnation: incarnation,
                    policy: policy,
                    policyName: policyName,
                    lease: lease
                ),
                policy: policy,
                policyName: policyName
            )
        )
    }

    /// Limits are set by this service, which is asked how they stand.
    func attach(_ service: EnforcementService) { enforcement.withLock { $0 = service } }

    /// Keeps quotas until the end; what was used is stored then.
    func run() async {
        await runner.run("no thread for quotas: nobody is limited.") { [self] in serve() }
    }

    private func serve() {
        while !runner.isFinished {
            turn()
            runner.rest(Self.pause)
        }
        turn()
        claims.withLock { claims in
            claims.close()
            guard claims.lost.high > 0 else { return }
            let units = CostUnits(micro: claims.lost.high)
            Log.warning("quota.unclaimed", "\(units) units of usage were not booked: Redis did not say who books them.")
        }
        state.withLock { $0.keeper.close(at: clock.time()) }
    }

    private func turn() {
        let usage = admit(pool.takeUsage())
        let now = clock.time()
        let (transitions, generation) = state.withLock { state in
            confirmTiers(&state)
            for entry in usage {
                let user = active(entry.user, &state)
                state.keeper.add(entry.slots, of: user, at: now)
                let spent = entry.slots.reduce(Usage.zero) { $0 + $1.usage }
                state.spenders.add(CostUnits(micro: spent.low).units, of: user.user)
            }
            let transitions = state.keeper.turn(at: now)
            return (transitions, state.keeper.wanted?.generation ?? 0)
        }
        trail.write(transitions.map { AuditEntry($0, generation: generation, at: now, node: node) })
        for transition in transitions { tell(transition) }
    }

    /// What of this usage is to be booked here, and what waited for that.
    private func admit(_ usage: [UserUsage]) -> [UserUsage] {
        guard isShared else { return usage }
        let asked = Self.clock
        let (admitted, due) = claims.withLock { claims in
            let admitted = usage.filter { claims.admit($0, at: asked) }
            return (admitted, claims.due(at: asked))
        }
        guard !due.isEmpty else { return admitted }
        let answers: [ClaimAnswer]
        do throws(LedgerError) {
            let names = due.map { hasher.key(of: "origin " + $0.description).description }
            answers = try store.claim(
                names,
                holder: node,
                seconds: OriginClaims.lease / 1000,
                grace: OriginClaims.grace / 1000
            )
        } catch {
            // It waits; the ledger tells that its store does not answer.
            return admitted
        }
        let waited = claims.withLock { $0.settle(zip(due, answers).map { ($0, $1) }, asked: asked) }
        return admitted + waited
    }

    /// Milliseconds of a clock that goes on while the machine sleeps: leases end meanwhile.
    private static var clock: Int64 { Int64(SystemClock.uptime() * 1000) }

    /// The log names nobody: who may read names asks `pgweir quota why`.
    private func tell(_ transition: Transition) {
        guard transition.mode == .warn || transition.mode == .enforce || transition.cause == .brake else { return }
        let share = Int(min(transition.utilization, 1e6) * 100)
        let window = transition.standing?.limit.window.title ?? "budget"
        let limit =
            transition.after.map { "at most \($0) connections" }
            ?? (transition.cause == .brake ? "not limited: too many at once, see 'pgweir quota consent'" : "no limit")
        let name = showsNames ? name(of: transition.user) : nil
        Log.info(
            "quota." + transition.to.rawValue,
            "quota: user \(name ?? transition.user.description) (tier \(transition.tier)) \(transition.from.rawValue) -> "
                + "\(transition.to.rawValue), \(share) % of the \(window), \(transition.cause.rawValue): \(limit)"
        )
    }

    private func active(_ name: String, _ state: inout State) -> ActiveUser {
        if let known = state.users[name] { return known }
        let active = ActiveUser(hasher.key(of: name), tier: tier(of: name, state))
        if state.users.count >= Self.mostNames {
            // Some at once; those that use something are known again by that.
            for (old, entry) in state.users.prefix(Self.mostNames / 8) {
                state.users[old] = nil
                state.names[entry.user] = nil
            }
        }
        state.users[name] = active
        state.names[active.user] = name
        return active
    }

    private func tier(of name: String, _ state: borrowing State) -> String {
        state.policy.isExempt(name) ? Decider.exemptTier : state.policy.tierName(of: name)
    }

    /// Another policy holds from now on.
    func apply(_ policy: QuotaPolicy) {
        let name = Self.name(of: policy, hasher)
        state.withLock { state in
            state.policy = policy
            state.policyName = name
            state.policy.directory = state.directory
            reassign(&state)
        }
    }

    /// What a policy is called where it is compared: users' names in it are nobody else's business.
    private static func name(of policy: QuotaPolicy, _ hasher: UserHasher) -> String {
        hasher.key(of: "policy " + policy.assignment).description
    }

    /// Users who are on a rung, and whose tier was said by another policy or another node, get the one of this policy.
    private func confirmTiers(_ state: inout State) {
        guard !state.keeper.unconfirmed.isEmpty else { return }
        let named = state.keeper.unconfirmed.compactMap { user in state.names[user] }
        guard !named.isEmpty else { return }
        let users = named.map { name in
            var user = active(name, &state)
            user.tier = tier(of: name, state)
            state.users[name] = user
            return user
        }
        state.keeper.assign(users)
    }

    /// Takes the names of users who are on a rung from those that a backend, or the policy itself, knows.
    ///
    /// After a restart nobody was seen yet, and limits that were set before are to be judged by what holds now.
    func meet(_ known: [UserKey: String]) {
        state.withLock { state in
            let unnamed = state.keeper.standing.filter { state.names[$0] == nil }
            guard !unnamed.isEmpty else { return }
            var met = unnamed.compactMap { known[$0] }
            if state.keeper.unconfirmed.contains(where: { known[$0] == nil && state.names[$0] == nil }) {
                met += state.policy.namedUsers.filter { unnamed.contains(hasher.key(of: $0)) }
            }
            let users = met.map { active($0, &state) }
            state.keeper.assign(users)
        }
    }

    /// Users are in these tiers, as a database says.
    func take(directory: [String: String]) {
        state.withLock { state in
            guard state.directory != directory else { return }
            state.directory = directory
            state.policy.directory = directory
            reassign(&state)
        }
    }

    private func reassign(_ state: inout State) {
        state.keeper.judge(by: state.policy, named: state.policyName)
        var users: [ActiveUser] = []
        for (name, active) in state.users {
            let tier = tier(of: name, state)
            if tier != active.tier { state.users[name]?.tier = tier }
            users.append(ActiveUser(active.user, tier: tier))
        }
        state.keeper.assign(users)
    }

    /// Says what is wrong with a part, or that nothing is any more.
    func note(problem: String?, of part: String) { state.withLock { $0.problems[part] = problem } }

    /// What is to be in force, and how far the ledger's clock is ahead of this machine's, in seconds.
    var wanted: (limits: PublishedLimits?, clockOffset: Int64) {
        state.withLock { ($0.keeper.wanted, $0.keeper.sync.clockOffset) }
    }

    /// The name of a user, where it was seen.
    func name(of user: UserKey) -> String? { state.withLock { $0.names[user] } }

    func withState<Result>(_ body: (inout State) throws -> sending Result) rethrows -> sending Result {
        try state.withLock { try body(&$0) }
    }

    /// How the limit of a user stands at each backend.
    func enforcement(of user: UserKey) -> [(backend: String, state: UserEnforcement)] {
        enforcement.withLock { $0 }?.standing(of: user) ?? []
    }

    /// Lifts all limits that are set from here until then; 0: sets them as usual again.
    func pauseHere(_ until: Int64) {
        guard let service = enforcement.withLock({ $0 }) else { return }
        if until > 0 { service.releaseAll(until: until) } else { service.resume() }
    }

    /// What came of ``pauseHere(_:)``.
    var releasesHere: [EnforcementService.Release] { enforcement.withLock { $0 }?.releases ?? [] }

    /// Users of whom a backend knows something.
    var enforced: [UserKey] { enforcement.withLock { $0 }?.users ?? [] }

    /// How limits stand at agents elsewhere, as they told by the store.
    func remoteStandings() -> [UserKey: [(String, UserEnforcement)]] {
        var found: [UserKey: [(String, UserEnforcement)]] = [:]
        let texts: [String: String]
        do throws(LedgerError) { texts = try store.all(in: LimitAgent.standings) } catch { return [:] }
        for (node, text) in texts {
            let told = StandingText.read(text, from: node, at: clock.time())
            found.merge(told) { $0 + $1 }
        }
        return found
    }

    /// How limits fare at the backends; `nil`: there are none.
    var enforcementSummary: EnforcementService.Summary? { enforcement.withLock { $0 }?.summary }

    /// The ledger's Redis, if it is one.
    var redis: RedisStatus? { (store as? RedisLedgerStore)?.status }

    /// For `pgweir status`.
    var facts: QuotaFacts {
        let backends = enforcement.withLock { $0 }?.summary
        let claimed = claims.withLock { ($0.counts, $0.elsewhere, $0.lost, $0.waitingCount) }
        // What is proven: what is possible goes down again, which a counter must not.
        func units(_ usage: Usage) -> UInt64 { UInt64(max(0, CostUnits(micro: usage.low).units)) }
        return state.withLock { state in
            let keeper = state.keeper
            var problems = state.problems.sorted { $0.key < $1.key }.map(\.value)
            if let problem = keeper.problem { problems.insert("the ledger is not in step: \(problem)", at: 0) }
            let held = keeper.decider.heldCount
            if held > 0 { problems.append("\(held) limits wait for consent: 'pgweir quota consent'") }
            problems += backends?.problems ?? []
            return QuotaFacts(
                store: store.name,
                condition: store.condition,
                node: node,
                isLeader: keeper.isLeader,
                problems: problems,
                values: [
                    ("users", UInt64(keeper.sync.ledger.userCount)),
                    ("limited", UInt64(keeper.wanted?.entries.count { $0.connections != nil } ?? 0)),
                    ("held", UInt64(held)), ("waiting", UInt64(keeper.sync.ledger.dirtyCount)),
                    ("late", keeper.sync.ledger.late), ("lost", pool.lostUsage),
                    ("origins_booked", UInt64(claimed.0.own)),
                    ("origins_elsewhere", UInt64(claimed.0.foreign)),
                    ("unclaimed", UInt64(claimed.3)), ("units_elsewhere", units(claimed.1)),
                    ("units_unclaimed_lost", units(claimed.2)),
                    ("store_failures", keeper.failures), ("store_losses", keeper.sync.losses),
                    ("audit_lost", UInt64(max(0, trail.lost.load(ordering: .relaxed)))),
                    ("loads", backends?.loads ?? 0), ("load_failures", backends?.failures ?? 0),
                    ("drains", backends?.drains ?? 0),
                ]
            )
        }
    }
}
