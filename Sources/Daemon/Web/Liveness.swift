// SPDX-License-Identifier: Apache-2.0
import Pipeline
import Platform
import Synchronization

/// Whether the workers turn: what probes ask, which must wait for nobody.
final class Liveness: Sendable {
    private let pool: WorkerPool
    /// The heartbeats as they were seen last, and when they had all changed.
    private let seen = Mutex<(heartbeats: [Int], changed: Double)>(([], -.infinity))

    /// Workers turn every 50 ms; one that has not for so many seconds hangs.
    private static let timeout = 5.0

    init(_ pool: WorkerPool) { self.pool = pool }

    var isAlive: Bool {
        let (heartbeats, now) = (pool.heartbeats, SystemClock.now())
        return seen.withLock { seen in
            if seen.heartbeats.count != heartbeats.count || zip(seen.heartbeats, heartbeats).allSatisfy({ $0 != $1 }) {
                seen = (heartbeats, now)
            }
            return now - seen.changed < Self.timeout
        }
    }
}
