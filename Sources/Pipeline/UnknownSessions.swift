// SPDX-License-Identifier: Apache-2.0
import Domain
import Packets
import PostgresWire
import Quotas

/// The sessions of one worker whose owner is being asked for.
///
/// What they do is counted with a principal of their own meanwhile; once the owner is proven, that is added to the
/// owner's counts as a whole, so nothing is guessed and nothing is counted twice.
struct UnknownSessions {
    private struct Entry {
        var principal: PrincipalHandle
        var since: Timestamp
    }

    private var entries: [FlowHandle: Entry] = [:]
    /// How servers know clients that a relay speaks for.
    var aliases: [FlowHandle: Endpoint] = [:]
    /// More than this at once are nobody's from the start.
    static let most = 65_536

    var count: Int { entries.count }
    var hasRoom: Bool { entries.count < Self.most }
    var flows: [(flow: FlowHandle, since: Timestamp)] { entries.map { ($0.key, $0.value.since) } }

    mutating func add(_ flow: FlowHandle, _ principal: PrincipalHandle, since time: Timestamp) {
        entries[flow] = Entry(principal: principal, since: time)
    }

    /// The principal of a session that is unknown no longer, or will be for ever; `nil` if it was not in question.
    mutating func remove(_ flow: FlowHandle) -> PrincipalHandle? { entries.removeValue(forKey: flow)?.principal }
}

extension Books where Recorder: ~Copyable {
    /// A session that began before the capture can be read from now on; returns who pays for the time being.
    mutating func joined(_ flow: FlowHandle, at moment: Moment) -> PrincipalHandle {
        guard unknown?.hasRoom == true, let principal = principals.take() else { return 0 }
        unknown?.add(flow, principal, since: moment.time)
        principals[principal].account.isMetered = isMetered
        return principal
    }

    /// The flow is over: if nobody knows by now whose it was, it is nobody's.
    @inline(__always)
    mutating func closed(_ flow: FlowHandle, at moment: Moment) {
        // Whether it committed was not seen: to ask for a price in vain is no harm.
        transactionEnded(flow, committed: true)
        if flows.contains(flow) {
            endTransaction(flow, at: moment.time.nanoseconds)
            flows[flow].application = 0
        }
        guard unknown != nil else { return }
        unknown?.aliases.removeValue(forKey: flow)
        moveUnknown(flow, to: 0)
    }

    /// The server knows the client of this flow by another address: that of the relay in between.
    mutating func note(_ flow: FlowHandle, isKnownAs endpoint: Endpoint) { unknown?.aliases[flow] = endpoint }

    /// The sessions in question.
    func unknownSessions(of worker: Int) -> [UnknownSession] {
        (unknown?.flows ?? []).map { flow, since in
            let note = flows[flow]
            return UnknownSession(
                worker: worker,
                flow: flow,
                number: note.session,
                client: unknown?.aliases[flow] ?? note.client,
                server: note.server,
                since: since
            )
        }
    }

    /// Adds up what an unknown session did with its owner's counts; 0: nobody.
    mutating func moveUnknown(_ flow: FlowHandle, to owner: PrincipalHandle) {
        guard let own = unknown?.remove(flow) else { return }
        // Its transaction is one in the owner's database.
        if flows.contains(flow) { flows[flow].database = principals[owner].databaseIndex }
        principals[owner].counts.add(principals[own].counts)
        principals[owner].account.add(principals[own].account)
        if owner > 0 { woke(owner) }
        principals[own].owner = principals[owner].owner
        leavePace(of: own)
        // Blank at once: reports walk over free slots too.
        principals[own] = Principal()
        moved[own] = owner
    }

    /// What is kept of sessions that were moved becomes their owners', before somebody else may have their places: for all of
    /// them at once, as each time tables are walked over.
    mutating func finishMoves() {
        guard !moved.isEmpty else { return }
        fold(patterns: [:], principals: moved)
        for own in moved.keys { principals.give(own) }
        moved = [:]
    }
}

extension Shard where Recorder: ~Copyable {
    /// Takes an answer; one for a session that ended or began anew meanwhile is void.
    mutating func settle(_ resolution: SessionResolution, at moment: Moment) {
        let flow = resolution.session.flow
        guard reassembler.isOpen(flow), analyser.books.flows.contains(flow),
            analyser.books.flows[flow].session == resolution.session.number
        else { return }
        guard let identity = resolution.identity else { return giveUp(flow) }
        let (user, database) = (Array(identity.user.utf8), Array(identity.database.utf8))
        let application = Array(identity.application.utf8)
        let login = Login(user: user.rawSpan, database: database.rawSpan, application: application.rawSpan)
        let owner = analyser.books.attribute(flow, login, at: moment)
        guard analyser.sessions.attribute(flow, to: owner) else { return }
        analyser.books.moveUnknown(flow, to: owner)
    }

    private mutating func giveUp(_ flow: FlowHandle) {
        guard analyser.sessions.attribute(flow, to: 0) else { return }
        analyser.books.moveUnknown(flow, to: 0)
    }
}
