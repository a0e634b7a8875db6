// SPDX-License-Identifier: Apache-2.0
import Domain

extension Reassembler {
    /// Keeps the parts of a segment for which no better bytes are held yet, in order of sequence numbers.
    ///
    /// Of different bytes for one place, Linux delivers those of the segment that begins first: what comes in order, before
    /// what it holds; of what it holds, the lower one (`tcp_data_queue_ofo`, `tcp_ofo_queue`). But it joins segments that touch,
    /// or not, so that nobody can tell where they begin: then the bytes are missing.
    mutating func hold(
        _ flow: FlowHandle,
        _ segment: Segment,
        _ sequence: UInt32,
        _ payload: RawSpan,
        _ doubt: Doubt,
        at moment: Moment,
        isSilent: Bool = false
    ) {
        let fromLower = segment.fromLower
        let announced = Int(segment.announced)
        let captured = min(Int(segment.captured), payload.byteCount)
        let isNext = sequence.distance(after: (fromLower ? flows[flow].fromLower : flows[flow].fromUpper).next) <= 0
        var differs = displace(flow, segment, sequence, payload, 0..<announced, captured, doubt)
        let stream = fromLower ? flows[flow].fromLower : flows[flow].fromUpper
        let isAcknowledged = stream.acknowledged.distance(after: stream.next) > 0
        var place = max(0, stream.next.distance(after: sequence))  // how much of the segment is placed already
        // Whether all that is held from here on begins behind the segment's first byte, and is not joined to anything before.
        var isApart = false
        var previous: Int32 = -1
        var current = stream.held
        while place < announced {
            let start = current < 0 ? announced : held[current].sequence.distance(after: sequence)
            if start > place {
                let part = place..<min(start, announced)
                guard let new = keep(segment, sequence, payload, part, at: moment) else {
                    counters.overBudget += 1
                    return
                }
                held[new].doubt = doubt
                held[new].isSilent = isSilent
                held[new].next = current
                link(new, after: previous, flow, fromLower)
                previous = new
                isApart = true
                place = part.upperBound
            }
            guard current >= 0, place < announced else { break }
            let end = start + Int(held[current].announced)
            if end > place {
                let part = place..<min(end, announced)
                if let offset = difference(current, start, payload, part, captured) {
                    differs = true
                    if doubt == .none, held[current].doubt == .none, !isAcknowledged {
                        if isNext || isApart {
                            replace(current, start, payload, place..<max(place, min(end, announced, captured)))
                        } else if start == 0 ? end < announced : start > 0 {
                            held[current].captured = Int32(truncatingIfNeeded: offset)
                        }
                    } else if doubt <= max(.possible, held[current].doubt) {
                        held[current].captured = Int32(truncatingIfNeeded: offset)
                        held[current].doubt = min(held[current].doubt, doubt)
                    }
                } else if start >= 0, end <= announced {
                    confirm(current, segment, doubt)
                }
                place = end
            }
            previous = current
            current = held[current].next
        }
        if differs { counters.conflicts += 1 }
    }

    private mutating func keep(
        _ segment: Segment,
        _ sequence: UInt32,
        _ payload: RawSpan,
        _ part: Range<Int>,
        at moment: Moment
    ) -> Int32? {
        guard let entry = held.take() else { return nil }
        let captured = part.clamped(to: 0..<max(0, min(Int(segment.captured), payload.byteCount)))
        var block = Block.none
        if !captured.isEmpty {
            guard let room = pool.take(captured.count) else {
                held.give(entry)
                return nil
            }
            room.store(payload.extracting(captured), at: 0)
            block = room
        }
        held[entry].sequence = sequence &+ UInt32(part.lowerBound)
        held[entry].acknowledgment = segment.acknowledgment
        held[entry].hasAcknowledgment = segment.flags.contains(.ack)
        held[entry].announced = Int32(clamping: part.count)
        held[entry].captured = Int32(clamping: captured.count)
        held[entry].block = block
        held[entry].moment = moment
        return entry
    }

    private func link(_ entry: Int32, after previous: Int32, _ flow: FlowHandle, _ fromLower: Bool) {
        if previous >= 0 {
            held[previous].next = entry
        } else if fromLower {
            flows[flow].fromLower.held = entry
        } else {
            flows[flow].fromUpper.held = entry
        }
        grow(flow, fromLower, by: held[entry].announced)
    }

    private func grow(_ flow: FlowHandle, _ fromLower: Bool, by count: Int32) {
        if fromLower { flows[flow].fromLower.heldBytes &+= count } else { flows[flow].fromUpper.heldBytes &+= count }
    }

    /// Makes room for a segment where others are held that are less sure to be taken; whether bytes of them differ.
    private mutating func displace(
        _ flow: FlowHandle,
        _ segment: Segment,
        _ sequence: UInt32,
        _ payload: RawSpan,
        _ range: Range<Int>,
        _ captured: Int,
        _ doubt: Doubt
    ) -> Bool {
        let fromLower = segment.fromLower
        var differs = false
        var previous: Int32 = -1
        var current = fromLower ? flows[flow].fromLower.held : flows[flow].fromUpper.held
        while current >= 0 {
            let start = held[current].sequence.distance(after: sequence)
            let end = start + Int(held[current].announced)
            guard start < range.upperBound else { return differs }
            guard end > 0, held[current].doubt > max(.possible, doubt) else {
                (previous, current) = (current, held[current].next)
                continue
            }
            if start < 0 {
                // Its first part stays; the rest is looked at next.
                split(current, at: -start, flow, fromLower)
                (previous, current) = (current, held[current].next)
                continue
            }
            if end > range.upperBound { split(current, at: range.upperBound - start, flow, fromLower) }
            let part = start..<start + Int(held[current].announced)
            let next = held[current].next
            if difference(current, start, payload, part, captured) != nil {
                differs = true
                unlink(current, after: previous, flow, fromLower)
            } else if part.upperBound <= captured, held[current].captured == held[current].announced {
                confirm(current, segment, doubt)
                previous = current
            } else {
                unlink(current, after: previous, flow, fromLower)
            }
            current = next
        }
        return differs
    }

    /// The same bytes came again: it was the earlier one of both acknowledgments that they waited for.
    private func confirm(_ entry: Int32, _ segment: Segment, _ doubt: Doubt) {
        held[entry].doubt = min(held[entry].doubt, doubt)
        guard segment.flags.contains(.ack) else { return }
        if !held[entry].hasAcknowledgment || segment.acknowledgment.distance(after: held[entry].acknowledgment) < 0 {
            held[entry].acknowledgment = segment.acknowledgment
            held[entry].hasAcknowledgment = true
        }
    }

    /// Makes two of a held segment, the first one of so many bytes; without room the second one is forgotten, which becomes
    /// a gap should the server acknowledge it.
    private mutating func split(_ entry: Int32, at count: Int, _ flow: FlowHandle, _ fromLower: Bool) {
        let whole = held[entry]
        let cut = Int32(truncatingIfNeeded: count)
        held[entry].announced = cut
        held[entry].captured = min(whole.captured, cut)
        let rest = max(0, Int(whole.captured) - count)
        var block = Block.none
        if rest > 0, let room = pool.take(rest) {
            room.store(whole.block.bytes(count..<count + rest), at: 0)
            block = room
        }
        guard rest == 0 || !block.isNone, let new = held.take() else {
            pool.give(block)
            grow(flow, fromLower, by: cut &- whole.announced)
            return
        }
        held[new] = whole
        held[new].sequence = whole.sequence &+ UInt32(bitPattern: cut)
        (held[new].announced, held[new].captured) = (whole.announced &- cut, Int32(truncatingIfNeeded: rest))
        held[new].block = block
        held[entry].next = new
    }

    /// Takes an entry off its stream's list and forgets it.
    private mutating func unlink(_ entry: Int32, after previous: Int32, _ flow: FlowHandle, _ fromLower: Bool) {
        grow(flow, fromLower, by: 0 &- held[entry].announced)
        if previous >= 0 {
            held[previous].next = held[entry].next
        } else if fromLower {
            flows[flow].fromLower.held = held[entry].next
        } else {
            flows[flow].fromUpper.held = held[entry].next
        }
        pool.give(held[entry].block)
        held.give(entry)
    }

    /// Where, counted from the beginning of what is held, the second copy of some bytes first differs from it.
    private func difference(
        _ entry: Int32,
        _ start: Int,
        _ payload: RawSpan,
        _ part: Range<Int>,
        _ captured: Int
    ) -> Int? {
        let block = held[entry].block
        let first = block.bytes(0..<Int(held[entry].captured))
        for place in part {
            let other = place - start
            guard place < captured, other < first.byteCount, other >= 0 else { return nil }
            if payload.byte(at: place) != first.byte(at: other) { return other }
        }
        return nil
    }

    /// Puts other bytes in the place of those held.
    private func replace(_ entry: Int32, _ start: Int, _ payload: RawSpan, _ part: Range<Int>) {
        guard !part.isEmpty else { return }
        let block = held[entry].block
        block.store(payload.extracting(part), at: part.lowerBound - start)
    }

    /// Takes the first held segment of a stream off its list; the caller gives the block back.
    mutating func unlinkFirst(_ flow: FlowHandle, lower: Bool) -> HeldSegment? {
        let entry = lower ? flows[flow].fromLower.held : flows[flow].fromUpper.held
        guard entry >= 0 else { return nil }
        let segment = held[entry]
        held.give(entry)
        if lower {
            flows[flow].fromLower.held = segment.next
        } else {
            flows[flow].fromUpper.held = segment.next
        }
        grow(flow, lower, by: 0 &- segment.announced)
        return segment
    }

    /// Forgets what is held of one direction.
    mutating func release(_ flow: FlowHandle, lower: Bool) {
        while let segment = unlinkFirst(flow, lower: lower) { pool.give(segment.block) }
    }
}
