// SPDX-License-Identifier: Apache-2.0
import Domain

extension Reassembler {
    /// After a segment: delivers what can be delivered, gives up what waited too long, notices the end.
    mutating func settle(_ flow: FlowHandle, at moment: Moment, into sink: inout some StreamSink & ~Copyable) {
        deliverAll(flow, into: &sink)
        while let lower = overdue(flow, at: moment) {
            giveUp(flow, lower: lower, at: moment, into: &sink)
            deliverAll(flow, into: &sink)
        }
        noteWaiting(flow)
        let ends = (flows[flow].fromLower.state, flows[flow].fromUpper.state)
        let isReset = ends.0.contains([.finished, .endIsReset]) || ends.1.contains([.finished, .endIsReset])
        if isReset || (ends.0.contains(.finished) && ends.1.contains(.finished)) {
            keep(conclude(flow, at: moment, into: &sink))
        }
    }

    /// Delivers everything that is held, with gaps where bytes never came: the connection is over.
    mutating func flush(_ flow: FlowHandle, at moment: Moment, into sink: inout some StreamSink & ~Copyable) {
        deliverAll(flow, into: &sink)
        while let lower = missing(flow) {
            giveUp(flow, lower: lower, at: moment, into: &sink)
            deliverAll(flow, into: &sink)
        }
    }

    private mutating func deliverAll(_ flow: FlowHandle, into sink: inout some StreamSink & ~Copyable) {
        var progress = true
        while progress {
            progress = deliverHeld(flow, lower: true, into: &sink)
            progress = deliverHeld(flow, lower: false, into: &sink) || progress
        }
        markFinished(flow, lower: true)
        markFinished(flow, lower: false)
    }

    /// Delivers the held segments of one direction that are next and whose acknowledged bytes were seen.
    private mutating func deliverHeld(
        _ flow: FlowHandle,
        lower: Bool,
        into sink: inout some StreamSink & ~Copyable
    ) -> Bool {
        var progress = false
        while true {
            let stream = lower ? flows[flow].fromLower : flows[flow].fromUpper
            guard stream.held >= 0 else { return progress }
            guard held[stream.held].sequence.distance(after: stream.next) <= 0 else { return progress }
            guard !isAhead(held[stream.held], of: lower ? flows[flow].fromUpper : flows[flow].fromLower) else {
                return progress
            }
            guard let segment = unlinkFirst(flow, lower: lower) else { return progress }
            progress = true
            deliver(flow, segment, stream.next, lower: lower, into: &sink)
            pool.give(segment.block)
        }
    }

    /// Whether a segment acknowledges bytes of the other side that were not delivered yet.
    private func isAhead(_ segment: HeldSegment, of peer: Stream) -> Bool {
        guard segment.hasAcknowledgment, peer.state.contains(.synchronized) else { return false }
        let ahead = segment.acknowledgment.distance(after: peer.next)
        return ahead > 0 && ahead < Self.window
    }

    private mutating func deliver(
        _ flow: FlowHandle,
        _ segment: HeldSegment,
        _ next: UInt32,
        lower: Bool,
        into sink: inout some StreamSink & ~Copyable
    ) {
        let old = next.distance(after: segment.sequence)
        let announced = Int(segment.announced)
        guard old < announced else { return }
        let after = segment.sequence &+ UInt32(announced)
        if lower { flows[flow].fromLower.next = after } else { flows[flow].fromUpper.next = after }
        let side: Direction = lower == flows[flow].state.contains(.lowerIsClient) ? .client : .server
        let captured = Int(segment.captured)
        if captured > old {
            let block = segment.block
            if sink.bytes(flow, from: side, block.bytes(old..<captured), at: segment.moment) == .drop {
                drop(flow)
                return
            }
        }
        let missing = announced - max(captured, old)
        if missing > 0 {
            counters.gaps += 1
            counters.gapBytes += UInt64(missing)
            if sink.gap(flow, from: side, count: missing, at: segment.moment) == .drop { drop(flow) }
        }
    }

    private func markFinished(_ flow: FlowHandle, lower: Bool) {
        let stream = lower ? flows[flow].fromLower : flows[flow].fromUpper
        guard stream.state.contains(.hasEnd), !stream.state.contains(.finished) else { return }
        guard stream.next.distance(after: stream.end) >= 0 || flows[flow].state.contains(.dropped) else { return }
        // A FIN takes a sequence number of its own (RFC 9293 §3.4).
        let after = stream.end &+ 1
        if lower {
            flows[flow].fromLower.state.insert(.finished)
            flows[flow].fromLower.next = after
        } else {
            flows[flow].fromUpper.state.insert(.finished)
            flows[flow].fromUpper.next = after
        }
    }

    /// Whether one direction lacks bytes that are known to exist.
    private func lacks(_ stream: Stream, _ peer: Stream) -> Bool {
        guard stream.state.contains(.synchronized), !stream.state.contains(.finished) else { return false }
        if stream.held >= 0, held[stream.held].sequence.distance(after: stream.next) > 0 { return true }
        if stream.state.contains(.hasAcknowledged), stream.acknowledged.distance(after: stream.next) > 0 { return true }
        return peer.held >= 0 && isAhead(held[peer.held], of: stream)
    }

    /// A direction that lacks bytes: the one that blocks the earliest packet, so that giving up keeps the order.
    private func missing(_ flow: FlowHandle) -> Bool? {
        guard flows[flow].state.contains(.oriented), !flows[flow].state.contains(.dropped) else { return nil }
        let (lower, upper) = (flows[flow].fromLower, flows[flow].fromUpper)
        switch (lacks(lower, upper), lacks(upper, lower)) {
        case (false, false): return nil
        case (true, false): return true
        case (false, true): return false
        case (true, true):
            let first = lower.held < 0 ? UInt64.max : held[lower.held].moment.ordinal
            let second = upper.held < 0 ? UInt64.max : held[upper.held].moment.ordinal
            // The earliest packet waits for its own stream, or for the other one that it acknowledges.
            let isLower = first <= second
            let stream = isLower ? lower : upper
            guard stream.held >= 0 else { return isLower }
            let hasHole = held[stream.held].sequence.distance(after: stream.next) > 0
            return hasHole ? isLower : !isLower
        }
    }

    /// A direction that has waited for longer than a late packet can take.
    private func overdue(_ flow: FlowHandle, at moment: Moment) -> Bool? {
        guard let lower = missing(flow) else { return nil }
        for turn in 0..<2 {
            let side = turn == 0 ? lower : !lower
            let stream = side ? flows[flow].fromLower : flows[flow].fromUpper
            guard lacks(stream, side ? flows[flow].fromUpper : flows[flow].fromLower) else { continue }
            let waited = stream.waitCount == 0 ? 0 : moment.time.nanoseconds(since: stream.waitSince)
            let isAcknowledged =
                stream.state.contains(.hasAcknowledged) && stream.acknowledged.distance(after: stream.next) > 0
            if stream.waitCount >= 8, waited >= (isAcknowledged ? Self.lateness : 10 * Self.lateness) { return side }
            if stream.waitCount >= limits.patience { return side }
            if Int(stream.heldBytes) > limits.heldBytesPerStream { return side }
        }
        return nil
    }

    /// Declares the missing bytes of one direction lost, up to the first byte known to follow.
    private mutating func giveUp(
        _ flow: FlowHandle,
        lower: Bool,
        at moment: Moment,
        into sink: inout some StreamSink & ~Copyable
    ) {
        let stream = lower ? flows[flow].fromLower : flows[flow].fromUpper
        let peer = lower ? flows[flow].fromUpper : flows[flow].fromLower
        var count = 0
        if stream.held >= 0 {
            count = max(0, held[stream.held].sequence.distance(after: stream.next))
        }
        if count == 0 {
            // The first held segment waits for the other side, or nothing is held: the other side's word counts.
            if stream.state.contains(.hasAcknowledged) { count = stream.acknowledged.distance(after: stream.next) }
            if peer.held >= 0, isAhead(held[peer.held], of: stream) {
                let told = held[peer.held].acknowledgment.distance(after: stream.next)
                count = count > 0 ? min(count, told) : told
            }
        }
        if stream.state.contains(.hasEnd) { count = min(count, max(1, stream.end.distance(after: stream.next))) }
        count = max(count, 1)
        let after = stream.next &+ UInt32(count)
        if lower { flows[flow].fromLower.next = after } else { flows[flow].fromUpper.next = after }
        counters.gaps += 1
        counters.gapBytes += UInt64(count)
        let side: Direction = lower == flows[flow].state.contains(.lowerIsClient) ? .client : .server
        if sink.gap(flow, from: side, count: count, at: moment) == .drop { drop(flow) }
    }

    /// Keeps the count and the clock of each direction that lacks bytes, and whether the fast path may be taken.
    private func noteWaiting(_ flow: FlowHandle) {
        let (lower, upper) = (flows[flow].fromLower, flows[flow].fromUpper)
        let lacks = (lower: lacks(lower, upper), upper: lacks(upper, lower))
        flows[flow].fromLower.note(lacks.lower, at: flows[flow].lastSeen)
        flows[flow].fromUpper.note(lacks.upper, at: flows[flow].lastSeen)
        if lacks.lower || lacks.upper || lower.held >= 0 || upper.held >= 0 {
            flows[flow].state.insert(.waiting)
        } else {
            flows[flow].state.remove(.waiting)
        }
    }
}

extension Stream {
    /// One more segment of the flow passed while this stream waited, or it waits no more.
    fileprivate mutating func note(_ isWaiting: Bool, at time: Timestamp) {
        guard isWaiting else {
            waitCount = 0
            return
        }
        if waitCount == 0 || waitingAt != next {
            waitCount = 1
            waitSince = time
            waitingAt = next
        } else if waitCount < .max {
            waitCount += 1
        }
    }
}
