// SPDX-License-Identifier: Apache-2.0
public import Costs
public import Domain
import Glibc
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
}

/// Where the workers of a live capture meet the services of the daemon: the one place that both touch.
///
/// Workers look at one atomic number a turn and take the lock only when it has changed, so services can ask as often as
/// they like and delay no packet.
public final class LiveDesk: Sendable {
    /// Sessions listed of one worker.
    public static let mostSessions = 500

    struct Part: Sendable {
        var result: ReplayResult
        var capture: CaptureSummary
        var cpu: Double
        var sessions: [SessionStatus] = []
    }

    /// What a worker is asked to do.
    struct Orders: Sendable {
        var snapshot: Int
        var settings: Int
        var judgement: LiveJudgement
        /// Number of the latest question for unknown sessions, and for durations.
        var inquiry = 0
        var observation = 0
        /// Number of the latest question for plain counts, and for what was run since the last time.
        var census = 0, activity = 0
        /// Number of the latest question for evidence, and against whom.
        var evidence = 0, suspect = ""
    }

    private struct State {
        var orders: Orders
        /// Answers to the latest question, and what ended workers left.
        var answers: [Int: Part] = [:]
        var legacies: [Int: Part] = [:]
        var unknown: [Int: [UnknownSession]] = [:]
        var resolutions: [Int: [SessionResolution]] = [:]
        /// What workers ask about prices and tell of them, and what they are told.
        var pricing = PricingTray()
        var prices: [Int: [PriceAnswer]] = [:]
        /// What users used, until the ledger takes it.
        var usage: [UserUsage] = []
        var lostUsage: UInt64 = 0
        var evidence: [Int: [PatternSpend]] = [:]
        var censuses: [Int: LiveCensus] = [:]
        /// What was run, until the history takes it: a late answer is not lost, it comes with the next.
        var activity: [ActivityRecord] = []
        var activityAnswers = 0
        /// The desk's own counts of those that ended.
        var lastCensuses: [Int: LiveCensus] = [:]

        var parts: [Int: Part] { answers.merging(legacies) { _, legacy in legacy } }
    }

    private let state: Mutex<State>
    private let turn = Mutex(())
    private let version = Atomic<Int>(1)
    private let posts: [Post]
    private let isRunning = Atomic<Bool>(true)

    /// A worker's sign of life, and what wakes it from its wait for packets.
    private final class Post: Sendable {
        let beats = Atomic<Int>(0)
        let unknownCount = Atomic<Int>(0)
        let shedding = Atomic<Int>(0)
        /// A pipe: what is written at one end wakes the worker, which waits at the other.
        let button: Int32, bell: Int32

        init() {
            var ends: [Int32] = [-1, -1]
            _ = unsafe pipe(&ends)
            for end in ends {
                _ = fcntl(end, F_SETFL, O_NONBLOCK)
                _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            }
            (bell, button) = (ends[0], ends[1])
        }

        deinit {
            _ = Glibc.close(bell)
            _ = Glibc.close(button)
        }
    }

    /// A desk for `workers` workers.
    public init(workers: Int, judgement: LiveJudgement) {
        posts = (0..<workers).map { _ in Post() }
        state = Mutex(State(orders: Orders(snapshot: 0, settings: 0, judgement: judgement)))
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

    /// Asks all workers for these sessions; waits at most `patience` seconds for those that are busy.
    public func unknownSessions(patience: Double = 1) -> [UnknownSession] {
        state.withLock { state in
            state.unknown = [:]
            state.orders.inquiry += 1
        }
        ring()
        waitForAll(patience) { $0.unknown.count }
        return state.withLock { $0.unknown.values.flatMap { $0 } }
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

    /// Waits until all workers have answered, or time is up, or they have ended.
    private func waitForAll(_ patience: Double, _ answers: (borrowing State) -> Int) {
        let deadline = Replay.now(CLOCK_MONOTONIC) + patience
        while state.withLock({ answers($0) }) < posts.count, Replay.now(CLOCK_MONOTONIC) < deadline {
            guard isRunning.load(ordering: .acquiring) else { break }
            usleep(200)
        }
    }

    /// Asks all workers for what they have seen; waits at most `patience` seconds for those that are busy.
    public func snapshot(patience: Double = 2) -> LiveSnapshot {
        turn.withLock { _ in
            state.withLock { state in
                state.answers = [:]
                state.orders.snapshot += 1
            }
            ring()
            waitForAll(patience) { $0.parts.count }
            return state.withLock { Self.sum($0, of: posts.count) }
        }
    }

    private static func sum(_ state: State, of workers: Int) -> LiveSnapshot {
        let parts = state.parts.sorted { $0.key < $1.key }.map(\.value)
        var capture = CaptureSummary()
        for part in parts { capture.add(part.capture) }
        var result = ReplayResult(policy: state.orders.judgement.policy, capture: capture, consumed: capture.bytes)
        var sessions: [SessionStatus] = []
        for part in parts {
            result.add(part.result)
            result.workerCPU.append(part.cpu)
            sessions += part.sessions
        }
        result.settle()
        return LiveSnapshot(
            result: result,
            sessions: sessions.sorted(by: SessionStatus.precedes),
            workers: state.parts.sorted { $0.key < $1.key }.map { ($0.key, $0.value.capture, $0.value.cpu) },
            missing: workers - parts.count
        )
    }

    /// Asks all workers for their plain counts; waits at most `patience` seconds for those that are busy.
    public func census(patience: Double = 1) -> LiveCensus {
        turn.withLock { _ in
            state.withLock { state in
                state.censuses = [:]
                state.orders.census += 1
            }
            ring()
            waitForAll(patience) { $0.censuses.count + $0.lastCensuses.count }
            return state.withLock { state in
                var sum = LiveCensus()
                let found = state.censuses.merging(state.lastCensuses) { _, last in last }
                for (_, census) in found.sorted(by: { $0.key < $1.key }) { sum.add(census) }
                sum.missing = posts.count - found.count
                return sum
            }
        }
    }

    /// Asks all workers what was run since the last time; waits at most `patience` seconds for those that are busy, whose
    /// answers then come with the next.
    public func takeActivity(patience: Double = 1) -> [ActivityRecord] {
        state.withLock { state in
            state.activityAnswers = 0
            state.orders.activity += 1
        }
        ring()
        waitForAll(patience) { $0.activityAnswers }
        return state.withLock { state in
            defer { state.activity = [] }
            return state.activity
        }
    }

    // MARK: Prices

    /// What the workers asked and told since the last time.
    public func takePricing() -> PricingTray {
        state.withLock { state in
            defer { state.pricing = PricingTray() }
            return state.pricing
        }
    }

    /// Tells all workers prices.
    public func tell(_ answers: [PriceAnswer]) {
        guard !answers.isEmpty else { return }
        state.withLock { state in
            for worker in posts.indices { state.prices[worker, default: []] += answers }
        }
        ring()
    }

    /// Asks the workers how long patterns took: they tell it with what they ask.
    public func askForObservations() {
        state.withLock { $0.orders.observation += 1 }
        ring()
    }

    /// What a worker asks and tells.
    func post(_ tray: PricingTray) { state.withLock { $0.pricing.add(tray) } }

    /// What a worker is told.
    func takePrices(_ worker: Int) -> [PriceAnswer] {
        state.withLock { $0.prices.removeValue(forKey: worker) ?? [] }
    }

    // MARK: Usage

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
        turn.withLock { _ in
            state.withLock { state in
                state.evidence = [:]
                state.orders.evidence += 1
                state.orders.suspect = user
            }
            ring()
            waitForAll(patience) { $0.evidence.count }
            var sums: [String: PatternSpend] = [:]
            for spend in state.withLock({ $0.evidence.values.flatMap { $0 } }) {
                let key = spend.fingerprint.description + spend.database
                sums[key, default: spend.nothing].cost += spend.cost
                sums[key]?.calls += spend.calls
            }
            return sums.values.sorted { ($0.cost, $1.fingerprint) > ($1.cost, $0.fingerprint) }
        }
    }

    /// A worker's plain counts.
    func answer(_ census: LiveCensus, to question: Int, _ worker: Int) {
        state.withLock { if $0.orders.census == question { $0.censuses[worker] = census } }
    }

    /// What was run at a worker since the last time.
    func answer(_ activity: [ActivityRecord], to question: Int) {
        state.withLock { state in
            if state.orders.activity == question { state.activityAnswers += 1 }
            state.activity += activity
        }
    }

    /// The last counts of a worker that ends.
    func leave(_ census: LiveCensus, _ worker: Int) { state.withLock { $0.lastCensuses[worker] = census } }

    /// A worker's evidence.
    func answer(_ evidence: [PatternSpend], to question: Int, _ worker: Int) {
        state.withLock { if $0.orders.evidence == question { $0.evidence[worker] = evidence } }
    }

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

    // MARK: Workers

    /// What tells a worker, beside packets, that there is something to do.
    func bell(_ worker: Int) -> Int32 { posts[worker].bell }

    /// A turn of a worker's loop; returns what it is asked if that changed since `seen`.
    @inline(__always)
    func visit(_ worker: Int, _ seen: inout Int) -> Orders? {
        posts[worker].beats.add(1, ordering: .relaxed)
        let now = version.load(ordering: .acquiring)
        guard now != seen else { return nil }
        seen = now
        var rings = [UInt8](repeating: 0, count: 64)
        _ = unsafe read(posts[worker].bell, &rings, rings.count)
        return state.withLock { $0.orders }
    }

    /// A worker's answer to a question; a late one to an earlier question does not count.
    func answer(_ part: Part, to question: Int, _ worker: Int) {
        state.withLock { if $0.orders.snapshot == question { $0.answers[worker] = part } }
    }

    /// How far a worker leaves out flows.
    func note(shedding rung: Int, _ worker: Int) { posts[worker].shedding.store(rung, ordering: .relaxed) }

    /// How many of a worker's sessions are in question.
    func note(unknown count: Int, _ worker: Int) { posts[worker].unknownCount.store(count, ordering: .relaxed) }

    /// A worker's sessions in question.
    func answer(_ unknown: [UnknownSession], _ worker: Int) { state.withLock { $0.unknown[worker] = unknown } }

    /// What became of some of them.
    func takeResolutions(_ worker: Int) -> [SessionResolution] {
        state.withLock { $0.resolutions.removeValue(forKey: worker) ?? [] }
    }

    /// What a worker leaves when it ends.
    func leave(_ part: Part, _ worker: Int) { state.withLock { $0.legacies[worker] = part } }

    /// All workers have ended: the sum of what they left.
    func close() -> ReplayResult {
        isRunning.store(false, ordering: .releasing)
        return state.withLock { Self.sum($0, of: posts.count).result }
    }

    private func ring() {
        version.add(1, ordering: .acquiringAndReleasing)
        var one: UInt8 = 1
        for post in posts { _ = unsafe write(post.button, &one, 1) }
    }
}
