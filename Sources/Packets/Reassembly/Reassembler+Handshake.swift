// SPDX-License-Identifier: Apache-2.0
import Domain

/// Beginnings of connections.
///
/// A SYN inside a live connection changes nothing (RFC 9293 §3.10.7.4, RFC 5961 §4: the receiver answers it with a
/// challenge). It begins a connection where nothing of an older one is known, or once the server's SYN-ACK says so, with a
/// number of its own: so neither a forged SYN nor one that is a copy ends anything.
extension Reassembler {
    /// A SYN or SYN-ACK; true when its payload is still to be looked at.
    mutating func handshake(
        _ flow: FlowHandle,
        _ segment: Segment,
        _ payload: RawSpan,
        into sink: inout some StreamSink & ~Copyable
    ) -> Bool {
        guard segment.flags.isDisjoint(with: [.fin, .rst]) else {
            counters.refused += 1
            return false
        }
        if segment.flags.contains(.ack) { return agreement(flow, segment, payload, into: &sink) }
        let isClosed = flows[flow].state.contains(.closed)
        let stream = segment.fromLower ? flows[flow].fromLower : flows[flow].fromUpper
        let peer = segment.fromLower ? flows[flow].fromUpper : flows[flow].fromLower
        if !isClosed, !stream.state.contains(.synchronized) {
            flows[flow].trust.learn(segment.checksum, isSYN: true)
            synchronize(flow, lower: segment.fromLower, at: segment.sequence &+ 1)
            noteTimestamp(flow, segment)
            return segment.announced > 0
        }
        if !isClosed, flows[flow].state.contains(.hasSYN), !peer.state.contains(.synchronized),
            stream.next == segment.sequence &+ 1
        {
            // Sent again.
            flows[flow].trust.learn(segment.checksum, isSYN: true)
            noteTimestamp(flow, segment)
            return false
        }
        flows[flow].candidate = segment.sequence
        flows[flow].candidateTrust = Trust()
        flows[flow].candidateTrust.learn(segment.checksum, isSYN: true)
        flows[flow].candidateTime = segment.hasTimestamp ? max(1, segment.timestamp) : 0
        flows[flow].state.insert(.hasCandidate)
        return false
    }

    private func noteTimestamp(_ flow: FlowHandle, _ segment: Segment) {
        flows[flow].clientWindow = segment.window
        guard segment.hasTimestamp else { return }
        flows[flow].recent = segment.timestamp
        flows[flow].state.insert(.hasRecent)
    }

    /// A SYN-ACK: of the candidate, of this connection, or a copy.
    private mutating func agreement(
        _ flow: FlowHandle,
        _ segment: Segment,
        _ payload: RawSpan,
        into sink: inout some StreamSink & ~Copyable
    ) -> Bool {
        let state = flows[flow].state
        let isCopy = state.contains(.hasServerStart) && segment.sequence == flows[flow].serverStart
        let candidate = flows[flow].candidate
        // Bytes of the SYN may be acknowledged with it (RFC 7413).
        let ofCandidate = segment.acknowledgment.distance(after: candidate &+ 1)
        let isOfCandidate = state.contains(.hasCandidate) && ofCandidate >= 0 && ofCandidate < 1 << 16
        guard !isCopy else {
            if isOfCandidate { flows[flow].state.remove(.hasCandidate) }
            return false
        }
        let fromClient = segment.fromLower == state.contains(.lowerIsClient) && state.contains(.oriented)
        if isOfCandidate, !fromClient {
            let (trust, time) = (flows[flow].candidateTrust, flows[flow].candidateTime)
            replace(flow, segment, payload, into: &sink)
            (flows[flow].trust, flows[flow].recent) = (trust, time)
            if time != 0 { flows[flow].state.insert(.hasRecent) }
            synchronize(flow, lower: !segment.fromLower, at: candidate &+ 1)
            noteServer(flow, segment)
            offer(flow, segment)
            return false
        }
        let stream = segment.fromLower ? flows[flow].fromLower : flows[flow].fromUpper
        let peer = segment.fromLower ? flows[flow].fromUpper : flows[flow].fromLower
        let isOpen = !state.contains(.closed)
        if isOpen, stream.state.contains(.synchronized) || fromClient {
            // A live connection begins no second time, and clients send none.
            counters.outOfWindow += 1
            return false
        }
        let answered = segment.acknowledgment.distance(after: peer.next)
        if !isOpen || (peer.state.contains(.synchronized) && (answered < 0 || answered >= 1 << 16)) {
            // Of a SYN that was not captured.
            if !isOpen || state.contains(.hasSYN) { replace(flow, segment, payload, into: &sink) }
            return false
        }
        flows[flow].state.formUnion([.hasSYN, .hasServerStart])
        flows[flow].serverStart = segment.sequence
        synchronize(flow, lower: segment.fromLower, at: segment.sequence &+ 1)
        if !peer.state.contains(.synchronized) {
            synchronize(flow, lower: !segment.fromLower, at: segment.acknowledgment)
        }
        refuseFastOpen(peer, segment)
        offer(flow, segment)
        return true
    }

    /// Bytes of the SYN that the SYN-ACK does not acknowledge were refused.
    private func refuseFastOpen(_ client: Stream, _ segment: Segment) {
        var entry = client.held
        while entry >= 0 {
            let isTaken = segment.acknowledgment.distance(after: held[entry].end) >= 0
            if held[entry].doubt == .possible, !isTaken { held[entry].doubt = .likely }
            entry = held[entry].next
        }
    }

    /// The server's first window is not scaled, the others are (RFC 7323 §2.2).
    private func offer(_ flow: FlowHandle, _ segment: Segment) {
        // Where the server's has none, it looks at none.
        if !segment.hasTimestamp { flows[flow].state.remove(.hasRecent) }
        flows[flow].windowShift = segment.windowShift
        flows[flow].edge = segment.acknowledgment &+ UInt32(segment.window)
    }

    func synchronize(_ flow: FlowHandle, lower: Bool, at sequence: UInt32) {
        let isClient = lower == flows[flow].state.contains(.lowerIsClient)
        var stream = lower ? flows[flow].fromLower : flows[flow].fromUpper
        stream.next = sequence
        stream.acknowledged = sequence
        stream.state.insert(.synchronized)
        // Nothing was told of a window yet, and a client may acknowledge what was sent before the capture.
        if isClient {
            flows[flow].spoken = sequence
            flows[flow].edge = sequence &+ 1 << 30
        } else if !flows[flow].state.contains(.hasServerStart) {
            stream.acknowledged = sequence &- UInt32(Self.window)
        }
        if !isClient { flows[flow].serverSeen = sequence }
        if lower { flows[flow].fromLower = stream } else { flows[flow].fromUpper = stream }
    }

    /// Whether `segment` belongs to the connection that a SYN on this flow's ports announced, where no SYN-ACK can be expected:
    /// the server was never seen, or the connection known is over.
    func isAnswer(_ segment: Segment, to flow: FlowHandle) -> Bool {
        let state = flows[flow].state
        guard state.contains(.hasCandidate), segment.flags.contains(.ack), !segment.flags.contains(.rst) else {
            return false
        }
        guard state.contains(.closed) || !flows[flow].server.state.contains(.synchronized) else { return false }
        let fromClient = segment.fromLower == state.contains(.lowerIsClient)
        return fromClient && segment.announced > 0 && segment.sequence == flows[flow].candidate &+ 1
            && flows[flow].candidateTrust.takes(segment.checksum)
    }

    /// Whether the server takes more of the client than there was when the connection seemed to end: then it did not.
    func isAlive(_ flow: FlowHandle, _ segment: Segment) -> Bool {
        let state = flows[flow].state
        guard state.contains(.oriented), segment.fromLower != state.contains(.lowerIsClient),
            segment.flags.contains(.ack), segment.flags.isDisjoint(with: [.rst, .syn])
        else { return false }
        let (client, server) = (flows[flow].client, flows[flow].server)
        guard client.state.contains(.synchronized), server.state.contains(.synchronized) else { return false }
        let more = segment.acknowledgment.distance(after: client.next)
        return more > 0 && more <= Self.window && abs(segment.sequence.distance(after: server.next)) <= Self.window
    }

    /// Goes on with a connection whose end was believed wrongly: mid-stream, and what came meanwhile is missing.
    mutating func reopen(
        _ flow: FlowHandle,
        _ segment: Segment,
        _ payload: RawSpan,
        into sink: inout some StreamSink & ~Copyable
    ) {
        let moment = Moment(time: segment.time, ordinal: segment.ordinal)
        let former = flows[flow]
        guard let ended = takeEnded(flow) else { return }
        counters.reopened += 1
        counters.flows += 1
        let lowerIsClient = former.state.contains(.lowerIsClient)
        let again = ended.reopened()
        flows[again] = Flow()
        (flows[again].key, flows[again].hash) = (former.key, former.hash)
        (flows[again].trust, flows[again].windowShift) = (former.trust, former.windowShift)
        flows[again].state = .open
        flows[again].lastSeen = segment.time
        orient(again, lowerIsClient: lowerIsClient, segment, into: &sink)
        synchronize(again, lower: lowerIsClient, at: segment.acknowledgment)
        synchronize(again, lower: !lowerIsClient, at: segment.sequence)
        let count = segment.acknowledgment.distance(after: former.client.next)
        counters.gaps += 1
        counters.gapBytes += UInt64(max(0, count))
        if sink.gap(again, from: .client, count: count, at: moment) == .drop { drop(again) }
        handle(again, segment, payload, into: &sink)
    }
}
