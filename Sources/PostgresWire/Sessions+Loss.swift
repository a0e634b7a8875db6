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
        let block = side == .client ? session.value.client.block : session.value.server.block
        pool.give(block)
        var reader = MessageReader()
        reader.isLost = true
        if side == .client {
            session.value.client = reader
        } else {
            session.value.server = reader
            doubtRequests(session)
        }
        session.value.flags.insert(.doubtful)
        session.value.flags.remove(.idle)
    }

    /// Bytes of the client are missing.
    mutating func loseClient(
        _ session: Slot<Session>,
        _ count: Int,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard !session.value.client.isLost else { return }
        let reader = session.value.client
        let expected = Int(reader.skip) + Int(reader.wanted > 0 ? reader.length &- reader.filled : 0)
        if reader.wanted > 0 {
            // What is known of the message it fell into is still worth something.
            session.value.client.isHoled = true
            session.value.client.endCollecting()
            clientMessage(session, reader.type, reader.block.bytes(0..<Int(reader.filled)), reader.length, moment, &sink)
            pool.give(reader.block)
            session.value.client.isHoled = false
        }
        if reader.headerCount > 0 || count > expected {
            loseBoundaries(session, .client)
        } else {
            session.value.client.skip = UInt32(expected - count)
        }
    }

    /// Bytes of the server are missing.
    mutating func loseServer(
        _ session: Slot<Session>,
        _ count: Int,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        session.value.serverBytes &+= UInt64(count)
        guard !session.value.server.isLost else { return }
        let reader = session.value.server
        let expected = Int(reader.skip) + Int(reader.wanted > 0 ? reader.length &- reader.filled : 0)
        guard reader.headerCount == 0, count <= expected else {
            loseBoundaries(session, .server)
            return
        }
        if reader.wanted > 0 {
            session.value.server.endCollecting()
            serverMessage(session, reader.type, reader.block.bytes(0..<Int(reader.filled)), moment, &sink)
            pool.give(reader.block)
        }
        session.value.server.skip = UInt32(expected - count)
    }

    /// Whether reading the client can begin again with `bytes`: the server is idle, or out of sight, and the bytes
    /// are messages throughout.
    mutating func findClient(_ session: Slot<Session>, _ bytes: RawSpan) -> Bool {
        let isQuiet = session.value.flags.contains(.idle) || session.value.server.isLost || !hasAnswers(session)
        guard isQuiet, FrontendShape.proves(bytes) else { return false }
        session.value.client.isLost = false
        counters.resynchronized += 1
        return true
    }

    private mutating func hasAnswers(_ session: Slot<Session>) -> Bool { session.value.serverBytes > 0 }

    /// Where in `bytes` reading the server can begin again.
    mutating func findServer(_ session: Slot<Session>, _ bytes: RawSpan) -> Int? {
        guard let offset = BackendShape.proof(bytes) else { return nil }
        session.value.server.isLost = false
        counters.resynchronized += 1
        return offset
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
