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
            if isAlive(flow, segment) {
                reopen(flow, segment, payload, into: &sink)
            } else if segment.announced > 0 {
                counters.retransmitted += 1
            }
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
            guard let doubt = judge(flow, segment) else { return }
            accept(flow, segment, payload, doubt, at: moment, into: &sink)
        }
        settle(flow, at: moment, into: &sink)
    }

    /// What the receiver makes of a segment, after its acknowledgment and window were noted; `nil`: nothing at all.
    private mutating func judge(_ flow: FlowHandle, _ segment: Segment) -> Doubt? {
        // Every kernel drops a segment without any of these flags (RFC 9293 §3.10.7.4).
        guard segment.flags.contains(.ack) || segment.flags.contains(.syn) else {
            counters.refused += 1
            return nil
        }
        let isClient = segment.fromLower == flows[flow].state.contains(.lowerIsClient)
        guard isClient else {
            noteServer(flow, segment)
            return Doubt.none
        }
        if segment.flags.contains(.ack) { flows[flow].claimed = segment.acknowledgment }
        let doubt = self.doubt(flow, segment)
        // Where the server is never seen, it can vouch for nothing.
        guard doubt != .checksum || flows[flow].server.state.contains(.synchronized) else { return nil }
        if doubt == .none { noteClient(flow, segment) }
        return doubt
    }

    /// Takes the payload and FIN of a segment: at once, later, or not at all.
    private mutating func accept(
        _ flow: FlowHandle,
        _ segment: Segment,
        _ payload: RawSpan,
        _ doubt: Doubt,
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
        let after = sequence &+ UInt32(announced)
        var segment = segment
        if segment.flags.contains(.urg), fromLower == flows[flow].state.contains(.lowerIsClient) {
            urge(flow, &segment, sequence, at: moment)
        }
        if announced > 0 {
            if segment.captured < segment.announced { counters.truncated += 1 }
            if abs(distance) > Self.window {
                counters.outOfWindow += 1
                guard jump(flow, fromLower, sequence, announced, at: moment, into: &sink) else { return }
            } else if distance + announced <= 0 {
                // Nothing new: a probe at next-1 (RFC 9293 §3.8.4) or a retransmission.
                if announced == 1, distance == -1 { counters.keepAlives += 1 } else { counters.retransmitted += 1 }
            } else if stream.state.contains(.finished) {
                // Behind its FIN a stream has no bytes.
                counters.outOfWindow += 1
            } else {
                if distance > 0 { counters.outOfOrder += 1 }
                if flows[flow].state.contains(.dropped) {
                    if doubt == .none { advanceDropped(flow, fromLower, to: after) }
                } else {
                    // A FIN that waits inside bytes that come in order is passed over, as its number is a byte's.
                    if doubt == .none, distance <= 0, stream.state.contains(.hasEnd),
                        after.distance(after: stream.end) > 0
                    {
                        forgetEnd(flow, lower: fromLower)
                    }
                    hold(flow, segment, sequence, payload, doubt, at: moment)
                }
            }
        }
        if segment.flags.contains(.fin), abs(distance) <= Self.window { finish(flow, fromLower, at: after, doubt) }
    }

    /// Urgent data of a client: the byte that the pointer shows is no part of the stream that PostgreSQL reads (tcp(7), RFC 6093),
    /// but where more of it comes before the server has read that byte, it is one.
    ///
    /// When that is, nobody can tell: the bytes of such segments are not known. No client of PostgreSQL sends any.
    private mutating func urge(_ flow: FlowHandle, _ segment: inout Segment, _ sequence: UInt32, at moment: Moment) {
        counters.conflicts += 1
        segment.captured = 0
        let isFirst = !flows[flow].state.contains(.urgent)
        flows[flow].state.insert(.urgent)
        // Linux counts from the byte behind it (tcp_stdurg is off).
        let place = sequence &+ UInt32(max(1, segment.urgent) &- 1)
        let distance = place.distance(after: flows[flow].client.next)
        guard distance >= 0, distance < 1 << 16, !flows[flow].state.contains(.dropped) else { return }
        let isInside = place.distance(after: sequence) < Int(segment.announced)
        guard isFirst || !isInside else { return }
        var byte = segment
        byte.announced = 1
        hold(flow, byte, place, RawSpan(), .none, at: moment, isSilent: isInside)
    }

    /// A FIN: nothing of its sender is behind it.
    private mutating func finish(_ flow: FlowHandle, _ fromLower: Bool, at end: UInt32, _ doubt: Doubt) {
        let stream = fromLower ? flows[flow].fromLower : flows[flow].fromUpper
        guard !stream.state.contains(.finished), end.distance(after: stream.next) >= 0 else { return }
        if stream.state.contains(.hasEnd) {
            // The first one that comes in order counts; one that is sure, before one that is not.
            let isSurer = doubt == .none && stream.state.contains(.endIsDoubtful)
            guard isSurer || (doubt == .none && end.distance(after: stream.end) < 0) else { return }
        }
        finish(flow, lower: fromLower, at: end, doubt == .none ? .hasEnd : [.hasEnd, .endIsDoubtful])
    }

    func finish(_ flow: FlowHandle, lower: Bool, at sequence: UInt32, _ state: Stream.State) {
        forgetEnd(flow, lower: lower)
        if lower {
            flows[flow].fromLower.end = sequence
            flows[flow].fromLower.state.formUnion(state)
        } else {
            flows[flow].fromUpper.end = sequence
            flows[flow].fromUpper.state.formUnion(state)
        }
    }

    func forgetEnd(_ flow: FlowHandle, lower: Bool) {
        let ending: Stream.State = [.hasEnd, .endIsReset, .endIsDoubtful, .finished]
        if lower {
            flows[flow].fromLower.state.subtract(ending)
        } else {
            flows[flow].fromUpper.state.subtract(ending)
        }
    }

    /// A dropped flow is only followed to see its end.
    private func advanceDropped(_ flow: FlowHandle, _ fromLower: Bool, to sequence: UInt32) {
        if fromLower { flows[flow].fromLower.next = sequence } else { flows[flow].fromUpper.next = sequence }
    }

    /// Segments far from the stream are noise, unless three in a row continue each other.
    ///
    /// Then a large part of the stream was not captured, and it goes on there; that of a client only where the server
    /// acknowledges it.
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
        let isClient = fromLower == flows[flow].state.contains(.lowerIsClient)
        if isClient, flows[flow].server.state.contains(.synchronized) {
            guard flows[flow].state.contains(.hasFarAcknowledgment),
                abs(flows[flow].farAcknowledgment.distance(after: stream.strayNext)) <= Self.window
            else { return false }
        }
        release(flow, lower: fromLower)
        counters.gaps += 1
        synchronize(flow, lower: fromLower, at: sequence)
        let side: Direction = isClient ? .client : .server
        if sink.gap(flow, from: side, count: Int(Int32.max), at: moment) == .drop { drop(flow) }
        return false
    }
}
