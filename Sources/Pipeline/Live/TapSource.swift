// SPDX-License-Identifier: Apache-2.0
import Capture
import Domain
import Glibc
import Metering
import Packets
import Platform

/// Packets from the kernel: the taps of one worker, one an interface.
struct TapSource: LiveSource, ~Copyable {
    private let taps: [LiveCapture]
    private var decoder: PacketDecoder
    private var segments = SlotTable<Segment>(limit: 1, blank: Segment())
    /// The time of the packet taken last.
    private var lastTaken = Timestamp.epoch

    /// How long packets may gather unread, ms; 0: the ring tells at once.
    private let pause: Int32
    /// What may gather in such a pause, in bytes, before the ring is watched itself.
    private let most: UInt64
    private var isCalm = false
    private let ports: [UInt16]
    /// Until when packets may be cut on purpose, ns of a steady clock.
    private var shortensUntil = Int64.min

    /// Packets taken from one tap before the next one has its turn.
    private static var turn: Int { 4096 }
    /// Head and padding of a packet in the ring, in bytes, about.
    private static var overhead: UInt64 { 100 }

    init(_ taps: [LiveCapture], options: LiveTapOptions) {
        self.taps = taps
        // NFLOG's packets have the time at which they are read.
        let canWait = !taps.contains(where: \.isStampedWhenRead)
        pause = canWait ? Self.pause(buffer: options.buffer) : 0
        most = UInt64(max(0, options.buffer)) / 8
        ports = options.ports
        decoder = PacketDecoder(
            ports: PortSet(options.ports),
            hash: options.hash,
            tunnelSenders: options.tunnelSenders
        )
        _ = segments.take()
    }

    /// How long a ring of so many bytes takes what a quiet interface may begin to carry, 10 Gbit/s, in ms; at most 50, and
    /// 0 where that is not worth it, because the ring tells of packets only every 20 ms anyway.
    static func pause(buffer: Int32) -> Int32 {
        let time = min(50, buffer / 1_250_000)
        return time < 20 ? 0 : time
    }

    /// The taps, unless little comes.
    ///
    /// Each time that it wakes up a worker may be in the way of a query, on a host that has both. So while little comes it
    /// does not watch the ring, but looks there 20 times a second, and when somebody wakes it.
    var descriptors: [Int32] { isCalm ? [] : taps.map(\.descriptor) }
    var timeout: Int32 { isCalm ? pause : 50 }
    var dropped: UInt64 { taps.reduce(UInt64(0)) { $0 &+ $1.statistics().dropped } }

    mutating func cutResponses(_ isCut: Bool, at now: Int64) -> Bool {
        // Packets inside of others are not told apart by the kernel's filter.
        var isDone = false
        for tap in taps where tap.cutResponses(isCut, from: ports) { isDone = true }
        // The ring may hold some that are cut for a while afterwards.
        if isDone { shortensUntil = isCut ? .max : now &+ 1_000_000_000 }
        return isDone
    }

    mutating func drain(
        into shard: inout Shard<some StatementRecorder & ~Copyable>,
        _ tally: inout LiveTally
    ) throws(CaptureError) -> Bool {
        var isBehind = false
        let (packets, bytes) = (tally.counted.packets, tally.counted.bytes)
        for tap in taps where try drain(tap, into: &shard, &tally) >= Self.turn { isBehind = true }
        let gathered = (tally.counted.bytes &- bytes) &+ (tally.counted.packets &- packets) &* Self.overhead
        isCalm = pause > 0 && !isBehind && gathered < most
        return isBehind
    }

    /// Takes what the kernel still holds; packets go on coming, so those that passed later end it.
    mutating func takeRest(
        into shard: inout Shard<some StatementRecorder & ~Copyable>,
        _ tally: inout LiveTally
    ) throws(CaptureError) {
        let stopped = SystemClock.time()
        let deadline = SystemClock.now() + 2
        for tap in taps {
            lastTaken = .epoch
            var isPast = false
            while !isPast, isReadable(tap) {
                while !isPast, try drain(tap, into: &shard, &tally) > 0 {
                    isPast = tap.isStampedWhenRead ? SystemClock.now() >= deadline : lastTaken >= stopped
                }
                if SystemClock.now() >= deadline { isPast = true }
            }
        }
    }

    /// Whether a tap has packets, or gives up a block of its ring soon: 20 ms after the block's first packet.
    private func isReadable(_ tap: LiveCapture) -> Bool {
        var waiting = pollfd(fd: tap.descriptor, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&waiting, 1, 50) > 0 && waiting.revents & Int16(POLLIN) != 0
    }

    func fill(_ capture: inout CaptureSummary) {
        for tap in taps {
            let statistics = tap.statistics()
            capture.kernelDropped &+= statistics.dropped
            capture.interfaceDropped &+= statistics.droppedByInterface
        }
        capture.fragments = decoder.fragmentCounts.seen
        capture.otherPorts = decoder.otherPorts
    }

    /// Takes the packets that are there; returns how many.
    private mutating func drain(
        _ tap: LiveCapture,
        into shard: inout Shard<some StatementRecorder & ~Copyable>,
        _ tally: inout LiveTally
    ) throws(CaptureError) -> Int {
        try tap.drain(Self.turn) { record, frame in take(record, frame, into: &shard, &tally) }
    }

    @inline(__always)
    private mutating func take(
        _ record: borrowing CaptureRecord,
        _ frame: RawSpan,
        into shard: inout Shard<some StatementRecorder & ~Copyable>,
        _ tally: inout LiveTally
    ) {
        tally.counted.note(record, isShortening: tally.clock.steady < shortensUntil)
        lastTaken = record.time
        let steps = tally.clock.steps
        let time = tally.clock.admit(record.time)
        if tally.clock.steps != steps { shard.reassembler.shiftClock(by: tally.clock.lastStep) }
        guard let link = LinkType(rawValue: record.linkType) else { return tally.counted.ignore(.linkType) }
        let segment = segments.slot(0)
        if let reason = decoder.decode(frame, link: link, length: record.length, at: time, into: &segment.value) {
            return tally.counted.ignore(reason)
        }
        if tally.shedder.leavesOut(segment.value.hash) { return }
        segment.value.ordinal = tally.counted.packets
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
        to shard: inout Shard<some StatementRecorder & ~Copyable>
    ) {
        shard.receive(segment, decoder.reassembled.extracting(range))
    }
}
