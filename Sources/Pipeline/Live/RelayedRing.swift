// SPDX-License-Identifier: Apache-2.0
import Domain
import Metering
import Packets
import RelayRing

/// One ring of a relay, and the connections that it tells of.
struct RelayedRing {
    /// A connection, by its place in the relay's worker.
    private struct Entry {
        var flow: FlowHandle = -1
        /// The flow's number: another connection in the same flow has another.
        var number: UInt64 = 0
        var serial: UInt32 = 0
        /// The position of the next byte of each direction.
        var clientNext: UInt64 = 0, serverNext: UInt64 = 0
    }

    let reader: RingReader
    private let attachment: RelayFeed.Attachment
    private var entries: [Entry] = []
    /// Rings are read one after the other: held to the latest time of all of them, what a ring brings late would seem to
    /// have taken no time.
    private var clock = ClockGuard()
    private var lastNumber: UInt64
    /// Whether nothing comes of it any more.
    private(set) var isOver = false
    /// Records of connections that nothing was told of.
    private(set) var strays: UInt64 = 0

    /// More places than any relay has.
    private static var mostEntries: Int { 1 << 22 }

    /// A ring; `number` tells its flows from those of other rings.
    init(_ ring: RelayFeed.Ring, number: UInt64) {
        (reader, attachment) = (ring.reader, ring.attachment)
        lastNumber = number &<< 40
    }

    /// Whether its relay is gone.
    var isEnding: Bool { attachment.isOver }

    /// Takes the records that are there; returns how many.
    mutating func take(
        _ limit: Int,
        into shard: inout Shard<some StatementRecorder & ~Copyable>,
        _ tally: inout LiveTally
    ) -> Int {
        clock.steady = tally.clock.steady
        return reader.drain(limit) { record, bytes in
            tally.counted.note(count: record.kind == .bytes ? record.count : 0, at: record.time)
            let steps = tally.clock.steps
            _ = tally.clock.admit(record.time)
            if tally.clock.steps != steps { shard.reassembler.shiftClock(by: tally.clock.lastStep) }
            let moment = Moment(time: clock.admit(record.time), ordinal: tally.counted.packets)
            let place = Int(record.slot)
            guard place < Self.mostEntries else {
                strays &+= 1
                return
            }
            if place >= entries.count {
                guard record.kind == .opened else {
                    strays &+= 1
                    return
                }
                let missing = place &+ 1 &- entries.count
                entries += Array(repeating: Entry(), count: missing)
            }
            switch record.kind {
            case .opened: entries[place] = open(entries[place], record, bytes, moment, &shard)
            case .bytes:
                let entry = entries[place]
                guard entry.flow >= 0, entry.serial == record.serial else {
                    strays &+= 1
                    return
                }
                // A flow that is left out while bytes outrun the worker has a gap afterwards.
                if tally.shedder.leavesOut(entry.number &* 0x9E37_79B9_7F4A_7C15) { return }
                deliver(place, record, bytes, moment, &shard)
            case .closed: close(place, record, bytes, moment, &shard)
            }
        }
    }

    private mutating func open(
        _ former: Entry,
        _ record: RingRecord,
        _ bytes: RawSpan,
        _ moment: Moment,
        _ shard: inout Shard<some StatementRecorder & ~Copyable>
    ) -> Entry {
        // Whoever had the place before ended unheard of.
        if former.flow >= 0 { shard.reassembler.close(former.flow, former.number, at: moment, into: &shard.analyser) }
        var entry = Entry()
        guard let ends = RingReader.ends(bytes) else {
            strays &+= 1
            return entry
        }
        lastNumber &+= 1
        entry.number = lastNumber
        entry.serial = record.serial
        (entry.clientNext, entry.serverNext) = (ends.clientBytes, ends.serverBytes)
        let isMidstream = ends.clientBytes > 0 || ends.serverBytes > 0
        let relayed = RelayedFlow(
            client: ends.client,
            server: ends.server,
            number: lastNumber,
            isMidstream: isMidstream
        )
        entry.flow = shard.reassembler.open(relayed, at: moment, into: &shard.analyser) ?? -1
        // The server knows this session by the relay's address.
        if isMidstream, entry.flow >= 0 { shard.analyser.metering.note(entry.flow, isKnownAs: ends.via) }
        return entry
    }

    @inline(__always)
    private mutating func deliver(
        _ place: Int,
        _ record: RingRecord,
        _ bytes: RawSpan,
        _ moment: Moment,
        _ shard: inout Shard<some StatementRecorder & ~Copyable>
    ) {
        let entry = entries[place]
        let next = record.side == .client ? entry.clientNext : entry.serverNext
        let missing = Int(clamping: Int64(bitPattern: record.position &- next))
        guard missing >= 0 else {
            strays &+= 1
            return
        }
        if missing > 0 { skip(entry, record.side, missing, moment, &shard) }
        let end = record.position &+ UInt64(truncatingIfNeeded: record.count)
        if record.side == .client { entries[place].clientNext = end } else { entries[place].serverNext = end }
        shard.reassembler.deliver(
            entry.flow,
            entry.number,
            from: record.side,
            bytes,
            at: moment,
            into: &shard.analyser
        )
    }

    private func skip(
        _ entry: Entry,
        _ side: Direction,
        _ count: Int,
        _ moment: Moment,
        _ shard: inout Shard<some StatementRecorder & ~Copyable>
    ) {
        shard.reassembler.skip(entry.flow, entry.number, from: side, count, at: moment, into: &shard.analyser)
    }

    private mutating func close(
        _ place: Int,
        _ record: RingRecord,
        _ bytes: RawSpan,
        _ moment: Moment,
        _ shard: inout Shard<some StatementRecorder & ~Copyable>
    ) {
        let entry = entries[place]
        guard entry.flow >= 0, entry.serial == record.serial, let totals = RingReader.totals(bytes) else { return }
        if totals.client > entry.clientNext {
            skip(entry, .client, Int(clamping: totals.client &- entry.clientNext), moment, &shard)
        }
        if totals.server > entry.serverNext {
            skip(entry, .server, Int(clamping: totals.server &- entry.serverNext), moment, &shard)
        }
        shard.reassembler.close(entry.flow, entry.number, at: moment, into: &shard.analyser)
        entries[place] = Entry()
    }

    /// The relay is gone, and so are its connections.
    mutating func end(into shard: inout Shard<some StatementRecorder & ~Copyable>, _ tally: borrowing LiveTally) {
        let moment = Moment(time: tally.clock.latest, ordinal: tally.counted.packets)
        for entry in entries where entry.flow >= 0 {
            shard.reassembler.close(entry.flow, entry.number, at: moment, into: &shard.analyser)
        }
        entries = []
        isOver = attachment.isOver
    }
}
