// SPDX-License-Identifier: Apache-2.0
public import Domain

/// A connection whose bytes come in order from a relay, not in packets.
public struct RelayedFlow: Sendable {
    /// Its ends.
    public var client: Endpoint, server: Endpoint
    /// A number that no other connection has, other than 0.
    public var number: UInt64
    /// Whether bytes went before.
    public var isMidstream: Bool

    /// A relayed connection.
    public init(client: Endpoint, server: Endpoint, number: UInt64, isMidstream: Bool) {
        (self.client, self.server, self.number, self.isMidstream) = (client, server, number, isMidstream)
    }
}

/// Connections that need no reassembly stand in the same table, under the same limits and counters.
extension Reassembler {
    /// Takes a connection in; `nil`: there is no room.
    public mutating func open(
        _ relayed: RelayedFlow,
        at moment: Moment,
        into sink: inout some StreamSink & ~Copyable
    ) -> FlowHandle? {
        guard let flow = takeSlot(at: moment, into: &sink) else {
            counters.overBudget &+= 1
            return nil
        }
        let (key, clientIsLower) = FlowKey.make(source: relayed.client, destination: relayed.server)
        flows[flow] = Flow()
        flows[flow].key = key
        // In no index: the number tells whose it is.
        flows[flow].hash = relayed.number
        flows[flow].state = [.open, .oriented]
        if clientIsLower { flows[flow].state.insert(.lowerIsClient) }
        if !relayed.isMidstream { flows[flow].state.insert(.hasSYN) }
        flows[flow].lastSeen = moment.time
        counters.flows &+= 1
        let (client, server) = (relayed.client, relayed.server)
        sink.opened(flow, client: client, server: server, isMidstream: relayed.isMidstream, at: moment)
        return flow
    }

    /// The next bytes of one direction.
    @inline(__always)
    public mutating func deliver(
        _ flow: FlowHandle,
        _ number: UInt64,
        from side: Direction,
        _ bytes: RawSpan,
        at moment: Moment,
        into sink: inout some StreamSink & ~Copyable
    ) {
        counters.segments &+= 1
        guard isRelayed(flow, number) else { return }
        flows[flow].lastSeen = moment.time
        if sink.bytes(flow, from: side, bytes, at: moment) == .drop { drop(flow) }
    }

    /// Bytes of one direction that were never copied.
    public mutating func skip(
        _ flow: FlowHandle,
        _ number: UInt64,
        from side: Direction,
        _ count: Int,
        at moment: Moment,
        into sink: inout some StreamSink & ~Copyable
    ) {
        guard isRelayed(flow, number), count > 0 else { return }
        counters.gaps &+= 1
        counters.gapBytes &+= UInt64(count)
        if sink.gap(flow, from: side, count: count, at: moment) == .drop { drop(flow) }
    }

    /// The connection is over.
    public mutating func close(
        _ flow: FlowHandle,
        _ number: UInt64,
        at moment: Moment,
        into sink: inout some StreamSink & ~Copyable
    ) {
        guard let current = flows.occupant(of: flow), current.value.hash == number, current.value.isOpen else { return }
        // No late packet can come.
        forget(conclude(flow, at: moment, into: &sink))
    }

    /// Whether the flow still is that connection, and of interest: it may have made room for others.
    @inline(__always)
    private func isRelayed(_ flow: FlowHandle, _ number: UInt64) -> Bool {
        guard let slot = flows.occupant(of: flow) else { return false }
        return slot.value.hash == number && slot.value.isOpen && !slot.value.state.contains(.dropped)
    }
}
