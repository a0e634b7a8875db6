// SPDX-License-Identifier: Apache-2.0
public import Domain

/// An ended flow that waits to be forgotten.
struct EndedFlow: BitwiseCopyable {
    var flow: FlowHandle
    var serial: UInt32
}

extension Reassembler {
    /// Ended flows remembered, so that late retransmissions do not look like new connections.
    static var endedKept: Int { 4096 }

    /// A segment of no known connection.
    mutating func begin(_ segment: Segment, _ payload: RawSpan, into sink: inout some StreamSink & ~Copyable) {
        let isSYN = segment.flags.contains(.syn)
        guard isSYN || segment.announced > 0, !segment.flags.contains(.rst) else { return }
        let moment = Moment(time: segment.time, ordinal: segment.ordinal)
        guard let flow = takeSlot(at: moment, into: &sink) else {
            counters.overBudget += 1
            return
        }
        flows[flow].key = segment.key
        flows[flow].hash = segment.hash
        index.insert(flow, hash: segment.hash, in: flows)
        start(flow, segment, payload, into: &sink)
    }

    /// Starts the connection that `segment` belongs to, in a slot whose key is set.
    mutating func start(
        _ flow: FlowHandle,
        _ segment: Segment,
        _ payload: RawSpan,
        into sink: inout some StreamSink & ~Copyable
    ) {
        let (key, hash) = (flows[flow].key, flows[flow].hash)
        flows[flow] = Flow()
        flows[flow].key = key
        flows[flow].hash = hash
        flows[flow].state = .open
        flows[flow].lastSeen = segment.time
        counters.flows += 1
        let isSYN = segment.flags.contains(.syn)
        if isSYN { flows[flow].state.insert(.hasSYN) }
        if let fromClient = isFromClient(segment, payload, sink) {
            orient(flow, lowerIsClient: fromClient == segment.fromLower, segment, into: &sink)
        }
        handle(flow, segment, payload, into: &sink)
    }

    /// Whether the client sent `segment`: told by the handshake, the ports, or what the bytes look like.
    func isFromClient(_ segment: Segment, _ payload: RawSpan, _ sink: borrowing some StreamSink & ~Copyable) -> Bool? {
        if segment.flags.contains(.syn) { return !segment.flags.contains(.ack) }
        let source = segment.fromLower ? segment.key.lower.port : segment.key.upper.port
        let destination = segment.fromLower ? segment.key.upper.port : segment.key.lower.port
        if serverPorts.contains(destination) != serverPorts.contains(source) {
            return serverPorts.contains(destination)
        }
        guard let sender = sink.sender(of: payload) else { return nil }
        return sender == .client
    }

    mutating func orient(
        _ flow: FlowHandle,
        lowerIsClient: Bool,
        _ segment: Segment,
        into sink: inout some StreamSink & ~Copyable
    ) {
        flows[flow].state.insert(.oriented)
        if lowerIsClient { flows[flow].state.insert(.lowerIsClient) }
        let key = segment.key
        sink.opened(
            flow,
            client: lowerIsClient ? key.lower : key.upper,
            server: lowerIsClient ? key.upper : key.lower,
            isMidstream: !flows[flow].state.contains(.hasSYN),
            at: Moment(time: segment.time, ordinal: segment.ordinal)
        )
    }

    /// The sink wants no more of a flow.
    mutating func drop(_ flow: FlowHandle) {
        flows[flow].state.insert(.dropped)
        release(flow, lower: true)
        release(flow, lower: false)
    }

    /// Ends a connection; the slot stays for a while.
    mutating func end(_ flow: FlowHandle, at moment: Moment, into sink: inout some StreamSink & ~Copyable) {
        flush(flow, at: moment, into: &sink)
        release(flow, lower: true)
        release(flow, lower: false)
        if flows[flow].state.contains(.oriented) { sink.closed(flow, at: moment) }
        flows[flow].state.insert(.closed)
        // While a flow is closed its `candidate` holds the serial number of its entry here.
        endedSerial &+= 1
        flows[flow].candidate = endedSerial
        ended.append(EndedFlow(flow: flow, serial: endedSerial))
        if ended.count - endedHead > Self.endedKept { forgetOldestEnded() }
    }

    private mutating func forgetOldestEnded() {
        while endedHead < ended.count {
            let oldest = ended[endedHead]
            endedHead += 1
            if endedHead > Self.endedKept {
                ended.removeFirst(endedHead)
                endedHead = 0
            }
            // A flow whose ports were reused is open again, or ended again later.
            if flows[oldest.flow].state.contains(.closed), flows[oldest.flow].candidate == oldest.serial {
                forget(oldest.flow)
                return
            }
        }
    }

    mutating func forget(_ flow: FlowHandle) {
        index.remove(flow, hash: flows[flow].hash, in: flows)
        flows[flow].state = []
        flows.give(flow)
    }

    mutating func takeSlot(at moment: Moment, into sink: inout some StreamSink & ~Copyable) -> FlowHandle? {
        if flows.count < limits.flows, let flow = flows.take() { return flow }
        counters.evicted += 1
        if endedHead < ended.count {
            forgetOldestEnded()
        } else if let flow = oldestOfSample(&sink) {
            end(flow, at: moment, into: &sink)
            forgetOldestEnded()
        }
        return flows.take()
    }

    /// The clock that stamps packets was set by so many ns: nobody was silent for that.
    public mutating func shiftClock(by step: Int64) {
        for flow in 0..<Int32(flows.highWater) {
            flows[flow].lastSeen = Timestamp(nanoseconds: flows[flow].lastSeen.nanoseconds &+ step)
        }
    }

    /// Looks at the next `count` flows and forgets those that were silent too long, as of `moment`.
    ///
    /// A connection that speaks again is then one that was joined mid-stream.
    public mutating func expire(at moment: Moment, count: Int, into sink: inout some StreamSink & ~Copyable) {
        for _ in 0..<min(count, flows.highWater) {
            sweepHand = sweepHand + 1 < flows.highWater ? sweepHand + 1 : 0
            let flow = Int32(sweepHand)
            guard flows[flow].state.contains(.open), !flows[flow].state.contains(.closed) else { continue }
            let isBlank = !flows[flow].state.contains(.oriented) || sink.isBlank(flow)
            let silence = moment.time.nanoseconds(since: flows[flow].lastSeen)
            guard silence > (isBlank ? limits.blankIdle : limits.idle) else { continue }
            counters.expired += 1
            end(flow, at: moment, into: &sink)
            // Not kept as ended: what comes of it would be taken for retransmissions.
            forget(flow)
        }
    }

    /// The flow that was silent longest among the next few; those that never carried a session go first, so that a flood
    /// of empty connections pushes out no session.
    private mutating func oldestOfSample(_ sink: inout some StreamSink & ~Copyable) -> FlowHandle? {
        var best: FlowHandle?
        for number in 0..<1024 {
            clockHand = clockHand + 1 < flows.highWater ? clockHand + 1 : 0
            let flow = Int32(clockHand)
            guard flows[flow].state.contains(.open), !flows[flow].state.contains(.closed) else { continue }
            // The first empty one will do; sessions stand in clusters, so it may be a while until it comes.
            if flows[flow].state.contains(.dropped) || !flows[flow].state.contains(.oriented) || sink.isBlank(flow) {
                return flow
            }
            guard number < 32 || best == nil else { continue }
            if let current = best, flows[current].lastSeen <= flows[flow].lastSeen { continue }
            best = flow
        }
        return best
    }
}
