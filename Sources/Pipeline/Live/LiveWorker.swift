// SPDX-License-Identifier: Apache-2.0
import Capture
import Costs
import Domain
import Metering
import Packets
import Platform
import Quotas

/// One worker of a live capture: its source and its shard.
struct LiveWorker<Source: LiveSource & ~Copyable, Recorder: StatementRecorder & ~Copyable>: WorkerState, ~Copyable {
    private var source: Source
    private var tally = LiveTally()
    /// When idle flows were last looked for, ns of a steady clock.
    private var lastSweep: Int64 = 0
    /// When usage was last handed to the ledger, ns of a steady clock.
    private var lastFlush: Int64 = 0
    /// When evidence about time was last exchanged, ns of a steady clock.
    private var lastExchange: Int64 = 0
    private let board: EvidenceBoard
    private let handle: WorkerHandle
    private let number: Int
    /// Whether more waits at the source than was taken in this turn.
    private var isBehind = false
    /// Which pattern is looked at next for durations.
    private var observed: Int32 = 1
    /// The greatest delay of a packet since it was last told, ns.
    private var lag: Int64 = 0
    /// Answers that wait until all packets from before them are here.
    private var resolutions: [SessionResolution] = []
    var shard: Shard<Recorder>

    /// Worker `number` of those that meet at `pool`.
    init(
        _ number: Int,
        at pool: WorkerPool,
        source: consuming Source,
        options: LiveTapOptions,
        recorder: consuming Recorder
    ) {
        self.source = source
        board = pool.evidence
        handle = pool.handles[number]
        self.number = number
        shard = Shard(
            serverPorts: PortSet(options.ports.isEmpty ? Replay.usualPorts : options.ports),
            hash: options.hash,
            priceList: options.prices,
            limits: options.limits,
            tables: options.memory.tables(workers: pool.handles.count),
            sessions: options.memory.sessions(workers: pool.handles.count),
            recorder: recorder
        )
        tally.shedder = LoadShedder(canCutResponses: true)
        shard.analyser.poolers = options.poolers
        shard.analyser.servers = options.servers
        if options.resolvesSessions { shard.analyser.metering.unknown = UnknownSessions() }
        shard.analyser.metering.serve()
        if options.isMetered { shard.analyser.metering.meter(byOrigin: options.isDivided) }
        shard.analyser.metering.tellsApplications = options.tellsApplications
        if options.tellsServers { shard.analyser.metering.tellsServers = true }
        if options.keepsActivity { shard.analyser.metering.keepActivity() }
        if let scheme = options.pricing { shard.analyser.metering.askForPrices(scheme) }
    }

    private var moment: Moment { Moment(time: tally.clock.latest, ordinal: tally.counted.packets) }

    // MARK: Turns

    var descriptors: [Int32] { source.descriptors }
    var timeout: Int32 { source.timeout }

    mutating func takePackets() throws(CaptureError) {
        tally.clock.steady = SystemClock.nanoseconds()
        let before = tally.counted.packets
        isBehind = try source.drain(into: &shard, &tally)
        if tally.counted.packets != before { noteLag() }
        shard.analyser.metering.recorder.flush()
        if tally.shedder.isDue(tally.clock.steady) { lookForDrops(tally.clock.steady) }
        if tally.clock.steady &- lastSweep >= Self.sweepInterval { sweep() }
        if tally.clock.steady &- lastFlush >= Self.flushInterval { flush() }
        if tally.clock.steady &- lastExchange >= Self.exchangeInterval { exchange() }
    }

    mutating func tidy() {
        if shard.analyser.metering.pricing?.isEmpty == false { askForPrices() }
        if shard.analyser.metering.wantsSweep { shard.analyser.sweepTables() }
        if !resolutions.isEmpty, !isBehind { settle() }
        shard.analyser.metering.finishMoves()
        if let unknown = shard.analyser.metering.unknown { handle.note(unknown: unknown.count) }
    }

    mutating func takeRest() throws(CaptureError) {
        try source.takeRest(into: &shard, &tally)
        shard.analyser.metering.recorder.flush()
    }

    mutating func settleRest() {
        for resolution in resolutions { shard.settle(resolution, at: moment) }
        resolutions = []
    }

    mutating func finish() -> FinalWorkerState {
        shard.finish(at: Moment(time: tally.clock.latest, ordinal: tally.counted.packets + 1))
        shard.analyser.metering.finishMoves()
        exchange(isLast: true)
        flush()
        handle.outbox.put(shard.analyser.metering.takeActivity())
        var last = FinalWorkerState()
        (last.last, last.counts) = (part(), counters())
        (last.users, last.calls) = (shard.countsByUser, shard.seenCalls)
        return last
    }

    private mutating func lookForDrops(_ now: Int64) {
        let wasCut = tally.shedder.cutsResponses
        guard tally.shedder.look(drops: source.dropped, load: tally.load, at: now) else { return }
        let isCut = tally.shedder.cutsResponses
        if isCut != wasCut, !source.cutResponses(isCut, at: now), isCut { tally.shedder.cannotCutResponses() }
        handle.note(shedding: tally.shedder.rung, cutting: tally.shedder.cutsResponses)
    }

    /// Forgets connections that are silent for long: a part of the table at a time.
    private mutating func sweep() {
        lastSweep = tally.clock.steady
        shard.expire(at: Moment(time: tally.clock.now, ordinal: tally.counted.packets))
    }

    private static var sweepInterval: Int64 { 100_000_000 }

    /// Hands what was used to the ledger.
    private mutating func flush() {
        lastFlush = tally.clock.steady
        if shard.analyser.metering.hasUsage { handle.outbox.put(shard.analyser.metering.takeUsage()) }
    }

    /// Tells the others what is known about time, and settles what ended long enough ago for all of them to have told.
    private mutating func exchange(isLast: Bool = false) {
        lastExchange = tally.clock.steady
        // Of packets, and beyond the latest of a steady clock: nobody may send anything more.
        let now = tally.clock.now.nanoseconds
        let evidence = board.exchange(shard.analyser.metering.takeEvidence(), at: now)
        shard.analyser.metering.settleLong(evidence, before: isLast ? .max : now &- 2 * Self.exchangeInterval)
    }

    private static var exchangeInterval: Int64 { 1_000_000_000 }

    /// The loop turns every 50 ms at least.
    private static var flushInterval: Int64 { 50_000_000 }

    // MARK: Questions

    mutating func snapshot() -> WorkerSnapshot {
        var part = part()
        part.sessions = shard.sessionStatuses(limit: WorkerPool.mostSessions)
        return part
    }

    mutating func counters() -> CountersSnapshot {
        var counters = CountersSnapshot()
        counters.count(&shard)
        counters.capture = capture()
        counters.lag = max(0, Double(lag) / 1e9)
        counters.workers = [(number, SystemClock.threadCPU(), counters.capture.packets)]
        lag = 0
        return counters
    }

    mutating func countsByUser() -> [String: PrincipalCounts] { shard.countsByUser }
    mutating func seenCalls() -> [SeenCalls] { shard.seenCalls }
    mutating func sessionCounts() -> SessionCounts { shard.sessionCounts }
    mutating func seenConnections() -> [SeenConnection] { shard.connections }
    mutating func unknownSessions() -> [UnknownSession] { shard.analyser.metering.unknownSessions(of: number) }

    mutating func spending(of user: String, most: Int) -> [PatternSpend] {
        shard.analyser.metering.evidence(against: user, at: tally.clock.latest, most: most)
    }

    mutating func handOverActivity() {
        if handle.outbox.hasRoomForActivity { handle.outbox.put(shard.analyser.metering.takeActivity()) }
    }

    // MARK: Commands

    mutating func apply(_ prices: PriceList) { shard.analyser.metering.price(by: prices) }

    mutating func ignoreServerSide(of poolers: PoolerAddresses) {
        if poolers != shard.analyser.poolers { shard.ignoreServerSide(of: poolers, at: moment) }
    }

    mutating func prove(_ servers: NamedServers) {
        if servers != shard.analyser.metering.provenServers { shard.analyser.metering.take(proven: servers) }
    }

    mutating func take(_ resolutions: [SessionResolution]) { self.resolutions += resolutions }

    mutating func take(_ answers: [PriceAnswer]) {
        guard shard.analyser.metering.pricing != nil else { return }
        shard.analyser.metering.take(answers, at: tally.clock.latest)
    }

    mutating func take(_ roles: RoleFacts) {
        if shard.analyser.metering.pricing != nil { shard.analyser.metering.take(roles) }
    }

    /// Tells how long patterns took: some thousands of them a time, so that no packet waits long.
    mutating func handOverObservations() {
        guard shard.analyser.metering.pricing != nil else { return }
        let (found, next) = shard.analyser.metering.observations(from: observed, count: 8192)
        observed = next
        if !found.isEmpty { handle.outbox.put(PricingBatch(observations: found)) }
    }

    // MARK: Parts

    /// Hands over what patterns are to be priced.
    private mutating func askForPrices() {
        if let batch = shard.analyser.metering.takeQuestions() { handle.outbox.put(batch) }
    }

    /// Takes the answers that no packet on its way can prove void any more: those from before them are all here once
    /// the ring is empty and its timeout of 20 ms has passed: both are so, as it was read in the same turn.
    private mutating func settle() {
        let now = SystemClock.time().nanoseconds
        var waiting: [SessionResolution] = []
        for resolution in resolutions {
            if resolution.answered.nanoseconds &+ Self.delay <= now {
                shard.settle(resolution, at: moment)
            } else {
                waiting.append(resolution)
            }
        }
        resolutions = waiting
    }

    /// How late a packet may come out of the ring, ns, and more.
    private static var delay: Int64 { 50_000_000 }

    /// How old the packet taken last is: whoever is not behind takes it within a pause and the ring's 20 ms.
    private mutating func noteLag() {
        lag = max(lag, SystemClock.time().nanoseconds &- tally.clock.latest.nanoseconds)
    }

    private func capture() -> CaptureSummary {
        var capture = tally.counted
        source.fill(&capture)
        capture.shedSegments = tally.shedder.shed
        capture.clockSteps = tally.clock.steps
        return capture
    }

    /// What was seen so far.
    private mutating func part() -> WorkerSnapshot {
        let capture = capture()
        var result = ReplayResult(policy: .standard, capture: capture, consumed: capture.bytes)
        result.add(shard, most: WorkerPool.mostPatterns)
        let cpu = SystemClock.threadCPU()
        return WorkerSnapshot(result: result, capture: capture, cpu: cpu, memory: shard.memory)
    }
}
