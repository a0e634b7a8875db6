// SPDX-License-Identifier: Apache-2.0
import Capture
import Domain
import Glibc
import Packets

/// One worker of a live capture: its taps, one an interface, and its shard.
struct LiveWorker<Recorder: StatementRecorder & ~Copyable>: ~Copyable {
    private let taps: [LiveCapture]
    private var decoder: PacketDecoder
    private var segments = SlotTable<Segment>(limit: 1, blank: Segment())
    /// The latest time seen: the clocks of several processors do not agree to the microsecond.
    private var latest = Timestamp.epoch
    /// The time of the packet taken last.
    private var lastTaken = Timestamp.epoch
    private(set) var summary = CaptureSummary()
    var shard: Shard<Recorder>

    /// Packets taken from one tap before the next one has its turn.
    private static var turn: Int { 4096 }

    init(taps: [LiveCapture], options: LiveTapOptions, recorder: consuming Recorder) {
        self.taps = taps
        decoder = PacketDecoder(ports: PortSet(options.ports), hash: options.hash)
        shard = Shard(
            serverPorts: PortSet(options.ports.isEmpty ? Replay.usualPorts : options.ports),
            hash: options.hash,
            priceList: options.prices,
            limits: options.limits,
            recorder: recorder
        )
        _ = segments.take()
    }

    /// Works until `isStopped`, then takes what passed before that; returns why it ended earlier, if it did.
    mutating func work(_ isStopped: () -> Bool) -> CaptureError? {
        var failure: CaptureError?
        do throws(CaptureError) {
            var waiting = taps.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
            while !isStopped() {
                _ = unsafe poll(&waiting, nfds_t(waiting.count), 50)
                for tap in taps { _ = try drain(tap) }
            }
            try takeRest()
        } catch {
            failure = error
        }
        for tap in taps {
            let statistics = tap.statistics()
            summary.kernelDropped &+= statistics.dropped
            summary.interfaceDropped &+= statistics.droppedByInterface
        }
        summary.fragments = decoder.fragmentCounts.seen
        shard.finish(at: Moment(time: latest, ordinal: summary.packets + 1))
        return failure
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
        summary.note(record)
        lastTaken = record.time
        if record.time > latest { latest = record.time }
        guard let link = LinkType(rawValue: record.linkType) else { return summary.ignore(.linkType) }
        let segment = segments.slot(0)
        if let reason = decoder.decode(frame, link: link, length: record.length, at: latest, into: &segment.value) {
            return summary.ignore(reason)
        }
        segment.value.ordinal = summary.packets
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
