// SPDX-License-Identifier: Apache-2.0
import Domain

extension Reassembler {
    /// Keeps the parts of a segment for which no bytes are held yet, in order of sequence numbers.
    mutating func hold(
        _ flow: FlowHandle,
        _ segment: Segment,
        _ sequence: UInt32,
        _ payload: RawSpan,
        at moment: Moment
    ) {
        let fromLower = segment.fromLower
        let stream = fromLower ? flows[flow].fromLower : flows[flow].fromUpper
        var place = max(0, stream.next.distance(after: sequence))  // how much of the segment is placed already
        let announced = Int(segment.announced)
        var previous: Int32 = -1
        var current = stream.held
        var differs = false
        while place < announced {
            let start = current < 0 ? announced : held[current].sequence.distance(after: sequence)
            if start > place {
                let part = place..<min(start, announced)
                guard let new = keep(segment, sequence, payload, part, at: moment) else {
                    counters.overBudget += 1
                    return
                }
                held[new].next = current
                link(new, after: previous, flow, fromLower)
                previous = new
                place = part.upperBound
            }
            guard current >= 0, place < announced else { break }
            let end = start + Int(held[current].announced)
            if end > place {
                differs =
                    differs || conflicts(current, start, payload, place..<min(end, announced), Int(segment.captured))
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
        let captured = part.clamped(to: 0..<max(0, Int(segment.captured)))
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
        if fromLower {
            flows[flow].fromLower.heldBytes &+= held[entry].announced
        } else {
            flows[flow].fromUpper.heldBytes &+= held[entry].announced
        }
    }

    /// Whether the second copy of some held bytes differs from the first.
    private func conflicts(
        _ entry: Int32,
        _ start: Int,
        _ payload: RawSpan,
        _ part: Range<Int>,
        _ captured: Int
    ) -> Bool {
        let block = held[entry].block
        let first = block.bytes(0..<Int(held[entry].captured))
        for place in part {
            let other = place - start
            guard place < min(captured, payload.byteCount), other < first.byteCount else { return false }
            if payload.byte(at: place) != first.byte(at: other) { return true }
        }
        return false
    }

    /// Takes the first held segment of a stream off its list; the caller gives the block back.
    mutating func unlinkFirst(_ flow: FlowHandle, lower: Bool) -> HeldSegment? {
        let entry = lower ? flows[flow].fromLower.held : flows[flow].fromUpper.held
        guard entry >= 0 else { return nil }
        let segment = held[entry]
        held.give(entry)
        if lower {
            flows[flow].fromLower.held = segment.next
            flows[flow].fromLower.heldBytes &-= segment.announced
        } else {
            flows[flow].fromUpper.held = segment.next
            flows[flow].fromUpper.heldBytes &-= segment.announced
        }
        return segment
    }

    /// Forgets what is held of one direction.
    mutating func release(_ flow: FlowHandle, lower: Bool) {
        while let segment = unlinkFirst(flow, lower: lower) { pool.give(segment.block) }
    }
}
