// SPDX-License-Identifier: Apache-2.0
public import Costs
public import Domain
public import PostgresWire

/// What time says about charges: `Documentation/units.md`, "Time".
extension Metering where Recorder: ~Copyable {
    /// How slowly a statement of a known pattern ran: gathered second by second.
    @inline(__always)
    mutating func notePace(_ event: StatementEvent, _ payer: Slot<Principal>, _ pattern: Slot<PatternRecord>) {
        let second = event.ended.time.nanoseconds / 1_000_000_000
        if payer.value.paceSecond != second { usage.time.turn(payer, of: principals.tenant(of: payer), to: second) }
        payer.value.pace.add(Pace.logarithm(event.duration) &- Int64(pattern.value.usual))
    }

    /// Keeps how long statements took, to compare them at the end.
    public mutating func logPaces() { usage.time.logPaces() }

    /// Notes how long an execution took, where no duration is known to be usual.
    @inline(__always)
    mutating func logPace(_ event: StatementEvent, _ payer: Slot<Principal>) {
        if let cell = usage.time.log(event, of: payer.value.owner) { keep(cell) }
    }

    @inline(never)
    private mutating func keep(_ cell: PaceLog.Cell) {
        let pattern = patterns.slot(cell.pattern)
        let key = PaceLog.Key(
            second: cell.second,
            tenant: principals.owners.key(of: cell.owner),
            pattern: pattern.value.fingerprint,
            database: pattern.value.database
        )
        usage.time.keep(cell.pace, of: key)
    }

    /// Keeps all that is being counted: before places of principals and patterns become others', and at the end.
    public mutating func keepPaces() {
        for cell in usage.time.takeCells() { keep(cell) }
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
            price = max(price, BusyTime.held(event.duration, at: prices.list.held))
            return
        }
        guard BusyTime.floor(event.duration) > price else { return }
        let note = flows.note(of: event.flow)
        let long = LongStatement(
            principal: event.principal,
            pattern: event.pattern,
            tenant: principals.tenant(of: payer),
            session: note.session,
            database: payer.value.databaseIndex,
            started: event.started.nanoseconds,
            ended: event.ended.time.nanoseconds,
            duration: event.duration,
            price: price,
            mayWait: mayWait(event, note, pattern)
        )
        charge(long.possible, of: long)
        usage.time.add(long)
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

    // MARK: Transactions

    /// A transaction was idle: beyond a second, its connection has a price, as a pattern of its own.
    public mutating func idled(_ principal: PrincipalHandle, for duration: Int64, at time: Timestamp) {
        guard duration > BusyTime.free else { return }
        let price = BusyTime.held(duration &- BusyTime.free, at: prices.list.held)
        guard price > 0 else { return }
        let pattern = idlePattern(principal)
        let payer = principals.slot(principal)
        patterns.slot(pattern).value.cost &+= price
        patterns.slot(pattern).value.costLow &+= price
        usage.charge(payer, price, at: time)
        usage.settle(payer, price, at: time)
        noteSettled(principal, pattern, low: price, high: price, at: time)
    }

    /// What idle transactions of a principal's database count as.
    private mutating func idlePattern(_ principal: PrincipalHandle) -> PatternHandle {
        let scope = PatternScope(database: principals.slot(principal).value.databaseIndex)
        let pattern = Fingerprint(high: hash.hash(0x6964, 0x6C65), low: hash.hash(0x6C65, 0x6964))
        if let known = patterns.find(pattern, scope.code) { return known }
        return addPattern(pattern, scope, Array("(idle in transaction)".utf8), firstSeen: .max, for: principal)
    }

    /// A transaction began or ended, or something was written outside of one: somebody may have waited for it.
    @inline(never)
    mutating func noteTransaction(_ event: StatementEvent) {
        guard flows.contains(event.flow), event.outcome != .skipped else { return }
        let end = event.ended.time.nanoseconds
        switch event.kind {
        case .begin:
            guard flows[event.flow].transaction == .min else { return }
            flows[event.flow].transaction = event.started.nanoseconds
            flows[event.flow].database = principals.slot(event.principal).value.databaseIndex
        case .commit, .rollback: endTransaction(event.flow, at: end, freed: event.started.nanoseconds)
        default:
            guard flows[event.flow].transaction == .min else { return }
            let database = principals.slot(event.principal).value.databaseIndex
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
        let (session, name) = (flows[flow].session, principals.database(database))
        usage.time.add(TimeEvidence.Holder(session: session, database: name, start: start, end: end, freed: freed))
    }

    // MARK: Settling

    /// Charges what is possible.
    private mutating func charge(_ amount: Int64, of long: LongStatement) {
        patterns.slot(long.pattern).value.cost &+= amount
        usage.charge(principals.slot(long.principal), amount, at: Timestamp(nanoseconds: long.started))
    }

    /// A principal goes: its pace of the current second is part of the evidence all the same.
    mutating func leavePace(of handle: PrincipalHandle) {
        let payer = principals.slot(handle)
        usage.time.leave(payer, of: principals.tenant(of: payer))
    }

    /// The current second's paces are part of the evidence, too.
    public mutating func gatherPaces() { usage.time.gather(principals) }

    /// What this worker knows about time that it did not tell before.
    public mutating func takeEvidence() -> TimeEvidence {
        gatherPaces()
        return usage.time.takeEvidence()
    }

    /// Settles the long statements that ended before a time, by what all workers know.
    public mutating func settleLong(_ evidence: TimeEvidence, before end: Int64 = .max) {
        finishMoves()
        for long in usage.time.takeLong(before: end) {
            let added = long.settlement(evidence, database: principals.database(long.database))
            let time = Timestamp(nanoseconds: long.started)
            if added.high != 0 { charge(added.high, of: long) }
            patterns.slot(long.pattern).value.costLow &+= added.low
            usage.settle(principals.slot(long.principal), added.low, at: time)
            let high = long.possible &+ added.high
            noteSettled(long.principal, long.pattern, low: added.low, high: high, at: time)
        }
    }
}
