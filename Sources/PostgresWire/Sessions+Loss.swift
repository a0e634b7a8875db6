// SPDX-License-Identifier: Apache-2.0
import Domain

extension Sessions {
    /// A direction broke the protocol: its message boundaries are unknown from here on.
    mutating func lose(_ flow: FlowHandle, _ side: Direction, _ anomaly: Anomaly) {
        counters.note(anomaly)
        loseBoundaries(flow, side)
    }

    private mutating func loseBoundaries(_ flow: FlowHandle, _ side: Direction) {
        counters.lostSync += 1
        let block = side == .client ? table[flow].client.block : table[flow].server.block
        pool.give(block)
        var reader = MessageReader()
        reader.isLost = true
        if side == .client {
            table[flow].client = reader
        } else {
            table[flow].server = reader
            doubtRequests(flow)
        }
        table[flow].flags.insert(.doubtful)
        table[flow].flags.remove(.idle)
    }

    /// Bytes of the client are missing.
    mutating func loseClient(
        _ flow: FlowHandle,
        _ count: Int,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard !table[flow].client.isLost else { return }
        let reader = table[flow].client
        let expected = Int(reader.skip) + Int(reader.wanted > 0 ? reader.length &- reader.filled : 0)
        if reader.wanted > 0 {
            // What is known of the message it fell into is still worth something.
            table[flow].client.isHoled = true
            table[flow].client.endCollecting()
            clientMessage(flow, reader.type, reader.block.bytes(0..<Int(reader.filled)), reader.length, moment, &sink)
            pool.give(reader.block)
            table[flow].client.isHoled = false
        }
        if reader.headerCount > 0 || count > expected {
            loseBoundaries(flow, .client)
        } else {
            table[flow].client.skip = UInt32(expected - count)
        }
    }

    /// Bytes of the server are missing.
    mutating func loseServer(
        _ flow: FlowHandle,
        _ count: Int,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        table[flow].serverBytes &+= UInt64(count)
        guard !table[flow].server.isLost else { return }
        let reader = table[flow].server
        let expected = Int(reader.skip) + Int(reader.wanted > 0 ? reader.length &- reader.filled : 0)
        guard reader.headerCount == 0, count <= expected else {
            loseBoundaries(flow, .server)
            return
        }
        if reader.wanted > 0 {
            table[flow].server.endCollecting()
            serverMessage(flow, reader.type, reader.block.bytes(0..<Int(reader.filled)), moment, &sink)
            pool.give(reader.block)
        }
        table[flow].server.skip = UInt32(expected - count)
    }

    /// Whether reading the client can begin again with `bytes`: the server is idle, or out of sight, and the bytes
    /// are messages throughout.
    mutating func findClient(_ flow: FlowHandle, _ bytes: RawSpan) -> Bool {
        let isQuiet = table[flow].flags.contains(.idle) || table[flow].server.isLost || !hasAnswers(flow)
        guard isQuiet, FrontendShape.proves(bytes) else { return false }
        table[flow].client.isLost = false
        counters.resynchronized += 1
        return true
    }

    private func hasAnswers(_ flow: FlowHandle) -> Bool { table[flow].serverBytes > 0 }

    /// Where in `bytes` reading the server can begin again.
    mutating func findServer(_ flow: FlowHandle, _ bytes: RawSpan) -> Int? {
        guard let offset = BackendShape.proof(bytes) else { return nil }
        table[flow].server.isLost = false
        counters.resynchronized += 1
        return offset
    }

    /// Every request now in flight may have been answered in bytes that are missing.
    private func doubtRequests(_ flow: FlowHandle) {
        var entry = table[flow].firstRequest
        while entry >= 0 {
            requests[entry].flags.insert(.inDoubt)
            entry = requests[entry].next
        }
    }
}
