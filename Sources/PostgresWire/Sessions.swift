// SPDX-License-Identifier: Apache-2.0
public import Domain

/// The limits of a worker's sessions; each has a counter.
public struct SessionLimits: Sendable {
    /// Sessions followed at once; as many as flows.
    public var sessions = 1 << 21
    /// Unanswered requests of all sessions.
    public var requests = 1 << 22
    /// Unanswered requests of one session.
    public var requestsPerSession: Int32 = 1 << 16
    /// Named statements and portals of all sessions.
    public var names = 1 << 22
    /// Bytes of messages that are collected at once, over all sessions.
    public var collectedBytes = 256 << 20
    /// Bytes of one statement's text; what is longer is known by its beginning.
    public var text = 32 << 20

    /// The defaults.
    public init() {}
}

/// The PostgreSQL sessions of one worker: frames messages, follows the protocol, reports statements.
///
/// A session is a pure state machine over the messages of both directions in the order that the server saw them
/// (PostgreSQL documentation, chapter "Frontend/Backend Protocol", versions 3.0 and 3.2). What a request changes is
/// assumed at once and undone when the server turns out never to have reached it.
public struct Sessions: ~Copyable {
    let limits: SessionLimits
    let hash: KeyedHash
    var table: SlotTable<Session>
    var requests: SlotTable<Request>
    var names: NameTable
    var pool: BlockPool
    /// What was met so far.
    public internal(set) var counters = SessionCounters()

    /// No sessions yet; `hash` keys the names of statements and portals.
    public init(hash: KeyedHash, limits: SessionLimits = SessionLimits()) {
        self.limits = limits
        self.hash = hash
        table = SlotTable(limit: limits.sessions, blank: Session())
        requests = SlotTable(limit: limits.requests, blank: Request())
        names = NameTable(limit: limits.names)
        pool = BlockPool(budget: limits.collectedBytes)
    }

    /// A connection was seen for the first time.
    public mutating func opened(_ flow: FlowHandle, isMidstream: Bool) {
        guard table.include(flow) else { return }
        table[flow] = Session()
        guard isMidstream else { return }
        table[flow].flags = .midstream
        table[flow].client.isLost = true
        table[flow].server.isLost = true
    }

    /// The next bytes of one direction.
    public mutating func bytes(
        _ flow: FlowHandle,
        from side: Direction,
        _ bytes: RawSpan,
        at moment: Moment,
        into sink: inout some SessionSink & ~Copyable
    ) -> Interest {
        guard Int(flow) < table.highWater else { return .drop }
        switch table[flow].phase {
        case .ready:
            if side == .client {
                readClient(flow, bytes, moment, &sink)
            } else {
                table[flow].serverBytes &+= UInt64(bytes.byteCount)
                readServer(flow, bytes, moment, &sink)
            }
        case .authenticating where side == .server:
            table[flow].serverBytes &+= UInt64(bytes.byteCount)
            readServer(flow, bytes, moment, &sink)
        case .authenticating:
            readClient(flow, bytes, moment, &sink)
        case .opaque:
            return .drop
        case .fresh, .negotiating:
            start(flow, from: side, bytes, moment, &sink)
        }
        return table[flow].phase == .opaque ? .drop : .keep
    }

    /// `count` bytes of one direction will never be seen.
    public mutating func gap(
        _ flow: FlowHandle,
        from side: Direction,
        count: Int,
        at moment: Moment,
        into sink: inout some SessionSink & ~Copyable
    ) -> Interest {
        guard Int(flow) < table.highWater else { return .drop }
        switch table[flow].phase {
        case .opaque: return .drop
        case .fresh, .negotiating:
            // Who speaks here can no longer be told; the rest is read as if joined mid-stream.
            join(flow)
        case .authenticating, .ready:
            table[flow].flags.insert(.doubtful)
            if side == .client {
                loseClient(flow, count, moment, &sink)
            } else {
                loseServer(flow, count, moment, &sink)
            }
        }
        return .keep
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
        guard Int(flow) < table.highWater else { return }
        abandonRequests(flow, isKnown: isKnown, moment, &sink)
        if isKnown { loseCompletedPortals(flow, &sink) }
        endPortals(flow, finished: false, moment, &sink)
        forgetStatements(flow)
        let session = table[flow]
        pool.give(session.client.block)
        pool.give(session.server.block)
        pool.give(session.startup)
        table[flow] = Session()
        table[flow].phase = .opaque
    }

    /// Reads a session on as one that began before the capture.
    mutating func join(_ flow: FlowHandle) {
        pool.give(table[flow].client.block)
        pool.give(table[flow].startup)
        let counted = table[flow].flags.intersection(.counted)
        table[flow] = Session()
        table[flow].flags = counted.union(.midstream)
        table[flow].client.isLost = true
        table[flow].server.isLost = true
    }

    mutating func count(_ flow: FlowHandle) {
        guard !table[flow].flags.contains(.counted) else { return }
        table[flow].flags.insert(.counted)
        counters.total += 1
        if table[flow].flags.contains(.midstream) { counters.midstream += 1 }
    }
}
