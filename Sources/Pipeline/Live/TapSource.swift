// SPDX-License-Identifier: Apache-2.0
import Capture
import Domain
import Glibc
import Packets

/// Packets from the kernel: the taps of one worker, one an interface.
struct TapSource: LiveSource, ~Copyable {
    private let taps: [LiveCapture]
    private var decoder: PacketDecoder
    private var segments = SlotTable<Segment>(limit: 1, blank: Segment())
    /// The time of the packet taken last.
    private var lastTaken = Timestamp.epoch

    /// Packets taken from one tap before the next one has its turn.
    private static var turn: Int { 4096 }

    init(_ taps: [LiveCapture], options: LiveTapOptions) {
        self.taps = taps
        decoder = PacketDecoder(ports: PortSet(options.ports), hash: options.hash)
        _ = segments.take()
    }

    var descriptors: [Int32] { taps.map(\.descriptor) }
    /// The ring tells by itself.
    var patience: Int32 { 50 }
    var dropped: UInt64 { taps.reduce(UInt64(0)) { $0 &+ $1.statistics().dropped } }

    mutating func drain(
        into shard: inout Shard<some StatementRecorder & ~Copyable>,
        _ tally: inout LiveTally
    ) throws(CaptureError) -> Bool {
        var isBehind = false
        for tap in taps where try drain(tap, into: &shard, &tally) >= Self.turn { isBehind = true }
        return isBehind
    }

    /// Takes what the kernel still holds; packets go on coming, so those that passed later end it.
    mutating func takeRest(
        into shard: inout Shard<some StatementRecorder & ~Copyable>,
        _ tally: inout LiveTally
    ) throws(CaptureError) {
        let stopped = Timestamp(nanoseconds: Int64(Replay.now(CLOCK_REALTIME) * 1e9))
        let deadline = Replay.now(CLOCK_MONOTONIC) + 2
        // The ring's last block is given up 10 ms after its first packet.
        usleep(30_000)
        for tap in taps {
            while try drain(tap, into: &shard, &tally) > 0 {
                let isPast = tap.isStampedWhenRead ? Replay.now(CLOCK_MONOTONIC) >= deadline : lastTaken >= stopped
                if isPast { break }
            }
        }
    }

    func fill(_ capture: inout CaptureSummary) {
        for tap in taps {
            let statistics = tap.statistics()
            capture.kernelDropped &+= statistics.dropped
            capture.interfaceDropped &+= statistics.droppedByInterface
        }
        capture.fragments = decoder.fragmentCounts.seen
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
        tally.counted.note(record)
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
