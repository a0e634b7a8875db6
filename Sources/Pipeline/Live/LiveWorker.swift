// SPDX-License-Identifier: Apache-2.0
import Capture
import Domain
import Glibc
import Metering
import Packets
import Platform
import Quotas

/// One worker of a live capture: its source and its shard.
struct LiveWorker<Source: LiveSource & ~Copyable, Recorder: StatementRecorder & ~Copyable>: ~Copyable {
    private var source: Source
    private var tally = LiveTally()
    /// When idle flows were last looked for, ns of a steady clock.
    private var lastSweep: Int64 = 0
    /// When usage was last handed to the ledger, ns of a steady clock.
    private var lastFlush: Int64 = 0
    /// When evidence about time was last exchanged, ns of a steady clock.
    private var lastExchange: Int64 = 0
    private let desk: LiveDesk
    private let number: Int
    /// What of the desk's orders is done.
    private var seen = 0, settings = 0, observation = 0
    private var roles = 0
    /// The questions that were answered last.
    private var snapshot = 0, census = 0, users = 0, sessions = 0, unknown = 0, evidence = 0, activity = 0
    private var connections = 0, calls = 0
    /// Which pattern is looked at next for durations.
    private var observed: Int32 = 1
    /// The greatest delay of a packet since it was last told, ns.
    private var lag: Int64 = 0
    /// Answers that wait until all packets from before them are here.
    private var resolutions: [SessionResolution] = []
    var shard: Shard<Recorder>

    /// Worker `number` of those that meet at `desk`.
    init(
        _ number: Int,
        at desk: LiveDesk,
        source: consuming Source,
        options: LiveTapOptions,
        recorder: consuming Recorder
    ) {
        self.source = source
        self.desk = desk
        self.number = number
        shard = Shard(
            serverPorts: PortSet(options.ports.isEmpty ? Replay.usualPorts : options.ports),
            hash: options.hash,
            priceList: options.prices,
            limits: options.limits,
            tables: options.memory.tables(workers: desk.beats.count),
            sessions: options.memory.sessions(workers: desk.beats.count),
            recorder: recorder
        )
        tally.shedder = LoadShedder(canCutResponses: true)
        shard.analyser.poolers = options.poolers
        shard.analyser.servers = options.servers
        if options.resolvesSessions { shard.analyser.books.unknown = UnknownSessions() }
        shard.analyser.books.serve()
        if options.isMetered { shard.analyser.books.meter(byOrigin: options.isDivided) }
        if options.tellsServers { shard.analyser.books.tellsServers = true }
        if options.keepsActivity { shard.analyser.books.keepActivity() }
        if let scheme = options.pricing { shard.analyser.books.askForPrices(scheme) }
    }

    /// Works until `isStopped`, then takes what passed before that; returns why it ended earlier, if it did.
    mutating func work(_ isStopped: () -> Bool) -> CaptureError? {
        var failure: CaptureError?
        do throws(CaptureError) {
            while !isStopped() {
                let descriptors = source.descriptors + [desk.wakeUp(number)]
                var waiting = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
                let count = unsafe poll(&waiting, nfds_t(waiting.count), source.patience)
                let isWoken = count > 0 && waiting.last?.revents != 0
                tally.clock.steady = SystemClock.nanoseconds()
                let before = tally.counted.packets
                let isBehind = try source.drain(into: &shard, &tally)
                if tally.counted.packets != before { noteLag() }
                shard.analyser.books.recorder.flush()
                if tally.shedder.isDue(tally.clock.steady) { lookForDrops(tally.clock.steady) }
                if tally.clock.steady &- lastSweep >= Self.sweepInterval { sweep() }
                if tally.clock.steady &- lastFlush >= Self.flushInterval { flush() }
                if tally.clock.steady &- lastExchange >= Self.exchangeInterval { exchange() }
                if let orders = desk.visit(number, &seen, isWoken: isWoken) { obey(orders) }
                if shard.analyser.books.pricing?.isEmpty == false { askForPrices() }
                if shard.analyser.books.wantsSweep { shard.analyser.sweepTables() }
                if !resolutions.isEmpty, !isBehind { settle() }
                shard.analyser.books.finishMoves()
                if let unknown = shard.analyser.books.unknown { desk.note(unknown: unknown.count, number) }
            }
            try source.takeRest(into: &shard, &tally)
            shard.analyser.books.recorder.flush()
        } catch {
            failure = error
        }
        shard.finish(at: Moment(time: tally.clock.latest, ordinal: tally.counted.packets + 1))
        shard.analyser.books.finishMoves()
        exchange(isLast: true)
        flush()
        desk.post(shard.analyser.books.takeActivity())
        desk.activities.leave((), from: number)
        desk.unknown.leave([], from: number)
        desk.connections.leave([], from: number)
        desk.evidence.leave([], from: number)
        desk.censuses.leave(counts(), from: number)
        desk.users.leave(shard.countsByUser, from: number)
        desk.calls.leave(shard.seenCalls, from: number)
        desk.sessions.leave(SessionCounts(), from: number)
        desk.snapshots.leave(part(), from: number)
        return failure
    }

    private mutating func lookForDrops(_ now: Int64) {
        let wasCut = tally.shedder.cutsResponses
        guard tally.shedder.look(drops: source.dropped, load: tally.load, at: now) else { return }
        let isCut = tally.shedder.cutsResponses
        if isCut != wasCut, !source.cutResponses(isCut, at: now), isCut { tally.shedder.cannotCutResponses() }
        desk.note(shedding: tally.shedder.rung, cutting: tally.shedder.cutsResponses, number)
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
        if shard.analyser.books.hasUsage { desk.post(shard.analyser.books.takeUsage()) }
    }

    /// Tells the others what is known about time, and settles what ended long enough ago for all of them to have told.
    private mutating func exchange(isLast: Bool = false) {
        lastExchange = tally.clock.steady
        // Of packets, and beyond the latest of a steady clock: nobody may send anything more.
        let now = tally.clock.now.nanoseconds
        let evidence = desk.exchange(shard.analyser.books.takeEvidence(), at: now)
        shard.analyser.books.settleLong(evidence, before: isLast ? .max : now &- 2 * Self.exchangeInterval)
    }

    private static var exchangeInterval: Int64 { 1_000_000_000 }

    /// The loop turns every 50 ms at least.
    private static var flushInterval: Int64 { 50_000_000 }

    /// Does what the desk asks; between packets, so that it may take its time only within the ring's patience.
    private mutating func obey(_ orders: LiveDesk.Orders) {
        if orders.settings != settings {
            settings = orders.settings
            shard.analyser.books.price(by: orders.judgement.prices)
        }
        if let poolers = orders.poolers, poolers != shard.analyser.poolers {
            shard.passOver(poolers, at: Moment(time: tally.clock.latest, ordinal: tally.counted.packets))
        }
        if let proven = orders.proven, proven != shard.analyser.books.provenServers {
            shard.analyser.books.take(proven: proven)
        }
        resolutions += desk.takeResolutions(number)
        if shard.analyser.books.pricing != nil {
            shard.analyser.books.take(desk.takePrices(number), at: tally.clock.latest)
            if orders.rolesTold != roles {
                roles = orders.rolesTold
                shard.analyser.books.take(orders.roles)
            }
            if orders.observation != observation {
                observation = orders.observation
                observe()
            }
        }
        answerQuestions()
    }

    private mutating func answerQuestions() {
        if desk.unknown.news(since: &unknown) != nil {
            desk.unknown.answer(shard.analyser.books.unknownSessions(of: number), to: unknown, from: number)
        }
        if desk.connections.news(since: &connections) != nil {
            desk.connections.answer(shard.connections, to: connections, from: number)
        }
        if let suspect = desk.evidence.news(since: &evidence) {
            let found = shard.analyser.books.evidence(against: suspect, at: tally.clock.latest, most: 20)
            desk.evidence.answer(found, to: evidence, from: number)
        }
        if desk.activities.news(since: &activity) != nil {
            desk.post(shard.analyser.books.takeActivity())
            desk.activities.answer((), to: activity, from: number)
        }
        if desk.censuses.news(since: &census) != nil {
            desk.censuses.answer(counts(), to: census, from: number)
            lag = 0
        }
        if desk.users.news(since: &users) != nil {
            desk.users.answer(shard.countsByUser, to: users, from: number)
        }
        if desk.calls.news(since: &calls) != nil {
            desk.calls.answer(shard.seenCalls, to: calls, from: number)
        }
        if desk.sessions.news(since: &sessions) != nil {
            desk.sessions.answer(shard.sessionCounts, to: sessions, from: number)
        }
        if desk.snapshots.news(since: &snapshot) != nil {
            var part = part()
            part.sessions = shard.sessionStatuses(limit: LiveDesk.mostSessions)
            desk.snapshots.answer(part, to: snapshot, from: number)
        }
    }

    /// Hands over what patterns are to be priced.
    private mutating func askForPrices() {
        if let tray = shard.analyser.books.takeQuestions() { desk.post(tray) }
    }

    /// Tells how long patterns took: some thousands of them a time, so that no packet waits long.
    private mutating func observe() {
        let (found, next) = shard.analyser.books.observations(from: observed, count: 8192)
        observed = next
        if !found.isEmpty { desk.post(PricingTray(observations: found)) }
    }

    /// Takes the answers that no packet on its way can prove void any more: those from before them are all here once
    /// the ring is empty and its timeout of 20 ms has passed: both are so, as it was read in the same turn.
    private mutating func settle() {
        let now = SystemClock.time().nanoseconds
        var waiting: [SessionResolution] = []
        for resolution in resolutions {
            if resolution.answered.nanoseconds &+ Self.delay <= now {
                shard.settle(resolution, at: Moment(time: tally.clock.latest, ordinal: tally.counted.packets))
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

    /// The plain counts.
    private mutating func counts() -> LiveCensus {
        var census = LiveCensus()
        census.count(&shard)
        census.capture = capture()
        census.lag = max(0, Double(lag) / 1e9)
        census.workers = [(number, SystemClock.threadCPU(), census.capture.packets)]
        return census
    }

    private func capture() -> CaptureSummary {
        var capture = tally.counted
        source.fill(&capture)
        capture.shedSegments = tally.shedder.shed
        capture.clockSteps = tally.clock.steps
        return capture
    }

    /// What was seen so far.
    private mutating func part() -> LiveDesk.Part {
        let capture = capture()
        var result = ReplayResult(policy: .standard, capture: capture, consumed: capture.bytes)
        result.add(shard, most: LiveDesk.mostPatterns)
        let cpu = SystemClock.threadCPU()
        return LiveDesk.Part(result: result, capture: capture, cpu: cpu, memory: shard.memory)
    }
}
