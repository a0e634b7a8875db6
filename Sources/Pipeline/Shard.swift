// SPDX-License-Identifier: Apache-2.0
import Capture
import Costs
import Domain
import Metering
import Packets
import PostgresWire

/// One worker's whole state: segment → stream → message → statement → charge, without a lock or a hand-over.
struct Shard<Recorder: StatementRecorder & ~Copyable>: ~Copyable, SegmentReceiver {
    var reassembler: Reassembler
    var analyser: Analyser<Recorder>

    init(
        serverPorts: PortSet,
        hash: KeyedHash,
        priceList: PriceList,
        limits: ReassemblyLimits,
        tables: TableLimits = .usual,
        sessions: SessionLimits = SessionLimits(),
        recorder: consuming Recorder
    ) {
        reassembler = Reassembler(serverPorts: serverPorts, limits: limits)
        var sessionLimits = sessions
        sessionLimits.sessions = limits.flows
        analyser = Analyser(
            sessions: Sessions(hash: hash, limits: sessionLimits),
            metering: Metering(
                hash: hash,
                priceList: priceList,
                flows: limits.flows,
                tables: tables,
                recorder: recorder
            )
        )
    }

    @inline(__always)
    mutating func receive(_ segment: Slot<Segment>, _ payload: RawSpan) {
        reassembler.process(segment, payload, into: &analyser)
    }

    /// The state of fewer flows stays near by itself.
    var isLarge: Bool {
        @inline(__always)
        mutating get { reassembler.openFlowCount > 2048 }
    }

    @inline(__always)
    mutating func expect(_ hash: UInt64) { reassembler.expect(hash) }

    @inline(__always)
    mutating func approach(_ hash: UInt64) { analyser.sessions.prefetch(reassembler.approach(hash)) }

    /// Takes the segments of one batch that are this worker's.
    mutating func process(_ batch: Batch, _ worker: Int) {
        let list = batch.lists[worker]
        let (slots, count) = (list.slots, list.count)
        let chunk = batch.chunk
        let bytes = chunk.bytes
        let looksAhead = isLarge
        for index in 0..<count {
            if looksAhead {
                if index &+ 16 < count { expect(slots[index &+ 16].value.hash) }
                if index &+ 8 < count { approach(slots[index &+ 8].value.hash) }
            }
            // Mostly another worker read the chunk, so its bytes are in that one's cache.
            if index &+ 6 < count { bytes.prefetch(at: slots[index &+ 6].value.payloadOffset) }
            take(slots[index], bytes, list)
        }
        for handle in 0..<Int32(list.others.highWater) { take(list.others.slot(handle), bytes, list) }
    }

    @inline(__always)
    private mutating func take(_ segment: Slot<Segment>, _ bytes: RawSpan, _ list: SegmentList) {
        let start = segment.value.payloadOffset
        let range = start..<start &+ Int(segment.value.captured)
        if segment.value.isFromFragments {
            let datagrams = list.reassembled
            receive(segment, datagrams.rawSpan.extracting(range))
        } else {
            receive(segment, bytes.extracting(range))
        }
    }

    /// Forgets flows that were silent for too long, among the next few.
    mutating func expire(at moment: Moment) {
        reassembler.expire(at: moment, count: 1024, into: &analyser)
    }

    /// The capture is over.
    mutating func finish(at moment: Moment) {
        analyser.isFinishing = true
        reassembler.finish(at: moment, into: &analyser)
        analyser.metering.gatherPaces()
        analyser.metering.keepPaces()
        analyser.metering.recorder.flush()
    }
}

/// Stream → statement: joins the sessions to what they cost.
struct Analyser<Recorder: StatementRecorder & ~Copyable>: ~Copyable, StreamSink {
    var sessions: Sessions
    var metering: Metering<Recorder>
    /// Whose connections to servers are passed over.
    var poolers: PoolerAddresses {
        get { metering.poolers }
        set { metering.poolers = newValue }
    }
    /// The servers whose sessions count.
    var servers = NamedServers()
    /// The capture ended, not the connections.
    var isFinishing = false

    init(sessions: consuming Sessions, metering: consuming Metering<Recorder>) {
        self.sessions = sessions
        self.metering = metering
    }

    mutating func opened(
        _ flow: FlowHandle,
        client: Endpoint,
        server: Endpoint,
        isMidstream: Bool,
        at moment: Moment
    ) {
        sessions.opened(flow, isMidstream: isMidstream)
        metering.opened(flow, client: client, server: server, at: moment)
        if poolers.isServerSide(client: client, server: server) {
            sessions.passOver(flow, at: moment, into: &metering)
        } else if !counts(client: client, server: server, isMidstream) {
            sessions.closed(flow, isKnown: false, at: moment, into: &metering)
            metering.setApart(flow)
        }
    }

    /// Whether a session counts that one end opened with another.
    ///
    /// A pooler that was named is a server of its clients. Of a connection that was joined later the ends may be the other
    /// way round: nothing is charged without a login, so it is read.
    private func counts(client: Endpoint, server: Endpoint, _ isMidstream: Bool) -> Bool {
        servers.contains(server) || poolers.contains(server) || (isMidstream && servers.contains(client))
    }

    func sender(of bytes: RawSpan) -> Direction? { Sessions.sender(of: bytes) }

    mutating func bytes(_ flow: FlowHandle, from side: Direction, _ bytes: RawSpan, at moment: Moment) -> Interest {
        let interest = sessions.bytes(flow, from: side, bytes, at: moment, into: &metering)
        if interest == .drop { metering.dropped(flow) }
        return interest
    }

    mutating func gap(_ flow: FlowHandle, from side: Direction, count: Int, at moment: Moment) -> Interest {
        let interest = sessions.gap(flow, from: side, count: count, at: moment, into: &metering)
        if interest == .drop { metering.dropped(flow) }
        return interest
    }

    mutating func isBlank(_ flow: FlowHandle) -> Bool { sessions.isBlank(flow) }

    mutating func reset(_ flow: FlowHandle, at moment: Moment) { sessions.wasReset(flow) }

    mutating func closed(_ flow: FlowHandle, at moment: Moment) {
        sessions.closed(flow, isKnown: !isFinishing, at: moment, into: &metering)
        metering.closed(flow, at: moment)
    }
}
