// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import PostgresWire
import Quotas

/// What time says about charges: `Documentation/units.md`, "Time".
extension Books where Recorder: ~Copyable {
    /// Statements that wait for settlement, at most.
    static var mostLong: Int { 1 << 20 }

    /// How slowly a statement of a known pattern ran: gathered second by second.
    @inline(__always)
    mutating func notePace(_ event: StatementEvent, _ payer: Slot<Principal>, _ pattern: Slot<PatternRecord>) {
        let second = event.ended.time.nanoseconds / 1_000_000_000
        if payer.value.paceSecond != second { turnPace(payer, to: second) }
        payer.value.pace.add(Pace.logarithm(event.duration) &- Int64(pattern.value.usual))
    }

    @inline(never)
    private mutating func turnPace(_ payer: Slot<Principal>, to second: Int64) {
        let tenant = owners.key(of: payer.value.owner)
        evidence.add(payer.value.pace, of: tenant, second: payer.value.paceSecond)
        (payer.value.pace, payer.value.paceSecond) = (Pace(), second)
        guard !payer.value.isPaced else { return }
        payer.value.isPaced = true
        paced.append(payer.handle)
    }

    /// A statement took long: its time may be worth more than its price.
    @inline(never)
    mutating func noteLong(
        _ event: StatementEvent,
        _ payer: Slot<Principal>,
        _ pattern: Slot<PatternRecord>,
        _ price: inout Int64
    ) {
        if pattern.value.isWaiting {
            price = max(price, BusyTime.held(event.duration, at: priceList.held))
            return
        }
        guard BusyTime.floor(event.duration) > price else { return }
        let note = flows.contains(event.flow) ? flows[event.flow] : FlowNote()
        let long = LongStatement(
            principal: event.principal,
            pattern: event.pattern,
            tenant: owners.key(of: payer.value.owner),
            session: note.session,
            database: payer.value.databaseIndex,
            started: event.started.nanoseconds,
            ended: event.ended.time.nanoseconds,
            duration: event.duration,
            price: price,
            mayWait: mayWait(event, note, pattern)
        )
        charge(long.possible, of: long)
        guard longStatements.count < Self.mostLong else {
            // It stays possible.
            unsettledStatements &+= 1
            return
        }
        longStatements.append(long)
    }

    /// A transaction was idle: beyond a second, its connection has a price, as a pattern of its own.
    mutating func idled(_ principal: PrincipalHandle, for duration: Int64, at time: Timestamp) {
        guard duration > BusyTime.free else { return }
        let price = BusyTime.held(duration &- BusyTime.free, at: priceList.held)
        guard price > 0 else { return }
        let pattern = idlePattern(principal)
        let payer = principals.slot(principal)
        payer.value.counts.cost &+= price
        payer.value.counts.costLow &+= price
        patterns.records[pattern].cost &+= price
        patterns.records[pattern].costLow &+= price
        if payer.value.account.charge(price, at: time) { woke(principal) }
        if payer.value.account.settle(price, at: time) { woke(principal) }
        noteSettled(principal, pattern, low: price, high: price, at: time)
    }

    /// What idle transactions of a principal's database count as.
    private mutating func idlePattern(_ principal: PrincipalHandle) -> PatternHandle {
        let scope = PatternScope(database: principals[principal].databaseIndex)
        let pattern = Fingerprint(high: hash.hash(0x6964, 0x6C65), low: hash.hash(0x6C65, 0x6964))
        if let known = patterns.find(pattern, scope.code) { return known }
        return addPattern(pattern, scope, Array("(idle in transaction)".utf8), firstSeen: .max, for: principal)
    }

    /// Whether something else than work may have taken the time, which only the server could tell.
    private func mayWait(_ event: StatementEvent, _ note: FlowNote, _ pattern: Slot<PatternRecord>) -> Bool {
        switch event.kind {
        case .commit:
            // For the disk, or a synchronous standby.
            return true
        case .copy where pattern.value.assumed >= 0:
            // COPY FROM: for the client's data.
            return true
        default:
            // An answer that fits the socket's buffer holds up no server; and before a transaction's first statement a
            // pooler may have had no connection free.
            return event.bytesReceived > Self.socketBuffer
                || poolers.contains(note.server) && note.transaction == Int64.min
        }
    }

    /// The least that Linux lets a socket's send buffer grow to.
    private static var socketBuffer: UInt64 { 1 << 20 }

    /// A transaction began or ended, or something was written outside of one: somebody may have waited for it.
    @inline(never)
    mutating func noteTransaction(_ event: StatementEvent) {
        guard flows.contains(event.flow), event.outcome != .skipped else { return }
        let end = event.ended.time.nanoseconds
        switch event.kind {
        case .begin:
            guard flows[event.flow].transaction == .min else { return }
            flows[event.flow].transaction = event.started.nanoseconds
            flows[event.flow].database = principals[event.principal].databaseIndex
        case .commit, .rollback: endTransaction(event.flow, at: end, freed: event.started.nanoseconds)
        default:
            guard flows[event.flow].transaction == .min else { return }
            let database = principals[event.principal].databaseIndex
            addHolder(event.flow, in: database, from: end &- event.duration, to: end, freed: end)
        }
    }

    /// The transaction of a flow is over, if there is one.
    ///
    /// - Parameter freed: from when on its locks may have been free; its end unless told.
    mutating func endTransaction(_ flow: FlowHandle, at end: Int64, freed: Int64? = nil) {
        let start = flows[flow].transaction
        guard start != .min else { return }
        flows[flow].transaction = .min
        addHolder(flow, in: flows[flow].database, from: start, to: end, freed: freed ?? end)
    }

    private mutating func addHolder(
        _ flow: FlowHandle,
        in database: Int32,
        from start: Int64,
        to end: Int64,
        freed: Int64
    ) {
        guard end &- start >= TimeEvidence.shortestWait * 9 / 10 else { return }
        let (session, name) = (flows[flow].session, databases[Int(database)])
        evidence.add(TimeEvidence.Holder(session: session, database: name, start: start, end: end, freed: freed))
    }

    /// Charges what is possible.
    private mutating func charge(_ amount: Int64, of long: LongStatement) {
        let payer = principals.slot(long.principal)
        payer.value.counts.cost &+= amount
        patterns.records[long.pattern].cost &+= amount
        if payer.value.account.charge(amount, at: Timestamp(nanoseconds: long.started)) { woke(long.principal) }
    }

    /// A principal goes: its pace of the current second is part of the evidence all the same.
    mutating func leavePace(of handle: PrincipalHandle) {
        if principals[handle].isPaced { turnPace(principals.slot(handle), to: .min) }
    }

    /// The current second's paces are part of the evidence, too.
    mutating func gatherPaces() {
        for handle in paced where principals[handle].isPaced {
            turnPace(principals.slot(handle), to: .min)
            principals[handle].isPaced = false
        }
        paced.removeAll(keepingCapacity: true)
    }

    /// What this worker knows about time that it did not tell before.
    mutating func takeEvidence() -> TimeEvidence {
        gatherPaces()
        defer { evidence = TimeEvidence() }
        return evidence
    }

    /// Settles the long statements that ended before a time, by what all workers know.
    mutating func settleLong(_ evidence: TimeEvidence, before end: Int64 = .max) {
        finishMoves()
        guard !longStatements.isEmpty else { return }
        var left: [LongStatement] = []
        for long in longStatements {
            guard long.ended < end else {
                left.append(long)
                continue
            }
            let added = long.settlement(evidence, database: databases[Int(long.database)])
            if added.high != 0 { charge(added.high, of: long) }
            let payer = principals.slot(long.principal)
            payer.value.counts.costLow &+= added.low
            patterns.records[long.pattern].costLow &+= added.low
            if payer.value.account.settle(added.low, at: Timestamp(nanoseconds: long.started)) { woke(long.principal) }
            let high = long.possible &+ added.high
            noteSettled(
                long.principal,
                long.pattern,
                low: added.low,
                high: high,
                at: Timestamp(nanoseconds: long.started)
            )
        }
        longStatements = left
    }

    /// Patterns and principals are gone: what is to be settled is that of their heirs.
    mutating func foldLong(
        patterns: [PatternHandle: PatternHandle],
        principals: [PrincipalHandle: PrincipalHandle]
    ) {
        for index in longStatements.indices {
            if let heir = patterns[longStatements[index].pattern] { longStatements[index].pattern = heir }
            guard let heir = principals[longStatements[index].principal] else { continue }
            longStatements[index].principal = heir
            longStatements[index].tenant = owners.key(of: self.principals[heir].owner)
            longStatements[index].database = self.principals[heir].databaseIndex
        }
    }
}
