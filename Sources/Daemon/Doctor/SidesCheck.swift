// SPDX-License-Identifier: Apache-2.0
import Attribution
import Domain
import Pipeline
import Platform
import Synchronization

/// Whether both sides of a pooler are seen: asked while the connections are there, on a thread beside the tap.
final class SidesCheck: Sendable {
    private let found = Mutex<[Finding]>([])
    private let thread = Mutex<WorkerThread?>(nil)
    private let wakeUp = WakeUp()

    /// Asks `poolers` after so many seconds of the tap that `pool` belongs to.
    init(_ poolers: [SessionDirectory], at pool: WorkerPool, after seconds: Double) {
        guard !poolers.isEmpty else { return }
        let began = SystemClock.time()
        let started = WorkerThread { [self] in
            // Rung for before that: the tap was interrupted.
            guard !wakeUp.wait(seconds) else { return }
            guard let seen = pool.seenConnections() else { return }
            let own = OwnConnections.ends
            for pooler in poolers {
                let answer = try? pooler.sides(before: seen, own: own, since: began) { pool.seenConnections() }
                guard let sides = answer ?? nil else { continue }
                found.withLock { $0.append(Self.finding(sides)) }
            }
        }
        thread.withLock { $0 = started }
    }

    /// What was found; waits for the poolers' answers.
    var findings: [Finding] {
        let thread = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        wakeUp.wake()
        thread?.join()
        return found.withLock { $0 }
    }

    private static func finding(_ sides: PoolerSides) -> Finding {
        guard let place = sides.place else {
            return .fine(
                "pooler.sides",
                "not both sides of the PgBouncer are seen (connections: \(sides.clients) of clients, \(sides.servers) to servers)"
            )
        }
        if sides.isWhole {
            return .fine(
                "pooler.sides",
                PoolerWatch.text(sides) + ": with --pooler, `pgweir run` passes over those to its servers"
            )
        }
        return .warning(
            "pooler.sides",
            PoolerWatch.text(sides) + ": " + PoolerWatch.bill(sides),
            PoolerWatch.remedy(place)
        )
    }
}
