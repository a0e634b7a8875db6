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
        case 0x31: answer(flow, .parse)
        case 0x32: answer(flow, .bind)
        case 0x33: closeComplete(flow, moment, &sink)
        case 0x54, 0x6E: answer(flow, .describe)
        case 0x49: emptyQuery(flow, moment)
        case 0x73: portalSuspended(flow, moment, &sink)
        case 0x45: errorResponse(flow, body, moment, &sink)
        case 0x56: functionResult(flow, moment, &sink)
        case 0x47: ignoreSyncs(flow)
        case 0x53: parameterStatus(flow, body)
        default: break
        }
    }

    /// ParseComplete, BindComplete, or the answer to a Describe.
    private mutating func answer(_ flow: FlowHandle, _ kind: Request.Kind) {
        let entry = front(flow)
        guard entry >= 0, requests[entry].kind == kind else {
            // RowDescription also precedes the rows of a Query message.
            if kind != .describe, table[flow].phase == .ready { noteUnexpected(flow) }
            return
        }
        pop(flow)
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
        let request = requests[entry]
        pop(flow)
        guard request.statementKind == .closeCursor, let portal = portal(flow, request.name) else { return }
        endPortal(flow, portal, finished: true, moment, &sink)
        removePortal(flow, request.name)
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
        case .execute:
            completeExecute(flow, requests[entry], tag, moment, &sink)
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
        let request = requests[entry]
        if !request.flags.contains(.unmetered) {
            var event = event(flow, request, moment)
            event.rows = tag.rows
            if request.flags.contains(.inDoubt) { event.outcome = .uncertain }
            sink.ended(event)
        }
        noteCompletion(flow, moment)
        if request.statementKind == .deallocateAll || request.statementKind == .discardAll { forgetStatements(flow) }
        if request.flags.contains(.endsQuery) { requests[entry].flags.insert(.done) } else { pop(flow) }
    }

    private mutating func completeExecute(
        _ flow: FlowHandle,
        _ request: Request,
        _ tag: CommandTag,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        var event = event(flow, request, moment)
        event.rows = tag.rows
        if request.flags.contains(.inDoubt) { event.outcome = .uncertain }
        let isFirst = request.flags.contains(.first)
        if request.name == 0, table[flow].unnamedPortal.serial == request.serial {
            // The usual case, without a copy of the portal.
            if isFirst {
                sink.ended(event)
            } else {
                completeContinued(table[flow].unnamedPortal, &event, &sink)
            }
            table[flow].unnamedPortal.state.remove(.suspended)
        } else if let portal = portal(flow, request.name), portal.serial == request.serial {
            if isFirst { sink.ended(event) } else { completeContinued(portal, &event, &sink) }
            var done = portal
            done.state.remove(.suspended)
            setPortal(flow, request.name, done)
        } else if isFirst {
            sink.ended(event)
        }
        if isFirst, event.outcome == .completed { sink.acknowledged(.portal, table[flow].principal) }
        noteCompletion(flow, moment)
        let kind = request.statementKind
        pop(flow)
        if kind == .deallocateAll || kind == .discardAll { forgetStatements(flow) }
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
        let request = requests[entry]
        if request.flags.contains(.first), !request.flags.contains(.inDoubt) {
            sink.acknowledged(.portal, table[flow].principal)
        }
        if var portal = portal(flow, request.name), portal.serial == request.serial {
            portal.elapsed &+= duration(flow, request, moment)
            portal.rowLimit = request.rowLimit
            portal.state.insert(.suspended)
            setPortal(flow, request.name, portal)
        } else if request.flags.contains(.first) {
            // A Bind that was sent meanwhile takes its place: this is its end.
            var event = event(flow, request, moment)
            event.rows = UInt64(request.rowLimit)
            sink.ended(event)
        }
        noteCompletion(flow, moment)
        pop(flow)
    }

    private mutating func emptyQuery(_ flow: FlowHandle, _ moment: Moment) {
        let entry = front(flow)
        guard entry >= 0 else { return noteUnexpected(flow) }
        noteCompletion(flow, moment)
        switch requests[entry].kind {
        case .statement: requests[entry].flags.insert(.done)
        case .execute: pop(flow)
        default: noteUnexpected(flow)
        }
    }

    private mutating func functionResult(
        _ flow: FlowHandle,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let entry = front(flow)
        guard entry >= 0, requests[entry].kind == .functionCall else { return noteUnexpected(flow) }
        sink.ended(event(flow, requests[entry], moment))
        noteCompletion(flow, moment)
        requests[entry].flags.insert(.done)
    }

    private func parameterStatus(_ flow: FlowHandle, _ body: RawSpan) {
        let name: StaticString = "standard_conforming_strings"
        guard body.byteCount > name.utf8CodeUnitCount + 2, body.byte(at: 0) == 0x73, body.byte(at: 1) == 0x74 else { return }
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
        guard table[flow].phase == .ready else {
            login(flow, moment, &sink)
            table[flow].flags.insert(.idle)
            return
        }
        while front(flow) >= 0 {
            let request = requests[front(flow)]
            let isEnd = request.flags.contains(.endsQuery)
            endUnanswered(flow, request, moment, &sink)
            if isEnd, request.kind == .statement || request.kind == .functionCall,
                request.flags.contains(.done), !request.flags.contains(.failed), !request.flags.contains(.inDoubt),
                request.statementKind != .replication,
                !(request.flags.contains(.unmetered) && request.statementKind == .show)
            {
                let what: Acknowledgment = request.kind == .statement ? .query : .functionCall
                sink.acknowledged(what, table[flow].principal)
            }
            // After a loss, requests sent before it may have been answered in the bytes that are missing.
            let goesOn = request.flags.contains(.inDoubt) && table[flow].flags.contains(.doubtful)
            pop(flow)
            if isEnd, !goesOn { break }
        }
        if front(flow) < 0 {
            table[flow].flags.insert(.idle)
            table[flow].flags.remove(.doubtful)
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

    /// A request for which ReadyForQuery came without an answer of its own: the answer was lost, or the text was
    /// taken for more statements than the server saw in it.
    private func endUnanswered(
        _ flow: FlowHandle,
        _ request: Request,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard isMetered(request), !request.flags.contains(.done) else { return }
        guard request.kind != .execute || request.flags.contains(.first) else { return }
        var event = event(flow, request, moment)
        event.outcome = table[flow].flags.contains(.doubtful) || request.flags.contains(.inDoubt) ? .uncertain : .skipped
        sink.ended(event)
    }
}
