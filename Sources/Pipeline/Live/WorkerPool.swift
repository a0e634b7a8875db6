// SPDX-License-Identifier: Apache-2.0
public import Costs
public import Domain
public import Metering
import Platform
public import Quotas
import Synchronization

/// By what a live capture judges; may change while it runs.
public struct PolicySnapshot: Sendable {
    /// Who may spend what.
    public var policy: QuotaPolicy
    /// What statements cost.
    public var prices: PriceList

    /// A snapshot.
    public init(policy: QuotaPolicy, prices: PriceList) {
        self.policy = policy
        self.prices = prices
    }
}

/// What all workers had seen at one time.
public struct LiveSnapshot: Sendable {
    /// All that was counted.
    public var result: ReplayResult
    /// The sessions that are open, busy ones first; at most ``WorkerPool/mostSessions`` a worker.
    public var sessions: [SessionStatus]
    /// Each worker's packets and what it lost, in order; those that did not answer are left out.
    public var workers: [(number: Int, capture: CaptureSummary, cpu: Double)]
    /// Workers that did not answer in time, whose counts are missing.
    public var missing: Int
    /// What the tables take and may take, all workers' together.
    public var memory: [TableMemory] = []
}

/// Where the workers of a live capture meet the services of the daemon: the one place that both touch.
///
/// All workers are asked at once, and waited for together with one deadline; each answers between packets, out of its
/// ``Mailbox``. So services can ask as often as they like and delay no packet, and a worker that hangs delays its callers
/// by the time-out at most.
public final class WorkerPool: Sendable {
    /// Sessions listed of one worker.
    public static let mostSessions = 500
    /// Patterns listed one by one of one worker: the most costly ones.
    public static let mostPatterns = 4096

    struct State {
        /// What was told to all workers last.
        var policy: PolicySnapshot
        var roles = RoleFacts()
        var ignoresServerSide = false
    }

    let state: Mutex<State>
    let handles: [WorkerHandle]
    /// What workers tell each other.
    let evidence = EvidenceBoard()
    /// What callers wait on, kept for later ones: there may be no descriptor left then.
    private let wakeUps = Mutex([WakeUp()])

    /// A pool for `workers` workers.
    public init(workers: Int, policy: PolicySnapshot) {
        handles = (0..<workers).map { _ in WorkerHandle(of: workers) }
        state = Mutex(State(policy: policy))
    }

    // MARK: Signs of life

    /// How often each worker has turned its loop: one that stands still hangs.
    public var heartbeats: [Int] { handles.map { $0.heartbeat.load(ordering: .relaxed) } }

    /// How many sessions there are whose owner is in question.
    public var unknownCount: Int { handles.reduce(0) { $0 + $1.unknownCount.load(ordering: .relaxed) } }

    /// How far the worker that leaves out most does so: of `2^rung` flows it looks at one; 0: it leaves out none.
    public var shedding: Int { handles.reduce(0) { max($0, $1.shedding.load(ordering: .relaxed)) } }

    /// Whether a worker keeps only the beginnings of large responses.
    public var isCutting: Bool { handles.contains { $0.isCutting.load(ordering: .relaxed) } }

    // MARK: Questions

    /// Asks all workers at once; returns the answers by worker, `nil` of those that have not answered within `timeout` seconds.
    func query<Answer: Sendable>(
        timeout: Double,
        _ body: @escaping @Sendable (inout any WorkerState & ~Copyable) -> Answer
    ) -> [Answer?] {
        let wakeUp = wakeUps.withLock { $0.popLast() } ?? WakeUp()
        defer { wakeUps.withLock { $0.append(wakeUp) } }
        let pending = PendingAnswers<Answer>(handles.count, wakeUp)
        for (number, handle) in handles.enumerated() {
            handle.mailbox.ask(pending) { worker in pending.answer(body(&worker), from: number) }
        }
        return pending.wait(timeout)
    }

    /// The same; `nil` if one does not answer.
    private func queryAll<Answer: Sendable>(
        timeout: Double,
        _ body: @escaping @Sendable (inout any WorkerState & ~Copyable) -> [Answer]
    ) -> [Answer]? {
        let answers = query(timeout: timeout, body)
        let found = answers.compactMap { $0 }
        return found.count == answers.count ? found.flatMap { $0 } : nil
    }

    /// Asks all workers for the sessions whose owner is in question; waits at most `timeout` seconds for those that are busy.
    public func unknownSessions(timeout: Double = 1) -> [UnknownSession] {
        query(timeout: timeout) { $0.unknownSessions() }.flatMap { $0 ?? [] }
    }

    /// Asks all workers for the open connections; `nil` if one does not answer within `timeout` seconds.
    public func seenConnections(timeout: Double = 1) -> [SeenConnection]? {
        queryAll(timeout: timeout) { $0.seenConnections() }
    }

    /// Asks all workers for what users did, as pg_stat_statements counts it; `nil` if one does not answer within `timeout`
    /// seconds.
    public func seenCalls(timeout: Double = 2) -> [SeenCalls]? {
        queryAll(timeout: timeout) { $0.seenCalls() }
    }

    /// Asks all workers for what they have seen; waits at most `timeout` seconds for those that are busy.
    public func snapshot(timeout: Double = 2) -> LiveSnapshot {
        let found = query(timeout: timeout) { $0.snapshot() }
        let parts = found.enumerated().compactMap { number, part in part.map { (number, $0) } }
        var capture = CaptureSummary()
        for (_, part) in parts { capture.add(part.capture) }
        var result = ReplayResult(policy: policySnapshot.policy, capture: capture, consumed: capture.bytes)
        var sessions: [SessionStatus] = []
        for (_, part) in parts {
            result.add(part.result)
            result.workerCPU.append(part.cpu)
            sessions += part.sessions
        }
        result.settle()
        return LiveSnapshot(
            result: result,
            sessions: sessions.sorted(by: SessionStatus.precedes),
            workers: parts.map { ($0, $1.capture, $1.cpu) },
            missing: found.count - parts.count,
            memory: TableMemory.sum(parts.map(\.1.memory))
        )
    }

    /// Asks all workers for their plain counts; waits at most `timeout` seconds for those that are busy.
    public func counters(timeout: Double = 1) -> CountersSnapshot {
        var sum = CountersSnapshot()
        for counters in query(timeout: timeout, { $0.counters() }) {
            if let counters { sum.add(counters) } else { sum.missing += 1 }
        }
        sum.lostEvidence = evidence.lost
        sum.droppedCommands = handles.reduce(0) { $0 &+ $1.mailbox.droppedCommands }
        return sum
    }

    /// Asks all workers how many sessions are open; waits at most `timeout` seconds for those that are busy.
    public func sessionCounts(timeout: Double = 1) -> SessionCounts {
        query(timeout: timeout) { $0.sessionCounts() }.reduce(into: SessionCounts()) { sum, counts in
            sum.open += counts?.open ?? 0
            sum.active += counts?.active ?? 0
        }
    }

    /// Asks all workers for their counts of each user; waits at most `timeout` seconds for those that are busy.
    public func counts(timeout: Double = 1) -> [String: PrincipalCounts] {
        var sums: [String: PrincipalCounts] = [:]
        for counts in query(timeout: timeout, { $0.countsByUser() }) {
            sums.merge(counts ?? [:]) { sum, more in
                var sum = sum
                sum.add(more)
                return sum
            }
        }
        return sums
    }

    /// What a user spent most on in the current hour, as the workers saw it; waits at most `timeout` seconds.
    public func evidence(against user: String, timeout: Double = 1) -> [PatternSpend] {
        var sums: [String: PatternSpend] = [:]
        for spend in query(timeout: timeout, { $0.spending(of: user, most: 20) }).flatMap({ $0 ?? [] }) {
            let key = spend.fingerprint.description + spend.database
            sums[key, default: spend.nothing].cost += spend.cost
            sums[key]?.calls += spend.calls
        }
        return sums.values.sorted { ($0.cost, $1.fingerprint) > ($1.cost, $0.fingerprint) }
    }

    /// All workers have ended: the sum of what they left.
    func close() -> ReplayResult {
        for handle in handles { handle.mailbox.close() }
        return snapshot(timeout: 0).result
    }
}
