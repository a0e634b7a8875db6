// SPDX-License-Identifier: Apache-2.0
import Domain
import Quotas
import Telemetry

/// What a scrape tells of quotas: counts of users, and the heaviest of them one by one.
struct QuotaCensus {
    /// Users by rung, and those whose limit waits for consent.
    var bands: [Verdict: UInt64] = [:]
    var held: UInt64 = 0
    /// The heaviest: their keys and names, what they spent since they are among them, and how full their fullest budget is.
    var heaviest: [(user: UserKey, name: String?, spent: Double, utilization: Double, possible: Double)] = []
    /// What all others spent.
    var others = 0.0
}

extension QuotaService {
    /// As of now.
    func census() -> QuotaCensus {
        withState { state in
            var census = QuotaCensus()
            for rung in Verdict.allCases { census.bands[rung] = 0 }
            let keeper = state.keeper
            for subject in keeper.decider.subjects {
                census.bands[subject.ladder.rung, default: 0] += 1
                if subject.isHeld { census.held += 1 }
            }
            let now = keeper.sync.time(clock.time())
            let found = state.spenders.read(at: Double(clock.time().nanoseconds) / 1e9)
            census.others = found.others
            census.heaviest = found.members.map { user, spent in
                let tier = keeper.decider[user].flatMap { state.policy.tiers[$0.tier] }
                let evaluation = tier.map { Evaluation(user, $0, in: keeper.sync.ledger, state.policy.zone, now: now) }
                let standings = evaluation?.standings ?? []
                return (
                    user, state.names[user], spent, standings.map(\.low).max() ?? 0, standings.map(\.high).max() ?? 0
                )
            }
            return census
        }
    }
}
