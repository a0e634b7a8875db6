// SPDX-License-Identifier: Apache-2.0
import Domain
import Platform
import Quotas
import Synchronization

/// Limits as a store has them, read by one thread and used by another.
final class StoredLimits: LimitSource {
    private let store: any LedgerStore
    private let state = Mutex(State())

    private struct State {
        var limits: PublishedLimits?
        var offset: Int64 = 0
        var problem: String?
        var turns = 0
    }

    init(_ store: any LedgerStore) { self.store = store }

    var wanted: (limits: PublishedLimits?, clockOffset: Int64) { state.withLock { ($0.limits, $0.offset) } }
    var problem: String? { state.withLock { $0.problem } }
    func name(of user: UserKey) -> String? { nil }
    func meet(_ known: [UserKey: String]) {}

    /// Reads what is wanted; what cannot be read stays, and ends by its lease.
    func refresh() {
        do throws(LedgerError) {
            let limits = try store.get("limits").flatMap { PublishedLimits(text: $0) }
            let isDue = state.withLock { state in
                // None: a store that lost them, not a decision. What was decided ends by its lease.
                if let limits { state.limits = limits }
                state.problem = nil
                state.turns += 1
                return state.turns % 20 == 1
            }
            if isDue, let time = try store.time() {
                let offset = (time.nanoseconds - SystemClock.time().nanoseconds) / 1_000_000_000
                state.withLock { $0.offset = abs(offset) < 2 ? 0 : offset }
            }
        } catch {
            state.withLock { $0.problem = error.description }
        }
    }
}
