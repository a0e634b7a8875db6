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
    /// How long a connection may be silent before it is forgotten, and how long one that never carried anything, ns;
    /// only ``Reassembler/expire(at:count:into:)`` asks.
    public var idle: Int64 = 86_400_000_000_000, blankIdle: Int64 = 60_000_000_000
    /// Segments of a flow after which missing bytes are given up, whatever the clock says.
    public var patience: UInt16 = 1024

    /// The defaults.
    public init() {}

    /// Bytes of one connection, its places in the index included.
    public static var bytesOfFlow: Int { MemoryLayout<Flow>.stride + 4 * MemoryLayout<Int64>.stride }
}

/// Turns segments into ordered streams (RFC 9293), per connection and direction.
///
/// In-order payload goes to the sink as it lies in the packet. Early payload is copied and held. Bytes that are
/// acknowledged but do not come become a gap. Bytes that acknowledge bytes of the other side not yet seen wait for those,
/// so that a reply never overtakes its request.
///
/// Of what a client sends, the server's kernel is the judge: what it may have refused (``Doubt``) waits until the server
/// acknowledges it, and gives way to what the kernel is sure to take.
public struct Reassembler: ~Copyable {
    /// No window is larger in practice; what lies farther off belongs to no connection we know.
    static let window = 1 << 24
    /// What a client sends, in bytes, in a connection that may come as a whole a second time.
    static let shortStream = 1 << 20
    /// How long acknowledged bytes may be late, ns.
    static let lateness: Int64 = 1_000_000_000

    let serverPorts: PortSet
    let limits: ReassemblyLimits
    var flows: SlotTable<Flow>
    var index = FlowIndex()
    var held: SlotTable<HeldSegment>
    var pool: BlockPool
    /// The ends of the list of ended flows, and how many there are.
    var oldestEnded: FlowHandle = -1, newestEnded: FlowHandle = -1
    var endedCount = 0
    var clockHand = 0
    var sweepHand = 0
    /// What was met so far.
    public internal(set) var counters = ReassemblyCounters()

    /// A reassembler; `serverPorts` tells clients from servers where no SYN was seen.
    public init(serverPorts: PortSet, limits: ReassemblyLimits = ReassemblyLimits()) {
        self.serverPorts = serverPorts
        self.limits = limits
        flows = SlotTable(limit: limits.flows, blank: Flow(), checksHandles: true)
        held = SlotTable(limit: 1 << 22, blank: HeldSegment(), checksHandles: true)
        pool = BlockPool(budget: limits.heldBytes)
    }

    /// Connections that may be remembered.
    public var flowLimit: Int { limits.flows }
    /// Bytes of early segments that may be held.
    public var heldLimit: Int { limits.heldBytes }

    /// Bytes of the tables of connections, and of early segments that are held.
    public var memory: (connections: Int, segments: Int) {
        (flows.highWater * ReassemblyLimits.bytesOfFlow, pool.used + held.highWater * MemoryLayout<HeldSegment>.stride)
    }

    /// Connections remembered now, ended ones that wait for late packets included.
    public var flowCount: Int { flows.count }
    /// Connections that are not known to have ended.
    public var openFlowCount: Int {
        mutating get { flows.count &- endedCount }
    }

    /// Flows stand at places below this number, for walks over all of them by ``toldFlow(at:)``.
    public var placeCount: Int { flows.highWater }

    /// The connection at a place, if it is one that the sink was told of and that is not known to have ended.
    public mutating func toldFlow(at place: Int) -> FlowHandle? {
        guard let flow = openFlow(at: place), flows[flow].state.contains(.oriented) else { return nil }
        return flow
    }

    /// The connection at a place that is not known to have ended.
    mutating func openFlow(at place: Int) -> FlowHandle? {
        guard let flow = flows.occupant(at: place), flow.value.isOpen else { return nil }
        return flow.handle
    }

    /// Whether this flow is a connection that the sink was told of and that is not known to have ended.
    ///
    /// A handle of long ago may mean another connection: what it is told by must be compared too.
    public mutating func isOpen(_ flow: FlowHandle) -> Bool {
        guard let current = flows.occupant(of: flow), current.handle == flow else { return false }
        return current.value.isOpen && current.value.state.contains(.oriented)
    }

    /// A segment of the flow with this hash comes soon: its place in the index is brought near.
    @inline(__always)
    public mutating func expect(_ hash: UInt64) { index.prefetch(hash) }

    /// The next step after ``expect(_:)``, a while later: brings the flow itself near, and says which one it is; -1 if
    /// it is new or cannot be told so soon.
    @inline(__always)
    public mutating func approach(_ hash: UInt64) -> FlowHandle {
        let flow = index.guess(hash)
        flows.prefetch(flow)
        return flow
    }

    /// Takes one segment; `payload` holds its captured bytes.
    @inline(__always)
    public mutating func process(
        _ segment: Slot<Segment>,
        _ payload: RawSpan,
        into sink: inout some StreamSink & ~Copyable
    ) {
        counters.segments &+= 1
        guard let slot = index.find(segment, in: flows) else {
            begin(segment.value, payload, into: &sink)
            return
        }
        let flow = slot.handle
        // The common case: the flow is in order, and so is the segment.
        let state = slot.value.state
        if segment.value.flags.rawValue & TCPFlags.unusual == TCPFlags.ack.rawValue,
            state.rawValue & Flow.State.inOrderMask == Flow.State.inOrder
        {
            let fromLower = segment.value.fromLower
            let isClient = fromLower == state.contains(.lowerIsClient)
            let isInOrder =
                switch (fromLower, isClient) {
                case (true, true): Self.ask(slot, &slot.value.fromLower, &slot.value.fromUpper, segment)
                case (false, true): Self.ask(slot, &slot.value.fromUpper, &slot.value.fromLower, segment)
                case (true, false): Self.answer(slot, &slot.value.fromUpper, &slot.value.fromLower, segment)
                case (false, false): Self.answer(slot, &slot.value.fromLower, &slot.value.fromUpper, segment)
                }
            if isInOrder {
                if segment.value.announced == 0 { return }
                slot.value.lastSeen = segment.value.time
                let side: Direction = isClient ? .client : .server
                let moment = Moment(time: segment.value.time, ordinal: segment.value.ordinal)
                if sink.bytes(flow, from: side, payload, at: moment) == .drop { drop(flow) }
                return
            }
        }
        handle(flow, segment.value, payload, into: &sink)
    }

    /// Moves the client's stream on if `segment` is simply its next one, and the server's kernel is sure to take it.
    ///
    /// What it must meet is that of ``doubt(_:of:_:)``.
    @inline(__always)
    private static func ask(
        _ flow: Slot<Flow>,
        _ client: inout Stream,
        _ server: inout Stream,
        _ segment: Slot<Segment>
    ) -> Bool {
        let acknowledgment = segment.value.acknowledgment
        let hasServer = server.state.contains(.synchronized)
        if hasServer {
            let most = server.next &- server.acknowledged
            guard acknowledgment &- server.acknowledged <= most else { return false }
        }
        let after = client.next &+ UInt32(bitPattern: segment.value.announced)
        guard segment.value.sequence == client.next, segment.value.captured == segment.value.announced,
            client.state.contains(.synchronized), Int32(bitPattern: flow.value.edge &- after) >= 0,
            segment.value.announced == 0
                ? flow.value.trust.takes(segment.value.checksum) : flow.value.trust.isUsual(segment.value.checksum)
        else { return false }
        if segment.value.hasTimestamp {
            guard Int32(bitPattern: segment.value.timestamp &- flow.value.recent) >= 0 else { return false }
            // As Linux: not of what comes behind bytes that it has yet to acknowledge.
            if Int32(bitPattern: client.next &- client.acknowledged) <= 0 {
                flow.value.recent = segment.value.timestamp
            }
        }
        if hasServer { server.acknowledged = acknowledgment }
        client.next = after
        return true
    }

    /// Moves the server's stream on if `segment` is simply its next one, or carries nothing, and runs ahead of nothing.
    @inline(__always)
    private static func answer(
        _ flow: Slot<Flow>,
        _ client: inout Stream,
        _ server: inout Stream,
        _ segment: Slot<Segment>
    ) -> Bool {
        let acknowledgment = segment.value.acknowledgment
        if client.state.contains(.synchronized) {
            guard Int32(bitPattern: acknowledgment &- client.next) <= 0 else { return false }
        }
        if segment.value.announced != 0 {
            guard segment.value.sequence == server.next, segment.value.captured == segment.value.announced,
                server.state.contains(.synchronized)
            else { return false }
            server.next &+= UInt32(bitPattern: segment.value.announced)
        }
        client.noteAcknowledged(acknowledgment)
        flow.value.spoken = client.next
        flow.value.noteWindow(segment.value)
        return true
    }

    /// Ends every connection: what is still held is delivered with the gaps before it.
    public mutating func finish(at moment: Moment, into sink: inout some StreamSink & ~Copyable) {
        for place in 0..<placeCount {
            if let flow = openFlow(at: place) { keep(conclude(flow, at: moment, into: &sink)) }
        }
    }
}

extension Flow.State {
    /// Open, oriented, and nothing unusual.
    // Computed: a stored one would be initialized under a lock that every packet asks for.
    static var inOrder: UInt16 { Flow.State([.open, .oriented]).rawValue }
    static var inOrderMask: UInt16 {
        Flow.State([.open, .oriented, .closed, .waiting, .dropped, .hasCandidate]).rawValue
    }
}
