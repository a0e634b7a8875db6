// SPDX-License-Identifier: Apache-2.0
import Domain

/// Judges users by their registers, and says which limits are wanted; without a clock, a store or a name.
public struct Decider: Sendable {
    /// The tier of users who are never judged.
    public static let exemptTier = "!exempt"

    /// Everybody who was looked at.
    public private(set) var subjects: [Subject] = []
    private var places: [UserKey: Int] = [:]
    private var limitedCount = 0
    private var lookNumber: UInt64 = 0

    /// Nobody yet.
    public init() {}

    /// How a user was judged last; `nil`: never.
    public subscript(user: UserKey) -> Subject? { places[user].map { subjects[$0] } }

    /// Users whose limit waits for consent.
    public var heldCount: Int { subjects.count { $0.isHeld } }

    /// Takes over what another one had decided: limits go on without a gap, and end by the usual rules.
    public mutating func adopt(_ limits: PublishedLimits, tiers: [UserKey: String] = [:]) {
        for entry in limits.entries where places[entry.user] == nil {
            let place = place(of: ActiveUser(entry.user, tier: tiers[entry.user] ?? ""))
            subjects[place].ladder = Ladder(rung: entry.rung, since: Self.timestamp(entry.since))
            subjects[place].connections = entry.connections
            if entry.connections != nil { limitedCount += 1 }
        }
    }

    /// Looks at users; returns what changed, by user.
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
        lookNumber += 1
        var list: [Int] = []
        list.reserveCapacity(users.count)
        func add(_ place: Int, _ subjects: inout [Subject]) {
            guard subjects[place].look != lookNumber else { return }
            subjects[place].look = lookNumber
            list.append(place)
        }
        for active in users {
            let place = place(of: active)
            if subjects[place].tier != active.tier { subjects[place].tier = active.tier }
            add(place, &subjects)
        }
        if isBatch { for place in subjects.indices where !subjects[place].isSettled { add(place, &subjects) } }
        for user in terms.overrides.keys { if let place = places[user] { add(place, &subjects) } }
        for user in terms.reset { if let place = places[user] { add(place, &subjects) } }

        var tiers = PreparedTiers()
        var changes: [Change] = []
        for place in list {
            let change = judge(place, &tiers, in: ledger, terms, now: now, isBatch: isBatch)
            if let change { changes.append(change) }
        }
        // In one order everywhere, so that the brake and a backtest always choose the same; who is let go makes room.
        changes.sort { $0.isNewLimit != $1.isNewLimit ? $1.isNewLimit : $0.user < $1.user }
        var transitions: [Transition] = []
        for change in changes { finish(change, terms, now, &transitions) }
        return transitions.sorted { $0.user < $1.user }
    }

    /// Users on a rung or limited, as they are to be published.
    public var limits: [PublishedLimits.Entry] {
        subjects.lazy.filter { $0.ladder.rung != .ok || $0.connections != nil }.map { subject in
            PublishedLimits.Entry(
                subject.user,
                connections: subject.connections,
                rung: subject.ladder.rung,
                since: subject.ladder.since.nanoseconds / 1_000_000_000,
                utilization: subject.utilization
            )
        }
        .sorted { $0.user < $1.user }
    }

    // MARK: One user

    /// What a look found that is not as before.
    private struct Change {
        var place: Int
        var user: UserKey
        var tier: String
        var mode: EnforcementMode
        var from: Verdict
        var connections: Int?
        var cause: Transition.Cause
        var wasHeld: Bool
        var wasAlerted: Bool
        /// Nobody was limited before, and nobody decided it by hand: the brake is asked.
        var isNewLimit: Bool
    }

    private mutating func judge(
        _ place: Int,
        _ tiers: inout PreparedTiers,
        in ledger: borrowing NodeLedger,
        _ terms: Terms,
        now: Int64,
        isBatch: Bool
    ) -> Change? {
        let user = subjects[place].user
        let override =
            terms.overrides.isEmpty ? nil : terms.overrides[user].flatMap { $0.until > now ? $0 : nil }
        var tierName = subjects[place].tier
        if case .tier(let name)? = override?.action { tierName = name }
        let prepared = tiers.find(tierName, terms, now: now)
        let isJudged = prepared.tier != nil && prepared.mode != .off
        let found =
            isJudged ? Fullest(user, prepared, in: ledger, terms.policy.zone, now: now) : Fullest()
        let (from, wasAlerted) = (subjects[place].ladder.rung, subjects[place].isAlerted)
        // Mostly a user stands where he stood: on no rung.
        let isCalm = found.high < Verdict.warning.threshold && from == .ok
        if isCalm, override == nil, subjects[place].connections == nil, !wasAlerted, !subjects[place].isHeld {
            (subjects[place].utilization, subjects[place].utilizationHigh) = (found.low, found.high)
            subjects[place].fullest = found.standing
            return nil
        }
        let didReset = move(place, found, isJudged: isJudged, terms, now: now, isBatch: isBatch)
        let rung = subjects[place].ladder.rung
        var change = Change(
            place: place,
            user: user,
            tier: tierName,
            mode: prepared.mode,
            from: from,
            connections: prepared.mode == .enforce
                ? terms.policy.connections.most(rung, floor: prepared.tier?.floor ?? 1) : nil,
            cause: rung > from ? .crossed : didReset ? .reset : rung < from ? .calmed : .override,
            wasHeld: subjects[place].isHeld,
            wasAlerted: wasAlerted,
            isNewLimit: false
        )
        switch override?.action {
        case .exempt?: (change.connections, change.cause) = (nil, .override)
        case .limit(let connections)?: (change.connections, change.cause) = (connections, .override)
        default:
            change.isNewLimit = change.connections != nil && subjects[place].connections == nil
        }
        // A pause is for everybody, limits by hand included.
        if terms.pause > now, change.connections != nil {
            (change.connections, change.cause, change.isNewLimit) = (nil, .override, false)
        }
        return change
    }

    /// Takes what was found to the ladder; returns whether a window ended, or a budget was given back.
    private mutating func move(
        _ place: Int,
        _ found: Fullest,
        isJudged: Bool,
        _ terms: Terms,
        now: Int64,
        isBatch: Bool
    ) -> Bool {
        var subject = subjects[place]
        defer { subjects[place] = subject }
        (subject.utilization, subject.utilizationHigh, subject.fullest) = (found.low, found.high, found.standing)
        guard isJudged else {
            // Nobody judges this user any more.
            _ = subject.ladder.step(0, at: .epoch, isBatch: false, didReset: true)
            (subject.window, subject.isAlerted) = (nil, false)
            return true
        }
        var didReset = terms.reset.contains(subject.user)
        if let window = subject.window, window.span(at: now, terms.policy.zone).start != subject.start {
            didReset = true
        }
        let hasMoved = subject.ladder.step(
            found.low,
            at: Self.timestamp(now),
            isBatch: isBatch,
            didReset: didReset
        )
        if hasMoved || didReset || subject.window == nil {
            subject.window = found.standing.flatMap { $0.limit.window.isCalendar ? $0.limit.window : nil }
            subject.start = found.standing?.start ?? 0
        }
        subject.isAlerted =
            found.low < 1 && (found.high >= 1 || (subject.isAlerted && found.high >= 1 - Ladder.margin))
        return didReset
    }

    private mutating func finish(_ change: Change, _ terms: Terms, _ now: Int64, _ transitions: inout [Transition]) {
        var change = change
        let before = subjects[change.place].connections
        let isHeld = change.isNewLimit && isOneTooMany(terms, now: now)
        if isHeld { change.connections = nil }
        if isHeld, !change.wasHeld { change.cause = .brake }
        if change.wasHeld, !isHeld, change.connections != nil { change.cause = .consent }
        limitedCount += (change.connections == nil ? 0 : 1) - (before == nil ? 0 : 1)
        subjects[change.place].connections = change.connections
        subjects[change.place].isHeld = isHeld
        let subject = subjects[change.place]
        func note(_ cause: Transition.Cause) {
            transitions.append(
                Transition(
                    user: change.user,
                    tier: change.tier,
                    mode: change.mode,
                    from: change.from,
                    to: subject.ladder.rung,
                    before: before,
                    after: subject.connections,
                    cause: cause,
                    utilization: subject.utilization,
                    utilizationHigh: subject.utilizationHigh,
                    standing: subject.fullest,
                    time: now
                )
            )
        }
        if change.from != subject.ladder.rung || before != subject.connections || change.wasHeld != isHeld {
            note(change.cause)
        }
        if subject.isAlerted, !change.wasAlerted { note(.possible) }
    }

    /// Whether one more limited user is more than the policy allows at once.
    private func isOneTooMany(_ terms: Terms, now: Int64) -> Bool {
        guard terms.consent <= now else { return false }
        let share = min(max(terms.policy.mostLimited, 0), 1)
        return limitedCount + 1 > max(1, Int(share * Double(subjects.count)))
    }

    // MARK: Places

    private mutating func place(of active: ActiveUser) -> Int {
        if let known = places[active.user] { return known }
        subjects.append(Subject(active.user, tier: active.tier))
        places[active.user] = subjects.count - 1
        return subjects.count - 1
    }

    /// Forgets users without a rung, a limit or a register.
    public mutating func forget(unless isKnown: (UserKey) -> Bool) {
        let left = subjects.filter { !$0.isSettled || isKnown($0.user) }
        guard left.count < subjects.count else { return }
        subjects = left
        places = Dictionary(uniqueKeysWithValues: left.enumerated().map { ($1.user, $0) })
    }

    private static func timestamp(_ seconds: Int64) -> Timestamp {
        Timestamp(nanoseconds: seconds.multipliedReportingOverflow(by: 1_000_000_000).partialValue)
    }
}
