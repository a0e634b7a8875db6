// SPDX-License-Identifier: Apache-2.0
import Capture
import Domain
import Glibc
import Packets
import Quotas

/// One worker of a live capture: its taps, one an interface, and its shard.
struct LiveWorker<Recorder: StatementRecorder & ~Copyable>: ~Copyable {
    private let taps: [LiveCapture]
    private var decoder: PacketDecoder
    private var segments = SlotTable<Segment>(limit: 1, blank: Segment())
    private var shedder = LoadShedder()
    private var clock = ClockGuard()
    /// When idle flows were last looked for, ns of a steady clock.
    private var lastSweep: Int64 = 0
    /// When usage was last handed to the ledger, ns of a steady clock.
    private var lastFlush: Int64 = 0
    /// The time of the packet taken last.
    private var lastTaken = Timestamp.epoch
    private var counted = CaptureSummary()
    private let desk: LiveDesk
    private let number: Int
    /// What of the desk's orders is done.
    private var seen = 0, snapshot = 0, settings = 0, inquiry = 0, observation = 0, evidence = 0
    /// Which pattern is looked at next for durations.
    private var observed: Int32 = 1
    /// Answers that wait until all packets from before them are here.
    private var resolutions: [SessionResolution] = []
    var shard: Shard<Recorder>

    /// Packets taken from one tap before the next one has its turn.
    private static var turn: Int { 4096 }

    /// Worker `number` of those that meet at `desk`.
    init(
        _ number: Int,
        at desk: LiveDesk,
        taps: [LiveCapture],
        options: LiveTapOptions,
        recorder: consuming Recorder
    ) {
        self.taps = taps
        self.desk = desk
        self.number = number
        decoder = PacketDecoder(ports: PortSet(options.ports), hash: options.hash)
        shard = Shard(
            serverPorts: PortSet(options.ports.isEmpty ? Replay.usualPorts : options.ports),
            hash: options.hash,
            priceList: options.prices,
            limits: options.limits,
            recorder: recorder
        )
        if options.resolvesSessions { shard.analyser.books.unknown = UnknownSessions() }
        if options.isMetered { shard.analyser.books.meter() }
        if let scheme = options.pricing { shard.analyser.books.askForPrices(scheme) }
        _ = segments.take()
    }

    /// Works until `isStopped`, then takes what passed before that; returns why it ended earlier, if it did.
    mutating func work(_ isStopped: () -> Bool) -> CaptureError? {
        var failure: CaptureError?
        do throws(CaptureError) {
            let descriptors = taps.map(\.descriptor) + [desk.bell(number)]
            var waiting = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            while !isStopped() {
                _ = unsafe poll(&waiting, nfds_t(waiting.count), 50)
                clock.steady = Int64(Replay.now(CLOCK_MONOTONIC) * 1e9)
                var isBehind = false
                for tap in taps where try drain(tap) >= Self.turn { isBehind = true }
                if shedder.isDue(clock.steady) { lookForDrops(clock.steady) }
                if clock.steady &- lastSweep >= Self.sweepInterval { sweep() }
                if clock.steady &- lastFlush >= Self.flushInterval { flush() }
                if let orders = desk.visit(number, &seen) { obey(orders) }
                if shard.analyser.books.pricing?.isEmpty == false { askForPrices() }
                if !resolutions.isEmpty, !isBehind { settle() }
                if let unknown = shard.analyser.books.unknown { desk.note(unknown: unknown.count, number) }
            }
            try takeRest()
        } catch {
            failure = error
        }
        shard.finish(at: Moment(time: clock.latest, ordinal: counted.packets + 1))
        flush()
        desk.leave(part(), number)
        return failure
    }

    private mutating func lookForDrops(_ now: Int64) {
        let dropped = taps.reduce(UInt64(0)) { $0 &+ $1.statistics().dropped }
        if shedder.look(drops: dropped, at: now) { desk.note(shedding: shedder.rung, number) }
    }

    /// Forgets connections that are silent for long: a part of the table at a time.
    private mutating func sweep() {
        lastSweep = clock.steady
        shard.expire(at: Moment(time: clock.now, ordinal: counted.packets))
    }

    private static var sweepInterval: Int64 { 100_000_000 }

    /// Hands what was used to the ledger.
    private mutating func flush() {
        lastFlush = clock.steady
        if shard.analyser.books.hasUsage { desk.post(shard.analyser.books.takeUsage()) }
    }

    /// The loop turns every 50 ms at least.
    private static var flushInterval: Int64 { 50_000_000 }

    /// Does what the desk asks; between packets, so that it may take its time only within the ring's patience.
    private mutating func obey(_ orders: LiveDesk.Orders) {
        if orders.settings != settings {
            settings = orders.settings
            shard.analyser.books.price(by: orders.judgement.prices)
        }
        resolutions += desk.takeResolutions(number)
        if shard.analyser.books.pricing != nil {
            shard.analyser.books.take(desk.takePrices(number), at: clock.latest)
            if orders.observation != observation {
                observation = orders.observation
                observe()
            }
        }
        if orders.inquiry != inquiry {
            inquiry = orders.inquiry
            desk.answer(shard.analyser.books.unknownSessions(of: number), number)
        }
        if orders.evidence != evidence {
            evidence = orders.evidence
            let found = shard.analyser.books.evidence(against: orders.suspect, at: clock.latest, most: 20)
            desk.answer(found, to: evidence, number)
        }
        guard orders.snapshot != snapshot else { return }
        snapshot = orders.snapshot
        var part = part()
        part.sessions = shard.sessionStatuses(limit: LiveDesk.mostSessions)
        desk.answer(part, to: snapshot, number)
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
    /// the ring is empty and its timeout of 10 ms has passed.
    private mutating func settle() {
        let now = Int64(Replay.now(CLOCK_REALTIME) * 1e9)
        var waiting: [SessionResolution] = []
        for resolution in resolutions {
            if resolution.answered.nanoseconds &+ Self.delay <= now {
                shard.settle(resolution, at: Moment(time: clock.latest, ordinal: counted.packets))
            } else {
                waiting.append(resolution)
            }
        }
        resolutions = waiting
    }

    /// How late a packet may come out of the ring, ns, and more.
    private static var delay: Int64 { 50_000_000 }

    /// What was seen so far.
    private mutating func part() -> LiveDesk.Part {
        var capture = counted
        for tap in taps {
            let statistics = tap.statistics()
            capture.kernelDropped &+= statistics.dropped
            capture.interfaceDropped &+= statistics.droppedByInterface
        }
        capture.shedSegments = shedder.shed
        capture.clockSteps = clock.steps
        capture.fragments = decoder.fragmentCounts.seen
        var result = ReplayResult(policy: .standard, capture: capture, consumed: capture.bytes)
        result.add(shard)
        return LiveDesk.Part(result: result, capture: capture, cpu: Replay.now(CLOCK_THREAD_CPUTIME_ID))
    }

    /// Takes what the kernel still holds; packets go on coming, so those that passed later end it.
    private mutating func takeRest() throws(CaptureError) {
        let stopped = Timestamp(nanoseconds: Int64(Replay.now(CLOCK_REALTIME) * 1e9))
        let deadline = Replay.now(CLOCK_MONOTONIC) + 2
        // The ring's last block is given up 10 ms after its first packet.
        usleep(30_000)
        for tap in taps {
            while try drain(tap) > 0 {
                let isPast = tap.isStampedWhenRead ? Replay.now(CLOCK_MONOTONIC) >= deadline : lastTaken >= stopped
                if isPast { break }
            }
        }
    }

    /// Takes the packets that are there; returns how many.
    private mutating func drain(_ tap: LiveCapture) throws(CaptureError) -> Int {
        let count = try tap.drain(Self.turn) { record, frame in take(record, frame) }
        if count > 0 { shard.analyser.books.recorder.flush() }
        return count
    }

    @inline(__always)
    private mutating func take(_ record: borrowing CaptureRecord, _ frame: RawSpan) {
        counted.note(record)
        lastTaken = record.time
        let steps = clock.steps
        let time = clock.admit(record.time)
        if clock.steps != steps { shard.reassembler.shiftClock(by: clock.lastStep) }
        guard let link = LinkType(rawValue: record.linkType) else { return counted.ignore(.linkType) }
        let segment = segments.slot(0)
        if let reason = decoder.decode(frame, link: link, length: record.length, at: time, into: &segment.value) {
            return counted.ignore(reason)
        }
        if shedder.leavesOut(segment.value.hash) { return }
        segment.value.ordinal = counted.packets
        let start = segment.value.payloadOffset
        let range = start..<start &+ Int(segment.value.captured)
        if segment.value.isFromFragments {
            Self.hand(segment, range, decoder, to: &shard)
        } else {
            shard.receive(segment, frame.extracting(range))
        }
    }

    private static func hand(
        _ segment: Slot<Segment>,
        _ range: Range<Int>,
        _ decoder: borrowing PacketDecoder,
        to shard: inout Shard<Recorder>
    ) {
        shard.receive(segment, decoder.reassembled.extracting(range))
    }
}
