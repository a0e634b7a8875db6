// SPDX-License-Identifier: Apache-2.0
public import Costs
public import Domain
public import Metering
import Platform
public import Quotas
import Synchronization

/// By what a live capture judges; may change while it runs.
public struct LiveJudgement: Sendable {
    /// Who may spend what.
    public var policy: QuotaPolicy
    /// What statements cost.
    public var prices: PriceList

    /// A judgement.
    public init(policy: QuotaPolicy, prices: PriceList) {
        self.policy = policy
        self.prices = prices
    }
}

/// What all workers had seen at one time.
public struct LiveSnapshot: Sendable {
    /// All that was counted.
    public var result: ReplayResult
    /// The sessions that are open, busy ones first; at most ``LiveDesk/mostSessions`` a worker.
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
/// Workers look at one atomic number a turn and take the lock only when it has changed, so services can ask as often as
/// they like and delay no packet.
public final class LiveDesk: Sendable {
    /// Sessions listed of one worker.
    public static let mostSessions = 500
    /// Patterns listed one by one of one worker: the most costly ones.
    public static let mostPatterns = 4096

    struct Part: Sendable {
        var result: ReplayResult
        var capture: CaptureSummary
        var cpu: Double
        var memory: [TableMemory] = []
        var sessions: [SessionStatus] = []
    }

    /// What a worker is to do, beside answering questions.
    struct Orders: Sendable {
        var settings: Int
        var judgement: LiveJudgement
        /// How often it was asked for durations.
        var observation = 0
        /// Settings of roles, and how often they changed.
        var roles = RoleFacts()
        var rolesTold = 0
        /// Poolers whose connections to servers are passed over; `nil`: as at the start.
        var poolers: PoolerAddresses?
        /// Servers that are proven; `nil`: none is yet.
        var proven: NamedServers?
    }

    struct State {
        var orders: Orders
        var resolutions: [Int: [SessionResolution]] = [:]
        /// What workers ask about prices and tell of them, and what they are told.
        var pricing = PricingTray()
        var prices: [Int: [PriceAnswer]] = [:]
        /// What users used, until the ledger takes it.
        var usage: [UserUsage] = []
        var lostUsage: UInt64 = 0
        /// What was run, until the history takes it: a late answer is not lost, it comes with the next.
        var activity: [ActivityRecord] = []
        /// What workers know about time, of the last minutes.
        var evidence = TimeEvidence()
        var latest = Int64.min
    }

    /// Questions: all that was counted, plain counts, counts by user, open sessions, sessions whose owner is in question, open
    /// connections, statements as a server counts them, what a user spent most on, and what was run since the last time.
    let snapshots = Inquiry<Void, Part>()
    let censuses = Inquiry<Void, LiveCensus>()
    let users = Inquiry<Void, [String: PrincipalCounts]>()
    let sessions = Inquiry<Void, SessionCounts>()
    let unknown = Inquiry<Void, [UnknownSession]>()
    let connections = Inquiry<Void, [SeenConnection]>()
    let calls = Inquiry<Void, [SeenCalls]>()
    let evidence = Inquiry<String, [PatternSpend]>()
    let activities = Inquiry<Void, Void>()

    let state: Mutex<State>
    private let version = Atomic<Int>(1)
    let posts: [Post]
    private let isRunning = Atomic<Bool>(true)

    /// A worker's sign of life, and what wakes it from its wait for packets.
    final class Post: Sendable {
        let beats = Atomic<Int>(0)
        let unknownCount = Atomic<Int>(0)
        let shedding = Atomic<Int>(0)
        let isCutting = Atomic<Bool>(false)
        let wakeUp = WakeUp()
    }

    /// A desk for `workers` workers.
    public init(workers: Int, judgement: LiveJudgement) {
        posts = (0..<workers).map { _ in Post() }
        state = Mutex(State(orders: Orders(settings: 0, judgement: judgement)))
    }

    // MARK: Services

    /// By what is judged now.
    public var judgement: LiveJudgement { state.withLock { $0.orders.judgement } }

    /// Judges by something else from now on; open connections and counts stay.
    public func judge(by judgement: LiveJudgement) {
        state.withLock { state in
            state.orders.judgement = judgement
            state.orders.settings += 1
        }
        ring()
    }

    /// How often each worker has turned its loop: one that stands still hangs.
    public var beats: [Int] { posts.map { $0.beats.load(ordering: .relaxed) } }

    /// How many sessions there are whose owner is in question.
    public var unknownCount: Int { posts.reduce(0) { $0 + $1.unknownCount.load(ordering: .relaxed) } }

    /// How far the worker that leaves out most does so: of `2^rung` flows it looks at one; 0: it leaves out none.
    public var shedding: Int { posts.reduce(0) { max($0, $1.shedding.load(ordering: .relaxed)) } }

    /// Whether a worker keeps only the beginnings of large responses.
    public var isCutting: Bool { posts.contains { $0.isCutting.load(ordering: .relaxed) } }

    func ask<Question, Answer>(
        _ inquiry: Inquiry<Question, Answer>,
        _ question: Question,
        _ patience: Double
    ) -> [Int: Answer] {
        inquiry.ask(question, of: posts.count, patience: patience, ring: ring) { isRunning.load(ordering: .acquiring) }
    }

    /// Asks all workers for these sessions; waits at most `patience` seconds for those that are busy.
    public func unknownSessions(patience: Double = 1) -> [UnknownSession] {
        ask(unknown, (), patience).values.flatMap { $0 }
    }

    /// Asks all workers for the open connections; `nil` if one does not answer within `patience` seconds.
    public func seenConnections(patience: Double = 1) -> [SeenConnection]? {
        let found = ask(connections, (), patience)
        return found.count == posts.count ? found.values.flatMap { $0 } : nil
    }

    /// Asks all workers for what users did, as pg_stat_statements counts it; `nil` if one does not answer within `patience`
    /// seconds.
    public func seenCalls(patience: Double = 2) -> [SeenCalls]? {
        let found = ask(calls, (), patience)
        return found.count == posts.count ? found.values.flatMap { $0 } : nil
    }

    /// Whether connections of poolers to servers were found to be passed over while it ran.
    public var passesOver: Bool { state.withLock { $0.orders.poolers != nil } }

    /// Passes over the connections of these poolers to servers from now on, the open ones included.
    public func passOver(_ poolers: PoolerAddresses) {
        state.withLock { $0.orders.poolers = poolers }
        ring()
    }

    /// From now on what was used at other servers than these is possible, not proven.
    public func prove(_ servers: NamedServers) {
        state.withLock { $0.orders.proven = servers }
        ring()
    }

    /// Tells the workers what became of them.
    public func settle(_ resolutions: [SessionResolution]) {
        guard !resolutions.isEmpty else { return }
        state.withLock { state in
            for resolution in resolutions {
                state.resolutions[resolution.session.worker, default: []].append(resolution)
            }
        }
        ring()
    }

    /// Asks all workers for what they have seen; waits at most `patience` seconds for those that are busy.
    public func snapshot(patience: Double = 2) -> LiveSnapshot { sum(ask(snapshots, (), patience)) }

    private func sum(_ found: [Int: Part]) -> LiveSnapshot {
        let parts = found.sorted { $0.key < $1.key }
        var capture = CaptureSummary()
        for (_, part) in parts { capture.add(part.capture) }
        var result = ReplayResult(policy: judgement.policy, capture: capture, consumed: capture.bytes)
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
            workers: parts.map { ($0.key, $0.value.capture, $0.value.cpu) },
            missing: posts.count - parts.count,
            memory: TableMemory.sum(parts.map(\.value.memory))
        )
    }

    /// Asks all workers for their plain counts; waits at most `patience` seconds for those that are busy.
    public func census(patience: Double = 1) -> LiveCensus {
        let found = ask(censuses, (), patience)
        var sum = LiveCensus()
        for (_, census) in found.sorted(by: { $0.key < $1.key }) { sum.add(census) }
        sum.missing = posts.count - found.count
        return sum
    }

    /// Asks all workers how many sessions are open; waits at most `patience` seconds for those that are busy.
    public func sessionCounts(patience: Double = 1) -> SessionCounts {
        ask(sessions, (), patience).values.reduce(into: SessionCounts()) { sum, counts in
            sum.open += counts.open
            sum.active += counts.active
        }
    }

    /// Asks all workers for their counts of each user; waits at most `patience` seconds for those that are busy.
    public func counts(patience: Double = 1) -> [String: PrincipalCounts] {
        var sums: [String: PrincipalCounts] = [:]
        for counts in ask(users, (), patience).values {
            sums.merge(counts) { sum, more in
                var sum = sum
                sum.add(more)
                return sum
            }
        }
        return sums
    }

    // MARK: Workers

    /// What tells a worker, beside packets, that there is something to do.
    func wakeUp(_ worker: Int) -> Int32 { posts[worker].wakeUp.descriptor }

    /// A turn of a worker's loop; returns what it is asked if that changed since `seen`.
    ///
    /// - Parameter isWoken: whether its wake-up was readable. That is cleared before the version is looked at: see ``WakeUp``.
    @inline(__always)
    func visit(_ worker: Int, _ seen: inout Int, isWoken: Bool) -> Orders? {
        posts[worker].beats.add(1, ordering: .relaxed)
        if isWoken { posts[worker].wakeUp.clear() }
        let now = version.load(ordering: .acquiring)
        guard now != seen else { return nil }
        seen = now
        return state.withLock { $0.orders }
    }

    /// How far a worker leaves out flows.
    func note(shedding rung: Int, cutting isCutting: Bool, _ worker: Int) {
        posts[worker].shedding.store(rung, ordering: .relaxed)
        posts[worker].isCutting.store(isCutting, ordering: .relaxed)
    }

    /// How many of a worker's sessions are in question.
    func note(unknown count: Int, _ worker: Int) { posts[worker].unknownCount.store(count, ordering: .relaxed) }

    /// What became of some of them.
    func takeResolutions(_ worker: Int) -> [SessionResolution] {
        state.withLock { $0.resolutions.removeValue(forKey: worker) ?? [] }
    }

    /// All workers have ended: the sum of what they left.
    func close() -> ReplayResult {
        isRunning.store(false, ordering: .releasing)
        return sum(snapshots.legacies).result
    }

    func ring() {
        version.add(1, ordering: .acquiringAndReleasing)
        for post in posts { post.wakeUp.wake() }
    }
}
