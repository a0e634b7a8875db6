// SPDX-License-Identifier: Apache-2.0
public import Domain

/// One node's part in keeping quotas: usage goes in, and limits that are wanted come out.
///
/// Of all nodes that share a store one decides, by a lease; the others hand in their usage and take over what was
/// decided. Without fresh totals nothing is decided or renewed, so limits end by themselves.
public struct QuotaKeeper: Sendable {
    /// The node's ledger.
    public private(set) var sync: LedgerSync
    /// What was decided, where this node decides.
    public private(set) var decider = Decider()
    /// By what is judged.
    public private(set) var terms: Decider.Terms
    /// The limits that are to be in force, whoever decided them; `nil`: not known.
    public private(set) var wanted: PublishedLimits?
    /// Whether this node decides.
    public var isLeader: Bool { token != nil }
    /// What went wrong last; `nil`: nothing since.
    public private(set) var problem: String?
    /// Turns that the store did not answer.
    public private(set) var failures: UInt64 = 0

    private let store: any LedgerStore
    private let holder: String
    private var token: UInt64?
    private var sequence: UInt64 = 0
    private var lastToken: UInt64 = 0
    private var tiers: [UserKey: String] = [:]
    /// Users whose sums may have changed since the last decision.
    private var changed: Set<UserKey> = []
    private var touches: [UserKey: String] = [:]
    private var pendingReset: Set<UserKey> = []
    private var due = Due()
    private var knownLosses: UInt64 = 0
    /// What changed and was not told yet.
    private var decided: [Transition] = []
    /// Whether what was decided is not published yet.
    private var mustPublish = false
    /// Users on a rung whose tier was assigned under another policy, until somebody says it by the present one.
    public private(set) var unconfirmed: Set<UserKey> = []
    /// What the policy is called, by all nodes alike; `nil`: it is not compared.
    private var policyName: String?
    /// The policy by which was decided last, by whichever node.
    private var policyOfDecisions: String?

    /// When things are to be done next: ms of this machine's clock.
    private struct Due {
        var lease: Int64 = .min, look: Int64 = .min, batch: Int64 = .min, forget: Int64 = .min, policy: Int64 = .min
        var seen: Int64 = .min / 2, minute: Int64 = .min
        /// When users whose tier nobody confirmed are let go.
        var confirmation: Int64 = .max
    }

    /// How long limits hold unless they are renewed, in seconds.
    private let lease: Int64
    private static let deciderLease: Int64 = 6
    /// Between two regular decisions, and between two looks at what others did, in ms.
    public static let batchInterval: Int64 = 5000
    private static let lookInterval: Int64 = 500
    /// How long a limit outlives the policy that it was set by while it is not known what the present one says, in ms.
    public static let confirmationTime: Int64 = 2500

    /// A node's keeper.
    ///
    /// - Parameters:
    ///   - node: its name, which no other node has; the same after a restart.
    ///   - incarnation: differs from process to process.
    ///   - lease: how long limits hold unless they are renewed, in seconds; at least 15.
    ///   - policyName: differs from policy to policy, and is the same on all nodes that have the same one.
    public init(
        _ store: any LedgerStore,
        node: String,
        incarnation: String,
        policy: QuotaPolicy,
        policyName: String? = nil,
        lease: Int64 = 60
    ) {
        self.store = store
        self.lease = max(15, lease)
        holder = node + "/" + incarnation
        sync = LedgerSync(store, node: node, incarnation: incarnation)
        terms = Decider.Terms(policy)
        self.policyName = policyName
    }

    /// Judges by something else from now on; whom ``assign(_:)`` does not name within ``confirmationTime`` is let go.
    public mutating func judge(by policy: QuotaPolicy, named policyName: String? = nil) {
        if policyName != self.policyName { doubtTiers() }
        (terms.policy, self.policyName) = (policy, policyName)
        changed.formUnion(decider.subjects.map(\.user))
        due.policy = .min
    }

    /// Users who are limited, or on a rung: what is known of their tiers has to be right.
    public var standing: [UserKey] { decider.subjects.lazy.filter { !$0.isSettled }.map(\.user) }

    /// The tiers of all who are on a rung were assigned under another policy.
    private mutating func doubtTiers() {
        unconfirmed = Set(standing)
        due.confirmation = unconfirmed.isEmpty ? .max : due.seen &+ Self.confirmationTime
    }

    /// Users are in these tiers by the present policy.
    public mutating func assign(_ users: [ActiveUser]) {
        if !unconfirmed.isEmpty { unconfirmed.subtract(users.map(\.user)) }
        for active in users where tiers[active.user] != active.tier {
            tiers[active.user] = active.tier
            touches[active.user] = active.tier
            changed.insert(active.user)
        }
    }

    /// Windows that a tier's users are booked to.
    public func windows(of tier: String) -> [WindowKind] {
        let own = terms.policy.tiers[tier]?.limits.map(\.window).filter { !$0.isCalendar } ?? []
        return terms.policy.calendarWindows + own
    }

    /// Adds what users used.
    public mutating func add(_ slots: [SlotUsage], of active: ActiveUser, at local: Timestamp) {
        let now = sync.time(local)
        sync.add(slots, of: active.user, to: windows(of: active.tier), terms.policy.zone, now: now)
        if tiers[active.user] != active.tier { tiers[active.user] = active.tier }
        if !unconfirmed.isEmpty { unconfirmed.remove(active.user) }
        touches[active.user] = active.tier
    }

    /// Stores usage, decides what is due, publishes it; returns what changed for users, where this node decides.
    public mutating func turn(at local: Timestamp) -> [Transition] {
        do throws(LedgerError) {
            try work(local)
            problem =
                sync.isContested ? "another process writes under this node's name: give it a name of its own" : nil
        } catch {
            failures &+= 1
            problem = error.description
        }
        defer { decided = [] }
        return decided
    }

    private mutating func work(_ local: Timestamp) throws(LedgerError) {
        let clock = local.nanoseconds / 1_000_000
        // A clock that was set back: everything is due.
        if clock < due.seen - 1000 {
            due = Due()
            if !unconfirmed.isEmpty { due.confirmation = clock &+ Self.confirmationTime }
        }
        due.seen = clock
        try sync.visit(local)
        let now = sync.time(local)
        guard !sync.isContested else {
            // Somebody else is this node: what he decides holds here too.
            token = nil
            return try follow()
        }
        changed.formUnion(try sync.flush(now: now))
        if !touches.isEmpty {
            try store.touch(touches.map { ActiveUser($0.key, tier: $0.value) }, at: now)
            touches = [:]
        }
        if clock >= due.lease {
            due.lease = clock + Self.deciderLease * 300
            try stand(now: now)
            // Who does not decide asks more often: a node that died is replaced soon.
            if token == nil { due.lease = clock + 1000 }
        }
        if clock >= due.look {
            due.look = clock + Self.lookInterval
            try readOverrides(now: now)
            if token != nil, sync.hasPeers { try lookAround(now: now) }
            if token == nil { try follow() }
        }
        if clock >= due.forget {
            due.forget = clock + 60_000
            sync.ledger.forget(before: now)
            decider.forget { sync.ledger.knows($0) }
            tiers = tiers.filter { sync.ledger.knows($0.key) }
        }
        guard let token else { return }
        try confirmTiers(clock)
        // Calendar windows begin with a minute: who is let go then need not wait for the batch.
        let isBatch = clock >= due.batch || now / 60 != due.minute
        due.minute = now / 60
        guard isBatch || !changed.isEmpty || !terms.reset.isEmpty || mustPublish else { return }
        if isBatch { due.batch = clock + Self.batchInterval }
        let users = changed.map { ActiveUser($0, tier: tiers[$0] ?? "") }
        let found = decider.look(at: users, in: sync.ledger, terms, now: now, isBatch: isBatch)
        changed = []
        terms.reset = []
        // Told even where the store does not take what follows from it.
        let told = decided.count
        decided += found
        if isBatch || !found.isEmpty || wanted == nil { mustPublish = true }
        if mustPublish {
            sequence &+= 1
            let limits = PublishedLimits(
                generation: token << 32 | sequence & 0xFFFF_FFFF,
                expires: now + lease,
                entries: decider.limits
            )
            mustPublish = false
            guard try store.publish(limits, seconds: lease) else {
                // Another node decided since: this one was paused, and what it decided holds for nobody.
                decided.removeLast(decided.count - told)
                self.token = nil
                return try follow()
            }
            wanted = limits
        }
    }

    /// Takes over what another node decided.
    private mutating func follow() throws(LedgerError) {
        // None: a store that lost them, not a decision. What was decided ends by its lease.
        let now = sync.time(Timestamp(nanoseconds: due.seen &* 1_000_000))
        if let limits = try published(), limits.hold(at: now) { wanted = limits }
        if due.seen >= due.policy {
            due.policy = due.seen + 10_000
            try readPolicy()
        }
    }

    /// Lets go of users of whom nobody said which tier they are in by the present policy.
    private mutating func confirmTiers(_ clock: Int64) throws(LedgerError) {
        if clock >= due.policy, let policyName {
            try store.keep(policyName, in: Self.policies, as: Self.everybody)
            policyOfDecisions = policyName
            due.policy = clock + 10_000
        }
        guard clock >= due.confirmation else { return }
        due.confirmation = .max
        for user in unconfirmed where decider[user]?.isSettled == false {
            tiers[user] = ""
            changed.insert(user)
        }
        unconfirmed = []
    }

    /// What the store has of limits.
    private func published() throws(LedgerError) -> PublishedLimits? {
        try store.get(PublishedLimits.name).flatMap { PublishedLimits(text: $0) }
    }

    /// Reads by which policy was decided last; a store that was emptied does not make it another one.
    private mutating func readPolicy() throws(LedgerError) {
        policyOfDecisions = try store.all(in: Self.policies)[Self.everybody] ?? policyOfDecisions
    }

    /// The list that holds the name of the policy by which was decided last.
    private static let policies = "policy"

    /// Takes or renews the right to decide; who gets it takes over what was decided before.
    private mutating func stand(now: Int64) throws(LedgerError) {
        let granted = try store.lease("decider", holder: holder, seconds: Self.deciderLease)
        if let granted, granted != token {
            for active in try store.touched(since: now - 86_400) {
                tiers[active.user] = tiers[active.user] ?? active.tier
            }
            decider = Decider()
            // A store that was emptied does not end what was decided.
            let limits = try published() ?? wanted
            if let limits, limits.hold(at: now) { decider.adopt(limits, tiers: tiers) }
            try readPolicy()
            if policyName != nil, policyOfDecisions != policyName { doubtTiers() }
            let users = tiers.map { (user: $0.key, windows: windows(of: $0.value)) }
            try sync.refresh(users, terms.policy.zone, now: now, since: now)
            changed.formUnion(tiers.keys)
            // The same right given again goes on counting: what was published under it must not look newer.
            if granted != lastToken { sequence = 0 }
            lastToken = granted
            (due.batch, due.policy) = (.min, .min)
        }
        token = granted
    }

    /// Reads what users of other nodes did since the last look.
    private mutating func lookAround(now: Int64) throws(LedgerError) {
        let active = try store.touched(since: now - 2)
        for user in active { tiers[user.user] = user.tier }
        try sync.refresh(
            active.map { ($0.user, windows(of: $0.tier)) },
            terms.policy.zone,
            now: now,
            since: now
        )
        changed.formUnion(active.map(\.user))
    }

    // MARK: People's decisions

    /// What stands for all users, or all tiers, in decisions.
    public static let everybody = "*"
    /// The name of a pause of all limits, among the decisions about users.
    private static let pause = "!"
    /// The list of users whose budget was given back, and the time of it.
    private static let resets = "resets"

    private mutating func readOverrides(now: Int64) throws(LedgerError) {
        if sync.losses != knownLosses {
            // What people decided is not undone by a store that was emptied.
            for (user, override) in terms.overrides {
                try store.keep(override.text, in: "overrides", as: user.description)
            }
            knownLosses = sync.losses
        }
        var found: [UserKey: Override] = [:]
        var (consent, pause): (Int64, Int64) = (0, 0)
        for (name, text) in try store.all(in: "overrides") {
            guard let override = Override(text: text) else { continue }
            guard override.until > now else {
                try store.keep(nil, in: "overrides", as: name)
                continue
            }
            switch name {
            case Self.everybody: consent = override.until
            case Self.pause: pause = override.until
            default: if let user = UserKey(name) { found[user] = override }
            }
        }
        for user in Set(found.keys).union(terms.overrides.keys) where found[user] != terms.overrides[user] {
            changed.insert(user)
        }
        if consent > terms.consent { changed.formUnion(decider.subjects.filter(\.isHeld).map(\.user)) }
        var modes: [String: EnforcementMode] = [:]
        for (tier, text) in try store.all(in: "modes") { modes[tier] = EnforcementMode(rawValue: text) }
        if modes != terms.modes || pause != terms.pause { changed.formUnion(decider.subjects.map(\.user)) }
        (terms.overrides, terms.consent, terms.pause, terms.modes) = (found, consent, pause, modes)
        guard token != nil else { return }
        for (name, _) in try store.all(in: Self.resets) {
            if let user = UserKey(name) {
                try sync.reset([(user, windows(of: tiers[user] ?? ""))], terms.policy.zone, now: now)
                terms.reset.insert(user)
                changed.insert(user)
            }
            try store.keep(nil, in: Self.resets, as: name)
        }
    }

    /// Decides about a user for a time; `nil`: by the ladder again.
    public mutating func override(_ user: UserKey, _ override: Override?) throws(LedgerError) {
        try store.keep(override?.text, in: "overrides", as: user.description)
        due.look = .min
    }

    /// Allows more users than usual to be limited at once, for a time.
    public mutating func consent(_ override: Override) throws(LedgerError) {
        try store.keep(override.text, in: "overrides", as: Self.everybody)
        due.look = .min
    }

    /// Limits nobody for a time; `nil`: as usual again.
    public mutating func pause(_ override: Override?) throws(LedgerError) {
        try store.keep(override?.text, in: "overrides", as: Self.pause)
        due.look = .min
    }

    /// Switches what is done about users of a tier, or of all, at run time; `nil`: as configured.
    public mutating func switchMode(_ mode: EnforcementMode?, of tier: String) throws(LedgerError) {
        try store.keep(mode?.rawValue, in: "modes", as: tier)
        due.look = .min
    }

    /// Gives a user's budget back; whoever decides does it within a second.
    public mutating func reset(_ user: UserKey) throws(LedgerError) {
        try store.keep("1", in: Self.resets, as: user.description)
        due.look = .min
    }

    /// Stores the rest, and lets others take over at once.
    public mutating func close(at local: Timestamp) {
        do throws(LedgerError) {
            _ = try sync.flush(now: sync.time(local))
            if token != nil { try store.giveBack("decider", holder: holder) }
            try sync.close()
        } catch {
            problem = error.description
        }
        token = nil
    }
}
