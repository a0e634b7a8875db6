// SPDX-License-Identifier: Apache-2.0
import Domain
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

    /// Asks all workers what was run since the last time; waits at most `timeout` seconds for those that are busy, whose
    /// answers then come with the next.
    public func takeActivity(timeout: Double = 1) -> [ActivityRecord] {
        _ = query(timeout: timeout) { $0.handOverActivity() }
        return state.withLock { state in
            defer { state.activity = [] }
            return state.activity
        }
    }
}
