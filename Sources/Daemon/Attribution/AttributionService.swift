// SPDX-License-Identifier: Apache-2.0
import Attribution
import Pipeline
import Platform
import ServiceLifecycle

/// Asks whose sessions are that began before the tap, on a thread that nothing waits for: a server may be slow.
final class AttributionService: Service {
    /// Asks once; returns for how long to rest, in seconds.
    typealias Turn = (WorkerPool) -> Double

    private let pool: WorkerPool
    private let runner: Runner
    private let makeTurn: @Sendable () -> Turn

    /// `makeTurn`: makes what asks, on the thread that it lives on.
    init(_ pool: WorkerPool, clock: any ServiceClock = SystemClock(), makeTurn: @escaping @Sendable () -> Turn) {
        (self.pool, self.makeTurn) = (pool, makeTurn)
        runner = Runner(clock)
    }

    /// Asks these servers and poolers.
    ///
    /// - Parameters:
    ///   - watchesSides: whether it is noticed that both sides of a pooler are seen.
    ///   - learnsServers: whether those that are reached prove which servers are real.
    convenience init(
        _ pool: WorkerPool,
        activity: [String],
        poolers: [String],
        watchesSides: Bool,
        learnsServers: Bool
    ) {
        let directories =
            activity.map { SessionDirectory(.server, parameters: $0) }
            + poolers.map { SessionDirectory(.pooler, parameters: $0) }
        self.init(pool) {
            var watch = watchesSides ? PoolerWatch(directories) : nil
            var servers = learnsServers ? ServerWatch(directories) : nil
            let resolver = SessionResolver(directories) { Log.warning("attribution.problem", $0) }
            return { pool in
                if pool.unknownCount > 0 { pool.settle(resolver.resolve(pool.unknownSessions())) }
                watch?.look(at: pool)
                servers?.look(at: pool)
                return resolver.pause
            }
        }
    }

    /// Asks until the end, which does not wait for an answer.
    func run() async {
        let complaint = "no thread for --activity: old sessions stay unattributed."
        await runner.run(complaint, isAwaited: false) { [self] in
            let turn = makeTurn()
            while !runner.isFinished { runner.rest(turn(pool)) }
        }
    }
}
