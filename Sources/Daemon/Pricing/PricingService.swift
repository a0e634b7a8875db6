// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Explain
import Glibc
import Pipeline
import Platform
import RedisClient
import RedisStore
import Reports
import ServiceLifecycle
import Synchronization

/// The daemon's thread that finds prices: workers ask it through the pool and never wait for it.
final class PricingService: Service {
    /// What makes a pricer; it lives on the service's thread alone.
    private let makePricer: @Sendable () -> Pricer
    private let store: any CostStore
    private let pool: WorkerPool
    /// Poolers' consoles.
    private let consoles: [String]
    private let runner: Runner
    private var clock: any ServiceClock { runner.clock }
    private let state: Mutex<State>

    private struct State {
        var counters = Pricer.Counters()
    }

    /// Seconds between two turns: where a planner is asked, and where only durations teach.
    private let pause: Double
    /// Seconds between two looks at durations.
    private static let learning = 2.0

    init(
        _ pool: WorkerPool,
        store: any CostStore,
        consoles: [String],
        isCalm: Bool,
        clock: any ServiceClock = SystemClock(),
        makePricer: @escaping @Sendable () -> Pricer
    ) {
        runner = Runner(clock)
        self.pool = pool
        self.consoles = consoles
        pause = isCalm ? 1 : 0.1
        self.makePricer = makePricer
        self.store = store
        state = Mutex(State())
    }

    /// Finds prices until the end; what was learned is stored then.
    func run() async {
        await runner.run("no thread for prices: the default price holds.") { [self] in serve() }
    }

    /// The Redis that keeps prices, if one does.
    var redis: RedisStatus? { (store as? RedisCostStore)?.status }

    /// For `pgweir status`.
    var status: PricingStatus {
        let counters = state.withLock { $0.counters }
        return PricingStatus(
            store: store.name,
            condition: store.condition,
            values: [
                ("waiting", UInt64(counters.waiting)), ("known", UInt64(counters.known)),
                ("questions", counters.questions), ("found", counters.found), ("asked", counters.asked),
                ("priced", counters.priced), ("failed", counters.failed), ("unsafe", counters.unsafe),
                ("refreshed", counters.refreshed), ("drifted", counters.drifted),
                ("store_errors", counters.storeErrors), ("server_errors", counters.serverErrors),
                ("overflow", counters.overflow), ("parser_failures", counters.parserFailures),
                ("held", counters.held),
            ],
            refusals: SafetyChecks.Name.allCases.map { ($0.rawValue, counters.refusals[$0] ?? 0) },
            age: counters.age
        )
    }

    private func serve() {
        let pricer = makePricer()
        var last = 0.0
        var aliases = DatabaseAliases(consoles)
        while !runner.isFinished {
            pricer.take(aliases: aliases.current(at: clock.now()))
            let batch = pool.takePricing()
            pool.tell(
                pricer.take(
                    questions: batch.questions,
                    changes: batch.changes,
                    observations: batch.observations,
                    overflow: batch.overflow,
                    load: batch.observations.isEmpty ? .none : pool.load
                )
            )
            pool.tell(pricer.work(patience: 0.2))
            if let roles = pricer.roles { pool.tell(roles) }
            state.withLock { $0.counters = pricer.counters }
            let now = Double(clock.time().nanoseconds) / 1e9
            if abs(now - last) >= Self.learning {
                last = now
                pool.askForObservations()
            }
            runner.rest(pause)
        }
        pricer.finish()
    }
}
