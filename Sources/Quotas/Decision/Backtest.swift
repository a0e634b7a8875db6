// SPDX-License-Identifier: Apache-2.0
import Domain

/// What a policy would have done to users whose usage is known: the same decisions as live, every five seconds of the
/// capture's own time, without a store or a backend; so two runs give the same to the byte.
public struct Backtest: Sendable {
    /// What would have happened to one user.
    public struct Outcome: Sendable {
        /// The user.
        public var user: String
        /// The tier's name.
        public var tier: String
        /// The highest rung.
        public var worst = Verdict.ok
        /// The fullest budget at any time, proven.
        public var peak = 0.0
        /// Seconds on the rung of few connections, and of the fewest.
        public var limited: Int64 = 0, severe: Int64 = 0
        /// Whether the user would have been limited at all.
        public var isLimited: Bool { limited + severe > 0 }
        /// Every change, in order.
        public var transitions: [Transition] = []
    }

    /// Everybody who was active, by name.
    public private(set) var outcomes: [Outcome] = []
    /// The time that was looked at, in seconds since the epoch.
    public private(set) var first: Int64 = 0, last: Int64 = 0

    private static let step: Int64 = 5

    /// Judges `timelines`: who used how much when.
    public init(_ policy: QuotaPolicy, _ timelines: [String: [SlotUsage]]) {
        let names = timelines.keys.sorted()
        guard let start = timelines.values.lazy.flatMap({ $0 }).map(\.start).min(),
            let end = timelines.values.lazy.flatMap({ $0 }).map(\.start).max()
        else { return }
        (first, last) = (start, end + WindowKind.grain)
        var slots: [Int64: [(index: Int, usage: Usage)]] = [:]
        for (index, name) in names.enumerated() {
            let tier = policy.isExempt(name) ? Decider.exemptTier : policy.tierName(of: name)
            outcomes.append(Outcome(user: name, tier: tier))
            for slot in timelines[name] ?? [] { slots[slot.start, default: []].append((index, slot.usage)) }
        }
        run(policy, slots)
    }

    private mutating func run(_ policy: QuotaPolicy, _ slots: [Int64: [(index: Int, usage: Usage)]]) {
        var ledger = NodeLedger()
        var decider = Decider()
        // Everybody is limited whom the ladder would limit: the question is what enforcing would have done.
        var terms = Decider.Terms(policy)
        terms.policy.mode = .enforce
        for name in policy.tiers.keys where policy.tiers[name]?.mode != .off {
            terms.policy.tiers[name]?.mode = .enforce
        }
        let users = outcomes.indices.map { Self.user($0) }
        let windows = outcomes.map { outcome in
            policy.calendarWindows + (policy.tiers[outcome.tier]?.limits.map(\.window).filter { !$0.isCalendar } ?? [])
        }
        var standing: Set<Int> = []
        let times = slots.keys.sorted()
        var next = 0
        var now = first
        while now <= last {
            var active: [ActiveUser] = []
            // A slot is known when it is over, but for the last few seconds.
            while next < times.count, times[next] <= now {
                for (index, usage) in slots[times[next]] ?? [] {
                    let slot = SlotUsage(start: times[next], usage: usage)
                    ledger.add([slot], of: users[index], to: windows[index], policy.zone, now: now)
                    active.append(ActiveUser(users[index], tier: outcomes[index].tier))
                }
                next += 1
            }
            for transition in decider.look(at: active, in: ledger, terms, now: now, isBatch: true) {
                let index = Int(transition.user.hash.low)
                guard outcomes.indices.contains(index) else { continue }
                outcomes[index].transitions.append(transition)
                outcomes[index].worst = max(outcomes[index].worst, transition.to)
                if transition.to >= .limited { standing.insert(index) } else { standing.remove(index) }
            }
            for user in active {
                let index = Int(user.user.hash.low)
                outcomes[index].peak = max(
                    outcomes[index].peak,
                    decider[user.user]?.utilization ?? 0
                )
            }
            for index in standing where decider[users[index]]?.connections != nil {
                if decider[users[index]]?.ladder.rung == .severe {
                    outcomes[index].severe += Self.step
                } else {
                    outcomes[index].limited += Self.step
                }
            }
            if now % 600 < Self.step { ledger.forget(before: now) }
            now += Self.step
            // Nobody to be judged until the next usage: a long pause is stepped over.
            if active.isEmpty, standing.isEmpty, next < times.count, times[next] > now {
                now = WindowKind.floor(times[next] - first, Self.step) + first
            }
        }
    }

    private static func user(_ index: Int) -> UserKey { UserKey(Fingerprint(high: 0, low: UInt64(index))) }
}
