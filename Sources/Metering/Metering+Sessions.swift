// SPDX-License-Identifier: Apache-2.0
public import Domain
public import PostgresWire

/// Who pays for a connection, from its first packet to its last.
extension Metering where Recorder: ~Copyable {
    /// A connection was opened, or is seen for the first time.
    public mutating func opened(_ flow: FlowHandle, client: Endpoint, server: Endpoint, at moment: Moment) {
        flows.open(flow, client: client, server: server, at: moment)
    }

    /// Who pays for a session from now on.
    public mutating func attribute(
        _ flow: FlowHandle,
        _ login: borrowing Login,
        at moment: Moment
    ) -> PrincipalHandle {
        let known = principals.resolve(login, on: flows.note(of: flow))
        if known.isNew { prices.applyRole(to: principals.slot(known.principal)) }
        if flows.contains(flow) { flows[flow].application = known.application }
        principals[known.principal].counts.logins &+= 1
        return known.principal
    }

    /// The server says what application a session names from now on; who pays stays the same.
    public mutating func renamed(_ flow: FlowHandle, _ application: RawSpan) {
        // A pooler that serves somebody says so itself.
        guard flows.contains(flow), flows[flow].client.high == flows[flow].peerHigh,
            flows[flow].client.low == flows[flow].peerLow
        else { return }
        flows[flow].application = principals.applicationNumber(application)
    }

    /// A PROXY protocol header names this client.
    public mutating func proxied(_ flow: FlowHandle, _ client: Endpoint) {
        // Where nodes divide what they book by client, the packets' own word counts.
        guard !principals.servers.isDivided, flows.contains(flow) else { return }
        flows[flow].client = client
    }

    /// A number that is the same for connections from one address to one server and database.
    public mutating func route(of flow: FlowHandle, _ principal: PrincipalHandle) -> UInt64 {
        guard flows.contains(flow) else { return 0 }
        let note = flows[flow]
        let database = UInt64(UInt32(bitPattern: principals[principal].databaseIndex))
        // A pooler's own address: that of the client it serves stands in the note.
        return hash.hash(note.peerHigh ^ note.serverKey(hash), note.peerLow ^ database)
    }

    /// A pooler's connection serves this client from now on; returns who pays.
    public mutating func serves(
        _ flow: FlowHandle,
        _ client: Endpoint,
        _ application: RawSpan,
        _ principal: PrincipalHandle,
        at moment: Moment
    ) -> PrincipalHandle {
        // Where nodes divide what they book by client, the packets' own word counts.
        guard !principals.servers.isDivided, flows.contains(flow), let user = principals[principal].user,
            let database = principals[principal].database
        else { return principal }
        let own = flows[flow].client
        flows[flow].client = client
        let (userBytes, databaseBytes) = (user.accountNameBytes, database.accountNameBytes)
        let login = Login(user: userBytes.rawSpan, database: databaseBytes.rawSpan, application: application)
        let served = attribute(flow, login, at: moment)
        guard served != 0 else {
            flows[flow].client = own
            return principal
        }
        return served
    }

    /// This connection is one with a server that was not named: nothing of it is read, so nobody pays for what passes there.
    public mutating func setApart(_ flow: FlowHandle) { flows.setApart(flow) }

    /// Nothing more of a connection is of interest.
    public mutating func dropped(_ flow: FlowHandle) { flows.drop(flow) }

    /// The flow is over: if nobody knows by now whose it was, it is nobody's.
    @inline(__always)
    public mutating func closed(_ flow: FlowHandle, at moment: Moment) {
        // Whether it committed was not seen: to ask for a price in vain is no harm.
        transactionEnded(flow, committed: true)
        if flows.contains(flow) {
            endTransaction(flow, at: moment.time.nanoseconds)
            flows[flow].application = 0
        }
        guard principals.unknown != nil else { return }
        principals.unknown?.aliases.removeValue(forKey: flow)
        moveUnknown(flow, to: 0)
    }

    /// These servers are proven; what was used at others, and is not in the ledger yet, is possible from now on.
    public mutating func take(proven servers: NamedServers) { principals.take(proven: servers) }

    /// Servers that are proven; none: all count as such.
    public var provenServers: NamedServers { principals.servers.proven }

    /// A principal as reports show it.
    public func reported(_ handle: PrincipalHandle) -> Principal { principals.reported(handle) }

    /// The name of an application by its number.
    public func application(_ number: Int32) -> String { principals.applications[number] }

    // MARK: Sessions whose owner is asked for

    /// A session that began before the capture can be read from now on; returns who pays for the time being.
    public mutating func joined(_ flow: FlowHandle, at moment: Moment) -> PrincipalHandle {
        principals.takeUnknown(flow, since: moment.time) ?? 0
    }

    /// The server knows the client of this flow by another address: that of the relay in between.
    public mutating func note(_ flow: FlowHandle, isKnownAs endpoint: Endpoint) {
        principals.unknown?.aliases[flow] = endpoint
    }

    /// The sessions in question.
    public func unknownSessions(of worker: Int) -> [UnknownSession] {
        (principals.unknown?.flows ?? []).map { flow, since in
            let note = flows[flow]
            return UnknownSession(
                worker: worker,
                flow: flow,
                number: note.session,
                client: principals.unknown?.aliases[flow] ?? note.client,
                server: note.server,
                since: since
            )
        }
    }

    /// Adds up what an unknown session did with its owner's counts; 0: nobody.
    public mutating func moveUnknown(_ flow: FlowHandle, to owner: PrincipalHandle) {
        guard let own = principals.unknown?.remove(flow) else { return }
        // Its transaction is one in the owner's database.
        if flows.contains(flow) { flows[flow].database = principals[owner].databaseIndex }
        if owner > 0 { usage.becameActive(owner) }
        principals[own].owner = principals[owner].owner
        leavePace(of: own)
        principals.merge(own, into: owner)
        principals.moved[own] = owner
    }

    /// What is kept of sessions that were moved becomes their owners', before somebody else may have their places: for all of
    /// them at once, as each time tables are walked over.
    public mutating func finishMoves() {
        guard !principals.moved.isEmpty else { return }
        fold(patterns: [:], principals: principals.moved)
        for own in principals.moved.keys { principals.table.give(own) }
        principals.moved = [:]
    }
}
