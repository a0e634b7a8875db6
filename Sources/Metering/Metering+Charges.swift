// SPDX-License-Identifier: Apache-2.0
import Costs
public import Domain
public import PostgresWire
import Quotas

/// What a statement is charged when it is sent, and what of that is proven when it ends.
extension Metering where Recorder: ~Copyable {
    // MARK: When it is sent

    /// A statement was sent; returns its price in micro-units.
    public mutating func started(
        _ principal: PrincipalHandle,
        _ pattern: PatternHandle,
        at time: Timestamp
    ) -> Int64 {
        let record = patterns.slot(pattern)
        let isPriced = record.value.priceExpires > time.nanoseconds
        var price = isPriced ? record.value.price : findPrice(record, at: time)
        if isPriced { prices.kept &+= 1 }
        let payer = principals.slot(principal)
        if record.value.hasOwnPrices, let own = ownPrice(record, payer, at: time) { price = own }
        usage.charge(payer, price, at: time)
        payer.value.counts.sent &+= 1
        return price
    }

    @inline(never)
    private mutating func findPrice(_ record: Slot<PatternRecord>, at time: Timestamp) -> Int64 {
        prices.find(record, hasSample: samples.contains(record.place), at: time)
    }

    /// A user's own price of a pattern that has such prices; `nil`: the common one holds.
    @inline(never)
    private mutating func ownPrice(
        _ record: Slot<PatternRecord>,
        _ payer: Slot<Principal>,
        at time: Timestamp
    ) -> Int64? {
        prices.ownPrice(record, principals.tenant(of: payer), at: time)
    }

    /// A statement that was charged to nobody is found to be a principal's; returns its pattern in that database.
    public mutating func reattribute(
        _ pattern: PatternHandle,
        _ price: Int64,
        sentAt time: Timestamp,
        to principal: PrincipalHandle
    ) -> PatternHandle {
        let (nobody, payer) = (principals.slot(0), principals.slot(principal))
        nobody.value.counts.sent &-= 1
        nobody.value.counts.cost &-= price
        // Nobody's account is none that is handed on.
        _ = nobody.value.account.refund(price, at: time)
        payer.value.counts.sent &+= 1
        usage.charge(payer, price, at: time)
        guard pattern > 0 else { return 0 }
        var scope = patterns.slot(pattern).value.scope
        (scope.database, scope.role) = (payer.value.databaseIndex, payer.value.roleIndex)
        return self.pattern(pattern, in: scope, for: principal)
    }

    /// A statement that was sent turns out to be of another pattern than was thought; returns its price, in micro-units.
    public mutating func repriced(
        _ principal: PrincipalHandle,
        _ price: Int64,
        sentAt time: Timestamp,
        as pattern: PatternHandle
    ) -> Int64 {
        let record = patterns.slot(pattern)
        let isPriced = record.value.priceExpires > time.nanoseconds
        let right = isPriced ? record.value.price : findPrice(record, at: time)
        usage.charge(principals.slot(principal), right &- price, at: time)
        return right
    }

    // MARK: When it ends

    /// A statement ended.
    public mutating func ended(_ event: StatementEvent) {
        let payer = principals.slot(event.principal)
        let pattern = patterns.slot(event.pattern)
        var price = event.price
        switch event.outcome {
        case .completed:
            payer.value.counts.noteCompleted(event)
            pattern.value.noteCompleted(event)
            if prices.isPricing { learn(event, pattern, of: payer.value.owner) }
            price = prove(event, payer, pattern)
        case .failed:
            payer.value.counts.failed &+= 1
            pattern.value.errors &+= 1
            price = prove(event, payer, pattern)
        case .uncertain:
            payer.value.counts.uncertain &+= 1
            pattern.value.cost &+= event.price
            if activity.isKept { note(event, low: 0, high: event.price) }
        case .skipped:
            payer.value.counts.skipped &+= 1
            usage.refund(payer, event.price, at: event.started)
            if event.errorCode != 0 {
                pattern.value.errors &+= 1
                if activity.isKept { note(event, low: 0, high: 0) }
            }
        }
        if event.outcome != .skipped { usage.note(event.wire) }
        if event.kind.holdsLocks(longerThan: TimeEvidence.shortestWait, event.duration) { noteTransaction(event) }
        if Recorder.isActive { record(event, price) }
    }

    /// Settles what was charged when the statement was sent: by the price that is known by now, and by what came of it.
    @inline(__always)
    private mutating func prove(
        _ event: StatementEvent,
        _ payer: Slot<Principal>,
        _ pattern: Slot<PatternRecord>
    ) -> Int64 {
        var (price, listed) = (event.price, pattern.value.price)
        let planned = pattern.value.planned
        if pattern.value.hasOwnPrices, let own = ownPrice(pattern, payer, at: event.started) { listed = own }
        if planned > 0 {
            // Others' runs, which taught the price too, do not make this one dearer than twice its own time.
            price = min(listed, BusyTime.ceiling(event.duration, planned: planned))
        }
        if pattern.value.isMeasured {
            if planned == 0 { price = listed }
            price = price &+ Self.weights.extra(event.kind, rows: event.rows, bytes: event.bytesReceived)
        }
        if event.outcome == .completed {
            if pattern.value.usual > 0 {
                notePace(event, payer, pattern)
            } else if usage.time.logsPaces {
                logPace(event, payer)
            }
        }
        // Without an error's code nobody saw the end, nor how long it took. What was refused did not run, whatever the price.
        if event.outcome == .failed, event.isRefused || event.errorCode != 0 && !pattern.value.isFixed {
            price = min(price, BusyTime.ceilingOfFailed(event.duration))
        }
        if event.duration >= BusyTime.shortest, !pattern.value.isFixed { noteLong(event, payer, pattern, &price) }
        if price != event.price { usage.charge(payer, price &- event.price, at: event.started) }
        usage.settle(payer, price, at: event.started)
        pattern.value.cost &+= price
        pattern.value.costLow &+= price
        if activity.isWatched { watch(event, price) }
        return price
    }

    private static var weights: UnitWeights { UnitWeights() }

    /// What only a daemon keeps: a replay pays one look at a flag for all of it.
    @inline(never)
    private mutating func watch(_ event: StatementEvent, _ price: Int64) {
        let isProven = !principals.slot(event.principal).value.isPossible
        guard !activity.settled(event, price, isProven: isProven) else { return }
        noteAsOther(event, low: isProven ? price : 0, high: price)
    }

    /// For the history: a line of its own, or one with the user's other patterns.
    @inline(never)
    private mutating func note(_ event: StatementEvent, low: Int64, high: Int64) {
        if !activity.note(event, low: low, high: high) { noteAsOther(event, low: low, high: high) }
    }

    private mutating func noteAsOther(_ event: StatementEvent, low: Int64, high: Int64) {
        let payer = principals.slot(event.principal)
        let other = patterns.otherFingerprint(principals.tenant(of: payer))
        let database = patterns.slot(event.pattern).value.database
        let pattern = patterns.other(payer.value.owner, database, other)
        activity.note(event, as: pattern, low: low, high: high)
    }

    /// For evidence and the history: what was charged beside the end of a statement.
    mutating func noteSettled(
        _ principal: PrincipalHandle,
        _ pattern: PatternHandle,
        low: Int64,
        high: Int64,
        at time: Timestamp
    ) {
        let isProven = !principals.slot(principal).value.isPossible
        activity.charged(principal, pattern, low: low, high: high, isProven: isProven, at: time)
    }

    private mutating func record(_ event: StatementEvent, _ price: Int64) {
        var event = event
        event.price = price
        let note = flows.note(of: event.flow)
        let payer = principals.slot(event.principal)
        recorder.record(
            StatementDetails(
                event: event,
                session: note.session,
                client: note.client,
                server: note.server,
                user: payer.value.user,
                database: payer.value.database,
                application: application(note.application),
                fingerprint: patterns.slot(event.pattern).value.fingerprint,
                text: patterns.text(of: event.pattern)
            )
        )
    }

    // MARK: Beside statements

    /// A completed statement was lost with its session before its portal ended.
    public mutating func vanished(_ principal: PrincipalHandle, _ pattern: PatternHandle, _ kind: StatementKind) {
        if kind.isPlannable { principals.slot(principal).value.counts.plannable &-= 1 }
        patterns.slot(pattern).value.calls &-= 1
    }

    /// Bytes of requests that could not be read widen the interval of what their sender used: they may have held a
    /// statement for every 64 bytes, each at the sender's own average price.
    public mutating func missed(_ principal: PrincipalHandle, count: Int, at time: Timestamp) {
        let payer = principals.slot(principal)
        let counts = payer.value.counts
        // Of what was read only: else each loss made the next one dearer.
        let average =
            counts.sent > 0
            ? max(0, counts.cost &- counts.hiddenCost) / Int64(clamping: counts.sent) : prices.list.fallback.micro
        // A jump of unknown size counts as a mebibyte.
        let bytes = min(count, 1 << 20)
        let (possible, isTooMuch) = average.multipliedReportingOverflow(by: Int64(bytes / 64 + 1))
        guard !isTooMuch else { return }
        payer.value.counts.hidden &+= UInt64(bytes)
        payer.value.counts.hiddenCost &+= possible
        usage.charge(payer, possible, at: time)
    }

    /// A message was done without error.
    @inline(__always)
    public mutating func acknowledged(_ what: Acknowledgment, _ principal: PrincipalHandle) {
        principals.slot(principal).value.counts.note(what)
    }

    /// The server reported an error to a session.
    public mutating func reported(_ principal: PrincipalHandle) {
        principals.slot(principal).value.counts.errors &+= 1
    }
}
