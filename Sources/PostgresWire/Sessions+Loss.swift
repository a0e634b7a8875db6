// SPDX-License-Identifier: Apache-2.0
import Domain

extension Sessions {
    /// A direction broke the protocol: its message boundaries are unknown from here on.
    mutating func lose(_ session: Slot<Session>, _ side: Direction, _ anomaly: Anomaly) {
        counters.note(anomaly)
        loseBoundaries(session, side)
    }

    private mutating func loseBoundaries(_ session: Slot<Session>, _ side: Direction) {
        counters.lostSync += 1
        let reader = reader(session, side)
        pool.give(reader.value.block)
        reader.value = MessageReader()
        reader.value.isLost = true
        if side == .server { doubtRequests(session) }
        session.value.flags.insert(.doubtful)
        session.value.flags.remove(.idle)
    }

    /// Bytes of one side are missing.
    mutating func miss(
        _ session: Slot<Session>,
        _ side: Direction,
        _ count: Int,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        if side == .server { session.value.serverBytes &+= UInt64(count) }
        let reader = reader(session, side)
        let before = reader.value
        guard !before.isLost else { return hide(session, side, count, &sink) }
        let expected = Int(before.skip) + Int(before.wanted > 0 ? before.length &- before.filled : 0)
        let isInside = before.headerCount == 0 && count <= expected
        if !isInside { hide(session, side, count - expected, &sink) }
        // What is known of the message it fell into is still worth something; an answer only if its end is.
        if before.wanted > 0, isInside || side == .client {
            reader.value.endCollecting()
            reader.value.isHoled = true
            let body = before.block.bytes(0..<Int(before.filled))
            if side == .client {
                clientMessage(session, before.type, body, before.length, &sink)
            } else {
                serverMessage(session, before.type, body, &sink)
            }
            reader.value.isHoled = false
            pool.give(before.block)
        }
        if isInside { reader.value.skip = UInt32(expected - count) } else { loseBoundaries(session, side) }
    }

    /// Bytes of the client cannot be read: what they ask for is not known.
    mutating func hide(
        _ session: Slot<Session>,
        _ side: Direction,
        _ count: Int,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard side == .client, count > 0, session.value.phase == .ready else { return }
        sink.missed(session.value.principal, count: count, at: now.time)
    }

    /// Where in `bytes` reading can begin again; `nil` when it cannot be proven.
    @inline(never)
    mutating func find(_ session: Slot<Session>, _ side: Direction, _ bytes: RawSpan) -> Int? {
        guard let offset = side == .server ? BackendShape.proof(bytes) : findClient(session, bytes) else { return nil }
        reader(session, side).value.isLost = false
        counters.resynchronized += 1
        return offset
    }

    /// Reading the client begins again when the server is idle, or out of sight, and the bytes are messages
    /// throughout.
    private mutating func findClient(_ session: Slot<Session>, _ bytes: RawSpan) -> Int? {
        let isQuiet =
            session.value.flags.contains(.idle) || reader(session, .server).value.isLost
            || session.value.serverBytes == 0
        return isQuiet && FrontendShape.proves(bytes) ? 0 : nil
    }

    /// Every request now in flight may have been answered in bytes that are missing.
    private mutating func doubtRequests(_ session: Slot<Session>) {
        var next = session.value.firstRequest
        while let request = linked(next) {
            request.value.flags.insert(.inDoubt)
            next = request.value.next
        }
    }
}
