// SPDX-License-Identifier: Apache-2.0
public import Domain

/// The limits of a worker's sessions; each has a counter.
public struct SessionLimits: Sendable {
    /// Sessions followed at once; as many as flows.
    public var sessions = 1 << 21
    /// Unanswered requests of all sessions.
    public var requests = 1 << 20
    /// Unanswered requests of one session.
    public var requestsPerSession: Int32 = 1 << 16
    /// Named statements and portals of all sessions.
    public var names = 1 << 20
    /// Bytes of messages that are collected at once, over all sessions.
    public var collectedBytes = 256 << 20
    /// Bytes of one statement's text; what is longer is known by its beginning.
    public var text = 32 << 20

    /// The defaults.
    public init() {}

    /// Bytes of one session.
    public static var bytesOfSession: Int { MemoryLayout<Session>.stride + 2 * MemoryLayout<MessageReader>.stride }
    /// Bytes of one unanswered request.
    public static var bytesOfRequest: Int { MemoryLayout<Request>.stride }
    /// Bytes of one name with its places in the index.
    public static var bytesOfName: Int { MemoryLayout<NamedEntry>.stride + 4 * MemoryLayout<Int32>.stride }
}

/// The PostgreSQL sessions of one worker: frames messages, follows the protocol, reports statements.
///
/// A session is a pure state machine over the messages of both directions in the order that the server saw them
/// (PostgreSQL documentation, chapter "Frontend/Backend Protocol", versions 3.0 and 3.2). Requests wait in one queue for
/// their answers; what one changes holds from the answer that proves it on.
///
/// Nearly all methods are `mutating`, lookups too: where one that is not is inlined, Swift 6.3 copies the whole struct,
/// because it cannot be borrowed in a register.
public struct Sessions: ~Copyable {
    let limits: SessionLimits
    /// Unanswered requests that a session may have whatever others have.
    let easyRequests: Int32
    let hash: KeyedHash
    var table: SlotTable<Session>
    /// Two a session, at twice its place: the client's and the server's direction.
    var readers: SlotTable<MessageReader>
    var requests: SlotTable<Request>
    var names: NameTable
    var pool: BlockPool
    /// Statements that poolers named, by name and connection's route.
    var shared: [UInt64: SharedStatement] = [:]
    /// Requests that were looked at in search of a Sync, for tests: they count work, as time depends on the machine.
    var walked: UInt64 = 0
    /// The packet being read.
    var now = Moment(time: .epoch, ordinal: 0)
    /// What was met so far.
    public internal(set) var counters = SessionCounters()

    /// No sessions yet; `hash` keys the names of statements and portals.
    public init(hash: KeyedHash, limits: SessionLimits = SessionLimits()) {
        self.limits = limits
        easyRequests = min(256, limits.requestsPerSession)
        self.hash = hash
        table = SlotTable(limit: limits.sessions, blank: Session(), checksHandles: true)
        readers = SlotTable(limit: 2 * limits.sessions, blank: MessageReader())
        requests = SlotTable(limit: limits.requests, blank: Request(), checksHandles: true)
        names = NameTable(limit: limits.names)
        pool = BlockPool(budget: limits.collectedBytes)
    }

    /// The most bytes that collected messages, unanswered requests and names may take.
    public var limitsOfMemory: (messages: Int, requests: Int, names: Int) {
        (
            limits.collectedBytes, limits.requests * SessionLimits.bytesOfRequest,
            limits.names * SessionLimits.bytesOfName
        )
    }

    /// Bytes of sessions, of messages that are collected, of unanswered requests, and of names.
    public var memory: (sessions: Int, messages: Int, requests: Int, names: Int) {
        (
            table.highWater * SessionLimits.bytesOfSession, pool.used,
            requests.highWater * SessionLimits.bytesOfRequest,
            names.highWater * SessionLimits.bytesOfName
        )
    }

    /// A connection was seen for the first time.
    public mutating func opened(_ flow: FlowHandle, isMidstream: Bool) {
        guard table.include(flow), readers.include(table.place(of: flow) &* 2 &+ 1) else { return }
        let session = table.slot(flow)
        session.value = Session()
        reset(session, isLost: isMidstream)
        if isMidstream { session.value.flags = .midstream }
    }

    /// A connection that is of no interest from now on, because what passes on it is counted elsewhere: a pooler's to a server.
    public mutating func passOver(_ flow: FlowHandle, at moment: Moment, into sink: inout some SessionSink & ~Copyable)
    {
        guard table.contains(flow) else { return }
        closed(flow, isKnown: false, at: moment, into: &sink)
        counters.pooled += 1
    }

    /// Whether this connection is encrypted, passed over, or not PostgreSQL.
    public mutating func isOpaque(_ flow: FlowHandle) -> Bool {
        !table.contains(flow) || table.slot(flow).value.phase == .opaque
    }

    /// Whether what the client says on this connection is read; of one that began before the capture, a message must have
    /// been found, as it may be encrypted.
    public mutating func isRead(_ flow: FlowHandle) -> Bool {
        guard table.contains(flow) else { return false }
        let session = table.slot(flow)
        switch session.value.phase {
        case .opaque: return false
        case .ready: return !reader(session, .client).value.isLost
        case .fresh, .negotiating, .authenticating: return !session.value.flags.contains(.midstream)
        }
    }

    /// Somebody else pays for a session that began before the capture, from its next answer on; false if it is none, or
    /// its login was seen.
    public mutating func attribute(_ flow: FlowHandle, to principal: PrincipalHandle) -> Bool {
        guard table.contains(flow) else { return false }
        let session = table.slot(flow)
        guard session.value.phase == .ready, session.value.flags.contains(.midstream),
            !session.value.flags.contains(.attributed)
        else { return false }
        session.value.principal = principal
        if principal != 0 {
            session.value.flags.insert(.attributed)
            counters.attributed += 1
        }
        return true
    }

    /// Whether nothing is known of this session yet: no StartupMessage came, and no boundary of a message was found.
    public mutating func isBlank(_ flow: FlowHandle) -> Bool {
        !table.contains(flow) || table.slot(flow).value.phase == .fresh
    }

    /// Bytes of this session come soon: it is brought near.
    @inline(__always)
    public mutating func prefetch(_ flow: FlowHandle) {
        table.prefetch(flow)
        readers.prefetch(table.place(of: flow) &* 2)
    }

    /// The next bytes of one direction.
    public mutating func bytes(
        _ flow: FlowHandle,
        from side: Direction,
        _ bytes: RawSpan,
        at moment: Moment,
        into sink: inout some SessionSink & ~Copyable
    ) -> Interest {
        guard table.contains(flow) else { return .drop }
        now = moment
        let session = table.slot(flow)
        switch session.value.phase {
        case .ready, .authenticating:
            if side == .server { session.value.serverBytes &+= UInt64(bytes.byteCount) }
            read(session, side, bytes, &sink)
        case .opaque:
            return .drop
        case .fresh, .negotiating:
            start(session, from: side, bytes, &sink)
        }
        return session.value.phase == .opaque ? .drop : .keep
    }

    /// `count` bytes of one direction will never be seen.
    public mutating func gap(
        _ flow: FlowHandle,
        from side: Direction,
        count: Int,
        at moment: Moment,
        into sink: inout some SessionSink & ~Copyable
    ) -> Interest {
        guard table.contains(flow) else { return .drop }
        now = moment
        let session = table.slot(flow)
        switch session.value.phase {
        case .opaque: return .drop
        case .fresh, .negotiating:
            // Who speaks here can no longer be told; the rest is read as if joined mid-stream.
            join(session)
        case .authenticating, .ready:
            session.value.flags.insert(.doubtful)
            miss(session, side, count, &sink)
        }
        return .keep
    }

    /// The client reset the connection after all that it had sent reached the server; ``closed(_:isKnown:at:into:)`` follows.
    public mutating func wasReset(_ flow: FlowHandle) {
        guard table.contains(flow), table.slot(flow).value.phase == .ready else { return }
        table.slot(flow).value.flags.insert(.wasReset)
    }

    /// The connection ended.
    ///
    /// `isKnown`: it was closed, not merely out of sight.
    public mutating func closed(
        _ flow: FlowHandle,
        isKnown: Bool,
        at moment: Moment,
        into sink: inout some SessionSink & ~Copyable
    ) {
        guard table.contains(flow) else { return }
        now = moment
        let session = table.slot(flow)
        if session.value.transaction != 0x49, session.value.flags.contains(.idle) { endIdling(session, &sink) }
        abandonRequests(session, mayHaveRun: true, &sink)
        endPortals(session, isKnown ? .aborted : .lost, &sink)
        forgetNamedStatements(session)
        reset(session, isLost: false)
        pool.give(session.value.startup)
        session.value = Session()
        session.value.phase = .opaque
    }

    /// Reads a session on as one that began before the capture.
    mutating func join(_ session: Slot<Session>) {
        reset(session, isLost: true)
        pool.give(session.value.startup)
        let counted = session.value.flags.intersection(.counted)
        session.value = Session()
        session.value.flags = counted.union(.midstream)
    }

    /// Sets both directions back to their start, or to a place that is not known.
    mutating func reset(_ session: Slot<Session>, isLost: Bool) {
        for side in [Direction.client, .server] {
            let reader = reader(session, side)
            pool.give(reader.value.block)
            reader.value = MessageReader()
            reader.value.isLost = isLost
        }
    }

    mutating func count(_ session: Slot<Session>) {
        guard !session.value.flags.contains(.counted) else { return }
        session.value.flags.insert(.counted)
        counters.total += 1
        if session.value.flags.contains(.midstream) { counters.midstream += 1 }
    }
}
