// SPDX-License-Identifier: Apache-2.0
import Domain

extension Sessions {
    /// One message of the server; `body` is as much of it as was wanted.
    mutating func serverMessage(
        _ flow: FlowHandle,
        _ type: UInt8,
        _ body: RawSpan,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        counters.messages &+= 1
        switch type {
        case 0x5A: readyForQuery(flow, body, moment, &sink)
        case 0x43: commandComplete(flow, body, moment, &sink)
        case 0x31: parseComplete(flow)
        case 0x32: table[flow].boundSerial &+= 1
        case 0x33: closeComplete(flow, moment, &sink)
        case 0x49: emptyQuery(flow, moment, &sink)
        case 0x73: portalSuspended(flow, moment, &sink)
        case 0x45: errorResponse(flow, body, moment, &sink)
        case 0x56: functionResult(flow, moment, &sink)
        case 0x47: ignoreSyncs(flow)
        case 0x53: parameterStatus(flow, body)
        default: break
        }
    }

    private mutating func parseComplete(_ flow: FlowHandle) {
        table[flow].parsedSerial &+= 1
        let entry = front(flow)
        if entry >= 0, requests[entry].kind == .parse, requests[entry].serial == table[flow].parsedSerial { pop(flow) }
    }

    private mutating func noteUnexpected(_ flow: FlowHandle) {
        if !table[flow].flags.contains(.doubtful), !table[flow].flags.contains(.midstream) {
            counters.note(.unexpectedAnswer)
        }
    }

    private mutating func closeComplete(
        _ flow: FlowHandle,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let entry = front(flow)
        guard entry >= 0, requests[entry].kind == .close else { return noteUnexpected(flow) }
        let (kind, name) = (requests[entry].statementKind, requests[entry].name)
        pop(flow)
        guard kind == .closeCursor, let portal = portal(flow, name) else { return }
        endPortal(flow, portal, finished: true, moment, &sink)
        removePortal(flow, name)
    }

    private mutating func commandComplete(
        _ flow: FlowHandle,
        _ body: RawSpan,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let tag = CommandTag(body)
        if tag.isRollback { table[flow].flags.insert(.rolledBack) }
        let entry = front(flow)
        guard entry >= 0 else {
            if table[flow].phase == .ready { counters.orphanAnswers &+= 1 }
            return
        }
        switch requests[entry].kind {
        case .statement where !requests[entry].flags.contains(.done):
            completeStatement(flow, entry, tag, moment, &sink)
        case .execute where !requests[entry].flags.contains(.done):
            completeExecute(flow, entry, tag, moment, &sink)
        default:
            if !requests[entry].flags.contains(.unmetered) { counters.orphanAnswers &+= 1 }
        }
    }

    private mutating func completeStatement(
        _ flow: FlowHandle,
        _ entry: Int32,
        _ tag: CommandTag,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let flags = requests[entry].flags
        if !flags.contains(.unmetered) {
            var event = event(flow, entry, moment)
            event.rows = tag.rows
            if flags.contains(.inDoubt) { event.outcome = .uncertain }
            sink.ended(event)
        }
        noteCompletion(flow, moment)
        let kind = requests[entry].statementKind
        if kind == .deallocateAll || kind == .discardAll { forgetStatements(flow) }
        finish(flow, entry)
    }

    /// A request is answered; what ends in ReadyForQuery waits for that.
    private mutating func finish(_ flow: FlowHandle, _ entry: Int32) {
        if requests[entry].flags.contains(.endsQuery) { requests[entry].flags.insert(.done) } else { pop(flow) }
    }

    private mutating func completeExecute(
        _ flow: FlowHandle,
        _ entry: Int32,
        _ tag: CommandTag,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let flags = requests[entry].flags
        let isFirst = flags.contains(.first)
        var event = event(flow, entry, moment)
        event.rows = tag.rows
        if flags.contains(.inDoubt) { event.outcome = .uncertain }
        let (name, serial) = (requests[entry].name, requests[entry].serial)
        if isFirst {
            sink.ended(event)
            let isCompleted = event.outcome == .completed
            if isCompleted { sink.acknowledged(.portal, event.principal) }
            mark(flow, name, serial, isCompleted ? [.settled, .completed] : .settled)
        } else if let portal = portal(flow, name), portal.serial == serial {
            completeContinued(portal, &event, &sink)
            var done = portal
            done.state.remove(.suspended)
            done.state.formUnion([.settled, .completed])
            setPortal(flow, name, done)
        }
        noteCompletion(flow, moment)
        let kind = requests[entry].statementKind
        if kind == .deallocateAll || kind == .discardAll { forgetStatements(flow) }
        finish(flow, entry)
    }

    private mutating func mark(_ flow: FlowHandle, _ name: UInt64, _ serial: UInt32, _ state: Portal.State) {
        if name == 0 {
            guard table[flow].unnamedPortal.serial == serial else { return }
            table[flow].unnamedPortal.state.formUnion(state)
        } else if var portal = portal(flow, name), portal.serial == serial {
            portal.state.formUnion(state)
            setPortal(flow, name, portal)
        }
    }

    /// The last part of a portal that was suspended before.
    private func completeContinued(
        _ portal: Portal,
        _ event: inout StatementEvent,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard portal.state.contains(.suspended) else { return }
        event.price = portal.price
        event.started = portal.started
        event.duration &+= portal.elapsed
        sink.ended(event)
    }

    private mutating func portalSuspended(
        _ flow: FlowHandle,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let entry = front(flow)
        guard entry >= 0, requests[entry].kind == .execute else { return noteUnexpected(flow) }
        let flags = requests[entry].flags
        guard !flags.contains(.done) else { return noteUnexpected(flow) }
        let (name, serial, rowLimit) = (requests[entry].name, requests[entry].serial, requests[entry].rowLimit)
        if flags.contains(.first), !flags.contains(.inDoubt) {
            sink.acknowledged(.portal, table[flow].principal)
        }
        if var portal = portal(flow, name), portal.serial == serial {
            portal.elapsed &+= duration(flow, since: requests[entry].sent, moment)
            portal.rowLimit = rowLimit
            if !portal.state.contains(.settled) { portal.state.insert(.suspended) }
            setPortal(flow, name, portal)
        } else if flags.contains(.first) {
            // A Bind that was sent meanwhile takes its place: this is its end.
            var event = event(flow, entry, moment)
            event.rows = UInt64(rowLimit)
            sink.ended(event)
        }
        noteCompletion(flow, moment)
        finish(flow, entry)
    }

    private mutating func emptyQuery(
        _ flow: FlowHandle,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let entry = front(flow)
        guard entry >= 0, requests[entry].kind == .statement || requests[entry].kind == .execute,
            !requests[entry].flags.contains(.done)
        else { return noteUnexpected(flow) }
        // We saw a statement where the server saw none: it never ran.
        endUnanswered(flow, entry, moment, &sink)
        noteCompletion(flow, moment)
        finish(flow, entry)
    }

    private mutating func functionResult(
        _ flow: FlowHandle,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let entry = front(flow)
        guard entry >= 0, requests[entry].kind == .functionCall, !requests[entry].flags.contains(.done) else {
            return noteUnexpected(flow)
        }
        sink.ended(event(flow, entry, moment))
        noteCompletion(flow, moment)
        requests[entry].flags.insert(.done)
    }

    private func parameterStatus(_ flow: FlowHandle, _ body: RawSpan) {
        let name: StaticString = "standard_conforming_strings"
        guard body.byteCount > name.utf8CodeUnitCount + 2, body.byte(at: 0) == 0x73, body.byte(at: 1) == 0x74 else {
            return
        }
        for index in 0..<name.utf8CodeUnitCount {
            guard unsafe body.byte(at: index) == name.utf8Start[index] else { return }
        }
        // "on" or "off": the second letter tells.
        if body.byte(at: name.utf8CodeUnitCount + 2) == 0x66 {
            table[flow].flags.insert(.backslashEscapes)
        } else {
            table[flow].flags.remove(.backslashEscapes)
        }
    }

    /// ReadyForQuery: everything up to the end of a Query, Sync or FunctionCall is done.
    private mutating func readyForQuery(
        _ flow: FlowHandle,
        _ body: RawSpan,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        if table[flow].phase != .ready {
            // Where the answer to the login is missing, this one may belong to a query already.
            let isQuery = table[flow].flags.contains(.doubtful) && front(flow) >= 0
            login(flow, moment, &sink)
            guard isQuery else {
                if front(flow) < 0 { table[flow].flags.insert(.idle) }
                return
            }
        }
        while front(flow) >= 0 {
            let entry = front(flow)
            let flags = requests[entry].flags
            let isEnd = flags.contains(.endsQuery)
            if !flags.contains(.done) { endUnanswered(flow, entry, moment, &sink) }
            if isEnd { acknowledge(flow, entry, &sink) }
            // After a loss, requests sent before it may have been answered in the bytes that are missing.
            let goesOn = flags.contains(.inDoubt) && table[flow].flags.contains(.doubtful)
            pop(flow)
            if isEnd, !goesOn { break }
        }
        if front(flow) < 0 {
            table[flow].flags.insert(.idle)
            table[flow].flags.remove(.doubtful)
            // Nothing is in flight: both sides agree again, whatever was lost before.
            table[flow].boundSerial = table[flow].portalSerial
            table[flow].parsedSerial = table[flow].parseSerial
        }
        let status = body.byteCount > 0 ? body.byte(at: 0) : table[flow].transaction
        table[flow].transaction = status
        if status == 0x49 {
            if table[flow].portals >= 0 || table[flow].unnamedPortal.state.contains(.exists) {
                let finished = !table[flow].flags.contains(.rolledBack)
                endPortals(flow, finished: finished, moment, &sink)
            }
            table[flow].flags.remove(.rolledBack)
        }
        table[flow].lastCompletion = moment.time
        table[flow].answerStart = table[flow].serverBytes
    }

    /// The end of a Query, Sync or FunctionCall is reached.
    private func acknowledge(_ flow: FlowHandle, _ entry: Int32, _ sink: inout some SessionSink & ~Copyable) {
        let flags = requests[entry].flags
        switch requests[entry].kind {
        case .statement, .functionCall:
            guard flags.contains(.done), !flags.contains(.failed), !flags.contains(.inDoubt) else { return }
            let kind = requests[entry].statementKind
            let isWalsender = flags.contains(.unmetered) && (kind == .replication || kind == .show)
            guard !isWalsender else { return }
            sink.acknowledged(requests[entry].kind == .statement ? .query : .functionCall, table[flow].principal)
        default:
            // Binds up to here were answered or skipped.
            table[flow].boundSerial = max(table[flow].boundSerial, requests[entry].syncSerial)
        }
    }

    /// A request for which ReadyForQuery came without an answer of its own: the answer was lost, or the text was
    /// taken for more statements than the server saw in it.
    private mutating func endUnanswered(
        _ flow: FlowHandle,
        _ entry: Int32,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let flags = requests[entry].flags
        guard isMetered(entry), requests[entry].kind != .execute || flags.contains(.first) else { return }
        var event = event(flow, entry, moment)
        event.outcome = table[flow].flags.contains(.doubtful) || flags.contains(.inDoubt) ? .uncertain : .skipped
        sink.ended(event)
        if requests[entry].kind == .execute { mark(flow, requests[entry].name, requests[entry].serial, .settled) }
    }
}
