// SPDX-License-Identifier: Apache-2.0
import Domain

extension Reassembler {
    /// Any segment of a known connection; the way for all that is not simply next.
    mutating func handle(
        _ flow: FlowHandle,
        _ segment: Segment,
        _ payload: RawSpan,
        into sink: inout some StreamSink & ~Copyable
    ) {
        let moment = Moment(time: segment.time, ordinal: segment.ordinal)
        if segment.flags.contains(.syn) {
            guard handshake(flow, segment, payload, into: &sink) else { return }
        } else if isAnswer(segment, to: flow) {
            replace(flow, segment, payload, into: &sink)
            return
        }
        guard !flows[flow].state.contains(.closed) else {
            if segment.announced > 0 { counters.retransmitted += 1 }
            return
        }
        if !flows[flow].state.contains(.oriented) {
            guard let fromClient = isFromClient(segment, payload, sink) else { return }
            orient(flow, lowerIsClient: fromClient == segment.fromLower, segment, into: &sink)
        }
        flows[flow].lastSeen = segment.time
        if segment.flags.contains(.rst) {
            guard reset(flow, segment) else {
                counters.outOfWindow += 1
                return
            }
        } else {
            acknowledge(flow, segment)
            accept(flow, segment, payload, at: moment, into: &sink)
        }
        settle(flow, at: moment, into: &sink)
    }

    /// Whether `segment` belongs to the connection that a SYN on this flow's ports announced.
    private func isAnswer(_ segment: Segment, to flow: FlowHandle) -> Bool {
        guard flows[flow].state.contains(.hasCandidate), !segment.flags.contains(.rst) else { return false }
        let fromClient = segment.fromLower == flows[flow].state.contains(.lowerIsClient)
        return fromClient && segment.announced > 0 && segment.sequence == flows[flow].candidate &+ 1
    }

    /// A SYN; false when it was only remembered.
    ///
    /// A SYN inside a live connection ends that connection only once the server agreed (RFC 9293 §3.10.7.4: a receiver
    /// answers it with a challenge).
    private mutating func handshake(
        _ flow: FlowHandle,
        _ segment: Segment,
        _ payload: RawSpan,
        into sink: inout some StreamSink & ~Copyable
    ) -> Bool {
        let isFirst = segment.flags.contains(.ack)
        let fromLower = segment.fromLower
        let stream = fromLower ? flows[flow].fromLower : flows[flow].fromUpper
        let isClosed = flows[flow].state.contains(.closed)
        if isFirst {
            // SYN-ACK: of the candidate, of this connection, or a copy.
            if flows[flow].state.contains(.hasCandidate), segment.acknowledgment == flows[flow].candidate &+ 1 {
                let candidate = flows[flow].candidate
                replace(flow, segment, payload, into: &sink)
                synchronize(flow, lower: !fromLower, at: candidate &+ 1)
                return false
            }
            guard !isClosed else { return false }
            if !stream.state.contains(.synchronized) {
                synchronize(flow, lower: fromLower, at: segment.sequence &+ 1)
                let peer = fromLower ? flows[flow].fromUpper : flows[flow].fromLower
                if !peer.state.contains(.synchronized), segment.flags.contains(.ack) {
                    flows[flow].state.insert(.hasSYN)
                }
            }
            return segment.announced > 0
        }
        if !stream.state.contains(.synchronized), !isClosed {
            synchronize(flow, lower: fromLower, at: segment.sequence &+ 1)
            return segment.announced > 0
        }
        if isClosed {
            // A connection that is made anew on the same ports begins ahead of the old one's end (RFC 6528, RFC 6191); one
            // that begins a little behind it is the old one again, whole, as a second tap saw it.
            let behind = stream.next.distance(after: segment.sequence &+ 1)
            let isCopy = stream.state.contains(.synchronized) && behind >= 0 && behind < Self.shortStream
            if !isCopy { replace(flow, segment, payload, into: &sink) }
            return false
        }
        let isCopy =
            stream.next.distance(after: segment.sequence &+ 1) >= 0
            && stream.next.distance(after: segment.sequence &+ 1) < Self.window && flows[flow].state.contains(.hasSYN)
            && !flows[flow].state.contains(.hasCandidate) && stream.next == segment.sequence &+ 1
        guard !isCopy else { return false }
        flows[flow].candidate = segment.sequence
        flows[flow].state.insert(.hasCandidate)
        return false
    }

    private func synchronize(_ flow: FlowHandle, lower: Bool, at sequence: UInt32) {
        if lower {
            flows[flow].fromLower.next = sequence
            flows[flow].fromLower.state.insert(.synchronized)
        } else {
            flows[flow].fromUpper.next = sequence
            flows[flow].fromUpper.state.insert(.synchronized)
        }
    }

    /// Whether a receiver would take this RST: at the next expected byte, or behind bytes still to come (RFC 5961
    /// §3.2).
    ///
    /// Out-of-window resets are somebody's noise.
    private func reset(_ flow: FlowHandle, _ segment: Segment) -> Bool {
        let fromLower = segment.fromLower
        let stream = fromLower ? flows[flow].fromLower : flows[flow].fromUpper
        let peer = fromLower ? flows[flow].fromUpper : flows[flow].fromLower
        guard stream.state.contains(.synchronized) else {
            // The answer to a SYN at a closed port has no sequence number of its own.
            guard segment.flags.contains(.ack), peer.state.contains(.synchronized) else { return false }
            guard segment.acknowledgment == peer.next else { return false }
            finish(flow, lower: fromLower, at: stream.next, isReset: true)
            if fromLower {
                flows[flow].fromLower.state.insert(.synchronized)
            } else {
                flows[flow].fromUpper.state.insert(.synchronized)
            }
            return true
        }
        let distance = segment.sequence.distance(after: stream.next)
        let isAfterEnd = stream.state.contains(.finished) && distance >= -1 && distance <= 0
        guard distance == 0 || isAfterEnd || (distance > 0 && distance < 1 << 20 && isExpected(segment, stream)) else {
            return false
        }
        finish(flow, lower: fromLower, at: distance < 0 ? stream.next : segment.sequence, isReset: true)
        return true
    }

    /// Whether bytes up to an RST ahead of the stream are known to exist: held, or acknowledged.
    private func isExpected(_ segment: Segment, _ stream: Stream) -> Bool {
        if stream.state.contains(.hasAcknowledged), stream.acknowledged.distance(after: segment.sequence) >= 0 {
            return true
        }
        var entry = stream.held
        while entry >= 0 {
            let end = held[entry].sequence &+ UInt32(bitPattern: held[entry].announced)
            if end == segment.sequence { return true }
            entry = held[entry].next
        }
        return false
    }

    private func finish(_ flow: FlowHandle, lower: Bool, at sequence: UInt32, isReset: Bool) {
        let state: Stream.State = isReset ? [.hasEnd, .endIsReset] : [.hasEnd]
        if lower {
            flows[flow].fromLower.end = sequence
            flows[flow].fromLower.state.formUnion(state)
        } else {
            flows[flow].fromUpper.end = sequence
            flows[flow].fromUpper.state.formUnion(state)
        }
    }

    /// Notes how far the sender has acknowledged the other side.
    private func acknowledge(_ flow: FlowHandle, _ segment: Segment) {
        guard segment.flags.contains(.ack) else { return }
        let fromLower = segment.fromLower
        var peer = fromLower ? flows[flow].fromUpper : flows[flow].fromLower
        guard peer.state.contains(.synchronized) else { return }
        let ahead = segment.acknowledgment.distance(after: peer.next)
        guard ahead > 0, ahead < Self.window else { return }
        if peer.state.contains(.hasAcknowledged), segment.acknowledgment.distance(after: peer.acknowledged) <= 0 {
            return
        }
        peer.acknowledged = segment.acknowledgment
        peer.state.insert(.hasAcknowledged)
        if fromLower { flows[flow].fromUpper = peer } else { flows[flow].fromLower = peer }
    }

    /// Takes the payload and FIN of a segment: at once, later, or not at all.
    private mutating func accept(
        _ flow: FlowHandle,
        _ segment: Segment,
        _ payload: RawSpan,
        at moment: Moment,
        into sink: inout some StreamSink & ~Copyable
    ) {
        let fromLower = segment.fromLower
        let announced = Int(segment.announced)
        let sequence = segment.flags.contains(.syn) ? segment.sequence &+ 1 : segment.sequence
        var stream = fromLower ? flows[flow].fromLower : flows[flow].fromUpper
        if !stream.state.contains(.synchronized) {
            guard announced > 0 || segment.flags.contains(.fin) else { return }
            synchronize(flow, lower: fromLower, at: sequence)
            stream = fromLower ? flows[flow].fromLower : flows[flow].fromUpper
        }
        let distance = sequence.distance(after: stream.next)
        if announced > 0 {
            if segment.captured < segment.announced { counters.truncated += 1 }
            if abs(distance) > Self.window {
                counters.outOfWindow += 1
                guard jump(flow, fromLower, sequence, announced, at: moment, into: &sink) else { return }
            } else if distance + announced <= 0 {
                // Nothing new: a probe at next-1 (RFC 9293 §3.8.4) or a retransmission.
                if announced == 1, distance == -1 { counters.keepAlives += 1 } else { counters.retransmitted += 1 }
            } else {
                if distance > 0 { counters.outOfOrder += 1 }
                if !flows[flow].state.contains(.dropped) {
                    hold(flow, segment, sequence, payload, at: moment)
                } else {
                    advanceDropped(flow, fromLower, to: sequence &+ UInt32(announced))
                }
            }
        }
        if segment.flags.contains(.fin), abs(distance) <= Self.window {
            let end = sequence &+ UInt32(announced)
            if end.distance(after: stream.next) >= 0, !stream.state.contains(.finished) {
                finish(flow, lower: fromLower, at: end, isReset: false)
            }
        }
    }

    /// A dropped flow is only followed to see its end.
    private func advanceDropped(_ flow: FlowHandle, _ fromLower: Bool, to sequence: UInt32) {
        if fromLower { flows[flow].fromLower.next = sequence } else { flows[flow].fromUpper.next = sequence }
    }

    /// Segments far from the stream are noise, unless three in a row continue each other: then a large part of the
    /// stream was not captured, and it goes on there.
    private mutating func jump(
        _ flow: FlowHandle,
        _ fromLower: Bool,
        _ sequence: UInt32,
        _ announced: Int,
        at moment: Moment,
        into sink: inout some StreamSink & ~Copyable
    ) -> Bool {
        var stream = fromLower ? flows[flow].fromLower : flows[flow].fromUpper
        stream.strayCount = stream.strayNext == sequence && stream.strayCount < 255 ? stream.strayCount + 1 : 1
        stream.strayNext = sequence &+ UInt32(announced)
        if fromLower { flows[flow].fromLower = stream } else { flows[flow].fromUpper = stream }
        guard stream.strayCount >= 3 else { return false }
        release(flow, lower: fromLower)
        let side: Direction = fromLower == flows[flow].state.contains(.lowerIsClient) ? .client : .server
        counters.gaps += 1
        advanceDropped(flow, fromLower, to: sequence)
        if sink.gap(flow, from: side, count: Int(Int32.max), at: moment) == .drop { drop(flow) }
        return false
    }
}
