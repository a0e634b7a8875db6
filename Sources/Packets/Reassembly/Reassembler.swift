// SPDX-License-Identifier: Apache-2.0
public import Domain

/// The limits of one reassembler; each has a counter in ``ReassemblyCounters``.
public struct ReassemblyLimits: Sendable {
    /// Connections remembered at once.
    public var flows = 1 << 21
    /// Bytes of early segments held at once, over all flows.
    public var heldBytes = 256 << 20
    /// Bytes of early segments held at once in one direction of one flow.
    public var heldBytesPerStream = 4 << 20
    /// Segments of a flow after which missing bytes are given up, whatever the clock says.
    public var patience: UInt16 = 1024

    /// The defaults.
    public init() {}
}

/// Turns segments into ordered streams (RFC 9293), per connection and direction.
///
/// In-order payload goes to the sink as it lies in the packet. Early payload is copied and held; of two copies the
/// first seen wins, as with Linux receivers. Bytes that are acknowledged but do not come become a gap. Bytes that
/// acknowledge bytes of the other side not yet seen wait for those, so that a reply never overtakes its request.
public struct Reassembler: ~Copyable {
    /// No window is larger in practice; what lies farther off belongs to no connection we know.
    static let window = 1 << 24
    /// How long acknowledged bytes may be late, ns.
    static let lateness: Int64 = 1_000_000_000

    let serverPorts: PortSet
    let limits: ReassemblyLimits
    var flows: SlotTable<Flow>
    var index = FlowIndex()
    var held: SlotTable<HeldSegment>
    var pool: BlockPool
    var ended: [EndedFlow] = []
    var endedHead = 0
    var endedSerial: UInt32 = 0
    var clockHand = 0
    /// What was met so far.
    public internal(set) var counters = ReassemblyCounters()

    /// A reassembler; `serverPorts` tells clients from servers where no SYN was seen.
    public init(serverPorts: PortSet, limits: ReassemblyLimits = ReassemblyLimits()) {
        self.serverPorts = serverPorts
        self.limits = limits
        flows = SlotTable(limit: limits.flows, blank: Flow())
        held = SlotTable(limit: 1 << 22, blank: HeldSegment())
        pool = BlockPool(budget: limits.heldBytes)
    }

    /// Connections remembered now, ended ones that wait for late packets included.
    public var flowCount: Int { flows.count }

    /// Takes one segment; `payload` holds its captured bytes.
    public mutating func process(_ segment: Segment, _ payload: RawSpan, into sink: inout some StreamSink & ~Copyable) {
        counters.segments &+= 1
        guard let flow = index.find(segment.key, segment.hash, in: flows) else {
            begin(segment, payload, into: &sink)
            return
        }
        let state = flows[flow].state
        // The common case: the flow is in order, and so is the segment.
        if segment.flags.rawValue & 7 == 0, state.rawValue & Flow.State.inOrderMask == Flow.State.inOrder {
            let fromLower = segment.fromLower
            let peerNext = fromLower ? flows[flow].fromUpper.next : flows[flow].fromLower.next
            let peerState = fromLower ? flows[flow].fromUpper.state : flows[flow].fromLower.state
            if segment.flags.rawValue & 16 == 0 || !peerState.contains(.synchronized)
                || segment.acknowledgment.distance(after: peerNext) <= 0
            {
                if segment.announced == 0 { return }
                let next = fromLower ? flows[flow].fromLower.next : flows[flow].fromUpper.next
                let own = fromLower ? flows[flow].fromLower.state : flows[flow].fromUpper.state
                if segment.sequence == next, segment.captured == segment.announced, own.contains(.synchronized) {
                    let after = next &+ UInt32(bitPattern: segment.announced)
                    if fromLower { flows[flow].fromLower.next = after } else { flows[flow].fromUpper.next = after }
                    flows[flow].lastSeen = segment.time
                    let side: Direction = fromLower == state.contains(.lowerIsClient) ? .client : .server
                    let moment = Moment(time: segment.time, ordinal: segment.ordinal)
                    if sink.bytes(flow, from: side, payload, at: moment) == .drop { drop(flow) }
                    return
                }
            }
        }
        handle(flow, segment, payload, into: &sink)
    }

    /// Ends every connection: what is still held is delivered with the gaps before it.
    public mutating func finish(at moment: Moment, into sink: inout some StreamSink & ~Copyable) {
        for handle in 0..<Int32(flows.highWater) where flows[handle].state.contains(.open) {
            if !flows[handle].state.contains(.closed) { end(handle, at: moment, into: &sink) }
        }
    }
}

extension Flow.State {
    /// Open, oriented, and nothing unusual.
    static let inOrder = Flow.State([.open, .oriented]).rawValue
    static let inOrderMask = Flow.State([.open, .oriented, .closed, .waiting, .dropped, .hasCandidate]).rawValue
}
