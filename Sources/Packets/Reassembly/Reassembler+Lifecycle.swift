// SPDX-License-Identifier: Apache-2.0
public import Domain

extension Reassembler {
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

    /// Starts the connection that `segment` belongs to, in a slot whose key is set and that is in no list.
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

    mutating func takeSlot(at moment: Moment, into sink: inout some StreamSink & ~Copyable) -> FlowHandle? {
        if flows.count < limits.flows, let flow = flows.take() { return flow }
        if let oldest = takeOldestEnded() {
            forget(oldest)
        } else if let flow = oldestOfSample(&sink) {
            forget(conclude(flow, at: moment, into: &sink))
        } else {
            return nil
        }
        counters.evicted += 1
        return flows.take()
    }

    /// The clock that stamps packets was set by so many ns: nobody was silent for that.
    public mutating func shiftClock(by step: Int64) {
        for place in 0..<placeCount {
            guard let flow = flows.occupant(at: place) else { continue }
            flow.value.lastSeen = Timestamp(nanoseconds: flow.value.lastSeen.nanoseconds &+ step)
        }
    }

    /// Looks at the next `count` flows and forgets those that were silent too long, as of `moment`.
    ///
    /// A connection that speaks again is then one that was joined mid-stream.
    public mutating func expire(at moment: Moment, count: Int, into sink: inout some StreamSink & ~Copyable) {
        for _ in 0..<min(count, placeCount) {
            sweepHand = sweepHand + 1 < placeCount ? sweepHand + 1 : 0
            guard let flow = openFlow(at: sweepHand) else { continue }
            let isBlank = !flows[flow].state.contains(.oriented) || sink.isBlank(flow)
            let silence = moment.time.nanoseconds(since: flows[flow].lastSeen)
            guard silence > (isBlank ? limits.blankIdle : limits.idle) else { continue }
            counters.expired += 1
            // Not kept as ended: what comes of it would be taken for retransmissions.
            forget(conclude(flow, at: moment, into: &sink))
        }
    }

    /// The flow that was silent longest among the next few; those that never carried a session go first, so that a flood
    /// of empty connections pushes out no session.
    private mutating func oldestOfSample(_ sink: inout some StreamSink & ~Copyable) -> FlowHandle? {
        var best: FlowHandle?
        // The next sample begins behind those that were compared: by longer steps it would always be the same ones, and
        // newcomers would push out each other.
        var next = clockHand
        for number in 0..<1024 {
            clockHand = clockHand + 1 < placeCount ? clockHand + 1 : 0
            if number < 32 || best == nil { next = clockHand }
            guard let flow = openFlow(at: clockHand) else { continue }
            // The first empty one will do; sessions stand in clusters, so it may be a while until it comes.
            if flows[flow].state.contains(.dropped) || !flows[flow].state.contains(.oriented) || sink.isBlank(flow) {
                return flow
            }
            guard number < 32 || best == nil else { continue }
            if let current = best, flows[current].lastSeen <= flows[flow].lastSeen { continue }
            best = flow
        }
        clockHand = next
        return best
    }
}
