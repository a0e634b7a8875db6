// SPDX-License-Identifier: Apache-2.0
import Domain
public import Metering
public import Quotas
import Synchronization

/// What workers leave for the ledger and the history.
extension LiveDesk {
    /// What users used since the last time.
    public func takeUsage() -> [UserUsage] {
        state.withLock { state in
            defer { state.usage = [] }
            return state.usage
        }
    }

    /// Usage that found no room, because nobody took any for long: so many entries.
    public var lostUsage: UInt64 { state.withLock { $0.lostUsage } }

    private static let mostUsage = 1 << 20

    /// What a user spent most on in the current hour, as the workers saw it; waits at most `patience` seconds.
    public func evidence(against user: String, patience: Double = 1) -> [PatternSpend] {
        var sums: [String: PatternSpend] = [:]
        for spend in ask(evidence, user, patience).values.flatMap({ $0 }) {
            let key = spend.fingerprint.description + spend.database
            sums[key, default: spend.nothing].cost += spend.cost
            sums[key]?.calls += spend.calls
        }
        return sums.values.sorted { ($0.cost, $1.fingerprint) > ($1.cost, $0.fingerprint) }
    }

    /// What was run at a worker since the last time.
    func post(_ activity: [ActivityRecord]) { state.withLock { $0.activity += activity } }

    /// What users of one worker used.
    func post(_ usage: [UserUsage]) {
        state.withLock { state in
            if state.usage.count < Self.mostUsage {
                state.usage += usage
            } else {
                state.lostUsage += UInt64(usage.count)
            }
        }
    }

    /// Asks all workers what was run since the last time; waits at most `patience` seconds for those that are busy, whose
    /// answers then come with the next.
    public func takeActivity(patience: Double = 1) -> [ActivityRecord] {
        _ = ask(activities, (), patience)
        return state.withLock { state in
            defer { state.activity = [] }
            return state.activity
        }
    }
}
