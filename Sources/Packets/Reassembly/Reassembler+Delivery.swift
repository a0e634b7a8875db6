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
        let (client, server) = (flows[flow].client.state, flows[flow].server.state)
        let isReset = client.contains([.finished, .endIsReset])
        // Not if the server spoke after the last bytes and did not acknowledge them.
        let last = flows[flow].client
        if isReset, last.acknowledged.distance(after: flows[flow].spoken) >= 0 { sink.reset(flow, at: moment) }
        if isReset || server.contains([.finished, .endIsReset])
            || (client.contains(.finished) && server.contains(.finished))
        {
            keep(conclude(flow, at: moment, into: &sink))
        }
    }

    /// Delivers everything that is held, with gaps where bytes never came: the connection is over.
    ///
    /// What the server may have refused comes too, if it is next: it may have run. Not what has a wrong checksum.
    mutating func flush(_ flow: FlowHandle, at moment: Moment, into sink: inout some StreamSink & ~Copyable) {
        deliverAll(flow, into: &sink)
        while true {
            if let lower = missing(flow, isEnding: true) {
                giveUp(flow, lower: lower, at: moment, into: &sink)
            } else if !deliverUnproven(flow, into: &sink) {
                return
            }
            deliverAll(flow, into: &sink)
        }
    }

    private mutating func deliverAll(_ flow: FlowHandle, into sink: inout some StreamSink & ~Copyable) {
        var progress = true
        while progress {
            progress = deliverHeld(flow, lower: true, into: &sink)
            progress = deliverHeld(flow, lower: false, into: &sink) || progress
            // What acknowledges a FIN waits for that too.
            progress = markFinished(flow, lower: true) || progress
            progress = markFinished(flow, lower: false) || progress
        }
    }

    /// Delivers the held segments of one direction that are next, whose acknowledged bytes were seen, and that the
    /// receiver is sure to have taken.
    private mutating func deliverHeld(
        _ flow: FlowHandle,
        lower: Bool,
        into sink: inout some StreamSink & ~Copyable
    ) -> Bool {
        var progress = false
        while true {
            let stream = lower ? flows[flow].fromLower : flows[flow].fromUpper
            let peer = lower ? flows[flow].fromUpper : flows[flow].fromLower
            guard stream.held >= 0 else { return progress }
            guard held[stream.held].sequence.distance(after: stream.next) <= 0 else { return progress }
            let isNew = held[stream.held].end.distance(after: stream.next) > 0
            guard !isNew || (isTaken(held[stream.held], of: stream) && !isAhead(held[stream.held], of: peer)) else {
                return progress
            }
            progress = true
            deliverFirst(flow, stream, lower: lower, into: &sink)
        }
    }

    /// At a connection's end: what is next in the client's stream but was not proven to be taken; false if nothing is.
    private mutating func deliverUnproven(_ flow: FlowHandle, into sink: inout some StreamSink & ~Copyable) -> Bool {
        let lower = flows[flow].state.contains(.lowerIsClient)
        let stream = flows[flow].client
        guard flows[flow].state.contains(.oriented), stream.held >= 0,
            held[stream.held].sequence.distance(after: stream.next) <= 0
        else { return false }
        if held[stream.held].doubt == .checksum {
            if let refused = unlinkFirst(flow, lower: lower) { pool.give(refused.block) }
        } else {
            deliverFirst(flow, stream, lower: lower, into: &sink)
        }
        return true
    }

    /// Delivers the first held segment, but nothing behind a FIN.
    private mutating func deliverFirst(
        _ flow: FlowHandle,
        _ stream: Stream,
        lower: Bool,
        into sink: inout some StreamSink & ~Copyable
    ) {
        guard var segment = unlinkFirst(flow, lower: lower) else { return }
        if stream.state.contains(.finished) {
            segment.announced = 0
        } else if stream.state.contains(.hasEnd), !stream.state.contains(.endIsReset) {
            let most = stream.end.distance(after: segment.sequence)
            if most >= 0, stream.end.distance(after: stream.next) >= 0, most < Int(segment.announced) {
                segment.announced = Int32(truncatingIfNeeded: most)
                segment.captured = min(segment.captured, segment.announced)
            }
        }
        deliver(flow, segment, stream.next, lower: lower, into: &sink)
        pool.give(segment.block)
    }

    /// Whether the receiver took a segment: there is no doubt, or it acknowledged all of it.
    ///
    /// That bytes came which the segment acknowledged is no proof: they may have been sent after it.
    private func isTaken(_ segment: HeldSegment, of stream: Stream) -> Bool {
        segment.doubt == .none || stream.acknowledged.distance(after: segment.end) >= 0
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
        let after = segment.end
        if lower { flows[flow].fromLower.next = after } else { flows[flow].fromUpper.next = after }
        guard !segment.isSilent else { return }
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

    /// Ends a stream that has come to its FIN or RST; true when it did now.
    private mutating func markFinished(_ flow: FlowHandle, lower: Bool) -> Bool {
        var stream = lower ? flows[flow].fromLower : flows[flow].fromUpper
        guard stream.state.contains(.hasEnd), !stream.state.contains(.finished) else { return false }
        let past = stream.next.distance(after: stream.end)
        guard past >= 0 || flows[flow].state.contains(.dropped) else { return false }
        if past > 0, !stream.state.contains(.endIsReset), !flows[flow].state.contains(.dropped) {
            // Bytes came in its place.
            forgetEnd(flow, lower: lower)
            return false
        }
        // A FIN takes a sequence number of its own (RFC 9293 §3.4).
        let after = stream.state.contains(.endIsReset) ? stream.end : stream.end &+ 1
        if stream.state.contains(.endIsDoubtful) {
            guard stream.acknowledged.distance(after: after) >= 0 else { return false }
        }
        stream.state.insert(.finished)
        stream.next = after
        if lower { flows[flow].fromLower = stream } else { flows[flow].fromUpper = stream }
        return true
    }

    /// Whether one direction lacks bytes that are known to exist.
    ///
    /// Of a client's, only the server's word counts while the server is seen: what is held may never have come there, or
    /// never be needed. When the connection is over, all that was held counts.
    private func lacks(_ flow: FlowHandle, lower: Bool, isEnding: Bool) -> Bool {
        let stream = lower ? flows[flow].fromLower : flows[flow].fromUpper
        let peer = lower ? flows[flow].fromUpper : flows[flow].fromLower
        guard stream.state.contains(.synchronized), !stream.state.contains(.finished) else { return false }
        let isClient = lower == flows[flow].state.contains(.lowerIsClient)
        let isVouched = isClient && peer.state.contains(.synchronized)
        if isClient, stream.acknowledged.distance(after: stream.next) > 0 {
            // Not if the next bytes are there and only wait for the other side.
            let isNext = stream.held >= 0 && held[stream.held].sequence.distance(after: stream.next) <= 0
            return !isNext || !isTaken(held[stream.held], of: stream)
        }
        if !isVouched || isEnding, holeEnd(stream) != nil { return true }
        guard !isClient else { return peer.held >= 0 && isAhead(held[peer.held], of: stream) }
        // A client may acknowledge what was never sent; if the server took what says so, it was sent.
        guard peer.held >= 0, isAhead(held[peer.held], of: stream) else { return false }
        return held[peer.held].sequence.distance(after: peer.next) <= 0
            && peer.acknowledged.distance(after: held[peer.held].end) >= 0
    }

    /// Where the bytes begin that are held behind missing ones and were not likely refused; `nil` if none are missing.
    private func holeEnd(_ stream: Stream) -> UInt32? {
        var entry = stream.held
        while entry >= 0, held[entry].doubt > .possible, !isTaken(held[entry], of: stream) { entry = held[entry].next }
        guard entry >= 0, held[entry].sequence.distance(after: stream.next) > 0 else { return nil }
        return held[entry].sequence
    }

    /// A direction that lacks bytes: the one that blocks the earliest packet, so that giving up keeps the order.
    private func missing(_ flow: FlowHandle, isEnding: Bool = false) -> Bool? {
        guard flows[flow].state.contains(.oriented), !flows[flow].state.contains(.dropped) else { return nil }
        let (lower, upper) = (flows[flow].fromLower, flows[flow].fromUpper)
        switch (lacks(flow, lower: true, isEnding: isEnding), lacks(flow, lower: false, isEnding: isEnding)) {
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
        for side in [true, false] {
            let stream = side ? flows[flow].fromLower : flows[flow].fromUpper
            if Int(stream.heldBytes) > limits.heldBytesPerStream, lacks(flow, lower: side, isEnding: true) {
                return side
            }
        }
        guard let lower = missing(flow) else { return nil }
        for turn in 0..<2 {
            let side = turn == 0 ? lower : !lower
            let stream = side ? flows[flow].fromLower : flows[flow].fromUpper
            guard lacks(flow, lower: side, isEnding: false) else { continue }
            let waited = stream.waitCount == 0 ? 0 : moment.time.nanoseconds(since: stream.waitSince)
            let isClient = side == flows[flow].state.contains(.lowerIsClient)
            let told = isClient ? stream.acknowledged : flows[flow].claimed
            let isAcknowledged = told.distance(after: stream.next) > 0
            if stream.waitCount >= 8, waited >= (isAcknowledged ? Self.lateness : 10 * Self.lateness) { return side }
            if stream.waitCount >= limits.patience { return side }
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
        let isClient = lower == flows[flow].state.contains(.lowerIsClient)
        // Up to what is held, or to what the other side has seen.
        var count = holeEnd(stream)?.distance(after: stream.next) ?? 0
        let told = stream.acknowledged.distance(after: stream.next)
        if isClient, told > 0 { count = count > 0 ? min(count, told) : told }
        if count == 0, peer.held >= 0, isAhead(held[peer.held], of: stream) {
            count = held[peer.held].acknowledgment.distance(after: stream.next)
        }
        if stream.state.contains(.hasEnd) { count = min(count, max(1, stream.end.distance(after: stream.next))) }
        count = max(count, 1)
        let after = stream.next &+ UInt32(count)
        if lower { flows[flow].fromLower.next = after } else { flows[flow].fromUpper.next = after }
        counters.gaps += 1
        counters.gapBytes += UInt64(count)
        let side: Direction = isClient ? .client : .server
        if sink.gap(flow, from: side, count: count, at: moment) == .drop { drop(flow) }
    }

    /// Keeps the count and the clock of each direction that lacks bytes, and whether the fast path may be taken.
    private func noteWaiting(_ flow: FlowHandle) {
        let lacksLower = lacks(flow, lower: true, isEnding: false)
        let lacksUpper = lacks(flow, lower: false, isEnding: false)
        flows[flow].fromLower.note(lacksLower, at: flows[flow].lastSeen)
        flows[flow].fromUpper.note(lacksUpper, at: flows[flow].lastSeen)
        if flows[flow].server.held < 0 { flows[flow].serverSeen = flows[flow].server.next }
        if lacksLower || lacksUpper || flows[flow].fromLower.held >= 0 || flows[flow].fromUpper.held >= 0 {
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
