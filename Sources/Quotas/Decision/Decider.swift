// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Judges users by their registers, and says which limits are wanted; without a clock, a store or a name.
public struct Decider: Sendable {
    /// One user as judged last.
    public struct Subject: Sendable {
        /// The name of the user's tier.
        public internal(set) var tier: String
        /// The rung.
        public internal(set) var ladder: Ladder
        /// What was found last; `nil`: the user has no limits.
        public internal(set) var evaluation: Evaluation?
        /// The connections that are left; `nil`: all.
        public internal(set) var connections: Int?
        /// Whether a limit waits for consent.
        public internal(set) var isHeld = false
        /// Whether possible usage is above the budget, proven usage is not.
        public internal(set) var isAlerted = false
        /// The calendar window that the rung was reached in.
        var window: WindowKind?
        var start: Int64 = 0

        /// Somebody who was not judged yet.
        public init(tier: String, since: Timestamp) { (self.tier, ladder) = (tier, Ladder(since: since)) }

        init(tier: String, ladder: Ladder) { (self.tier, self.ladder) = (tier, ladder) }

        /// Looks at the registers again, for people; nothing is decided.
        public mutating func refresh(
            _ user: UserKey,
            _ tier: Tier,
            in ledger: borrowing NodeLedger,
            _ zone: ZoneTable,
            now: Int64
        ) {
            evaluation = Evaluation(user, tier, in: ledger, zone, now: now)
        }
    }

    /// By what is judged besides usage.
    public struct Terms: Sendable {
        /// Tiers, modes, zone.
        public var policy: QuotaPolicy
        /// What people decided.
        public var overrides: [UserKey: Override] = [:]
        /// Until when more users than usual may be limited at once, in seconds since the epoch.
        public var consent: Int64 = 0
        /// Until when nobody is limited, in seconds since the epoch.
        public var pause: Int64 = 0
        /// Modes that a person switched at run time, by tier.
        public var modes: [String: EnforcementMode] = [:]
        /// Users whose budget was given back since the last look.
        public var reset: Set<UserKey> = []

        /// Terms.
        public init(_ policy: QuotaPolicy) { self.policy = policy }

        /// What is done about users of a tier.
        public func mode(of tier: String) -> EnforcementMode {
            if tier == Decider.exemptTier { return .off }
            return modes[tier] ?? modes[QuotaKeeper.everybody] ?? policy.mode(of: policy.tiers[tier])
        }
    }

    /// The tier of users who are never judged.
    public static let exemptTier = "!exempt"

    /// Everybody who was looked at.
    public private(set) var subjects: [UserKey: Subject] = [:]
    private var limitedCount = 0

    /// Nobody yet.
    public init() {}

    /// Takes over what another one had decided: limits go on without a gap, and end by the usual rules.
    public mutating func adopt(_ limits: PublishedLimits, tiers: [UserKey: String] = [:]) {
        for entry in limits.entries where subjects[entry.user] == nil {
            let since = Timestamp(nanoseconds: entry.since.multipliedReportingOverflow(by: 1_000_000_000).partialValue)
            var subject = Subject(tier: tiers[entry.user] ?? "", ladder: Ladder(rung: entry.rung, since: since))
            subject.connections = entry.connections
            if entry.connections != nil { limitedCount += 1 }
            subjects[entry.user] = subject
        }
    }

    /// Looks at users; returns what changed.
    ///
    /// - Parameters:
    ///   - users: whom to look at; with `isBatch` those who stand on a rung are looked at as well.
    ///   - now: seconds since the epoch.
    public mutating func look(
        at users: [ActiveUser],
        in ledger: borrowing NodeLedger,
        _ terms: Terms,
        now: Int64,
        isBatch: Bool
    ) -> [Transition] {
        var transitions: [Transition] = []
        for active in users {
            if subjects[active.user] == nil { subjects[active.user] = Subject(tier: active.tier, ladder: Ladder()) }
            subjects[active.user]?.tier = active.tier
        }
        var list = Set(users.map(\.user))
        if isBatch {
            for (user, subject) in subjects
            where subject.ladder.rung != .ok || subject.connections != nil || subject.isAlerted {
                list.insert(user)
            }
        }
        list.formUnion(terms.overrides.keys.filter { subjects[$0] != nil })
        list.formUnion(terms.reset.filter { subjects[$0] != nil })
        // In one order everywhere, so that the brake and a backtest always choose the same.
        for user in list.sorted() {
            look(at: user, in: ledger, terms, now: now, isBatch: isBatch, &transitions)
        }
        return transitions
    }

    private mutating func look(
        at user: UserKey,
        in ledger: borrowing NodeLedger,
        _ terms: Terms,
        now: Int64,
        isBatch: Bool,
        _ transitions: inout [Transition]
    ) {
        guard var subject = subjects[user] else { return }
        let override = terms.overrides[user].flatMap { $0.until > now ? $0 : nil }
        var tierName = subject.tier
        if case .tier(let name)? = override?.action { tierName = name }
        let tier = terms.policy.tiers[tierName]
        let mode = terms.mode(of: tierName)
        let (oldRung, oldConnections, wasHeld) = (subject.ladder.rung, subject.connections, subject.isHeld)
        var didReset = terms.reset.contains(user)

        if let tier, mode != .off {
            let evaluation = Evaluation(user, tier, in: ledger, terms.policy.zone, now: now)
            subject.evaluation = evaluation
            if let window = subject.window, window.span(at: now, terms.policy.zone).start != subject.start {
                didReset = true
            }
            let moved = subject.ladder.step(
                evaluation.utilization,
                at: Timestamp(nanoseconds: now.multipliedReportingOverflow(by: 1_000_000_000).partialValue),
                isBatch: isBatch,
                didReset: didReset
            )
            if moved || didReset || subject.window == nil {
                let fullest = evaluation.fullest
                subject.window = fullest.flatMap { $0.limit.window.isCalendar ? $0.limit.window : nil }
                subject.start = fullest?.start ?? 0
            }
        } else {
            // Nobody judges this user any more.
            subject.evaluation = nil
            _ = subject.ladder.step(0, at: .epoch, isBatch: false, didReset: true)
        }

        var cause: Transition.Cause = subject.ladder.rung > oldRung ? .crossed : didReset ? .reset : .calmed
        subject.connections =
            mode == .enforce ? terms.policy.connections.most(subject.ladder.rung, floor: tier?.floor ?? 1) : nil
        subject.isHeld = false
        switch override?.action {
        case .exempt?:
            subject.connections = nil
            cause = .override
        case .limit(let connections)?:
            subject.connections = connections
            cause = .override
        default:
            if subject.connections != nil, oldConnections == nil, isOneTooMany(terms, now: now) {
                (subject.connections, subject.isHeld) = (nil, true)
            }
        }
        if terms.pause > now, subject.connections != nil {
            (subject.connections, cause) = (nil, .override)
        }
        if wasHeld, !subject.isHeld, subject.connections != nil { cause = .consent }
        if subject.isHeld, !wasHeld { cause = .brake }
        if override == nil, oldRung == subject.ladder.rung, oldConnections != subject.connections, cause == .calmed {
            cause = .override
        }
        limitedCount += (subject.connections == nil ? 0 : 1) - (oldConnections == nil ? 0 : 1)
        let (low, high) = (subject.evaluation?.utilization ?? 0, subject.evaluation?.utilizationHigh ?? 0)
        let wasAlerted = subject.isAlerted
        subject.isAlerted = low < 1 && (high >= 1 || (wasAlerted && high >= 1 - Ladder.margin))
        subjects[user] = subject

        func note(_ cause: Transition.Cause) {
            transitions.append(
                Transition(
                    user: user,
                    tier: tierName,
                    mode: mode,
                    from: oldRung,
                    to: subject.ladder.rung,
                    before: oldConnections,
                    after: subject.connections,
                    cause: cause,
                    utilization: low,
                    utilizationHigh: high,
                    standing: subject.evaluation?.fullest,
                    time: now
                )
            )
        }
        if oldRung != subject.ladder.rung || oldConnections != subject.connections || wasHeld != subject.isHeld {
            note(cause)
        }
        if subject.isAlerted, !wasAlerted { note(.possible) }
    }

    /// Whether one more limited user is more than the policy allows at once.
    private func isOneTooMany(_ terms: Terms, now: Int64) -> Bool {
        guard terms.consent <= now else { return false }
        let share = min(max(terms.policy.mostLimited, 0), 1)
        return limitedCount + 1 > max(1, Int(share * Double(subjects.count)))
    }

    /// Users whose limit waits for consent.
    public var heldCount: Int { subjects.values.count { $0.isHeld } }

    /// What is to be published: everybody on a rung or limited.
    public var limits: [PublishedLimits.Entry] {
        subjects.compactMap { user, subject in
            guard subject.ladder.rung != .ok || subject.connections != nil else { return nil }
            return PublishedLimits.Entry(
                user,
                connections: subject.connections,
                rung: subject.ladder.rung,
                since: subject.ladder.since.nanoseconds / 1_000_000_000,
                utilization: subject.evaluation?.utilization ?? 0
            )
        }
        .sorted { $0.user < $1.user }
    }

    /// Forgets users without a rung, a limit or a register.
    public mutating func forget(unless isKnown: (UserKey) -> Bool) {
        subjects = subjects.filter { user, subject in
            subject.ladder.rung != .ok || subject.connections != nil || isKnown(user)
        }
    }
}
