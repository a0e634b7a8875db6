// SPDX-License-Identifier: Apache-2.0
import Domain

extension Sessions {
    /// One message of the server; `body` is as much of it as was wanted.
    mutating func serverMessage(
        _ session: Slot<Session>,
        _ type: UInt8,
        _ body: RawSpan,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        counters.messages &+= 1
        switch type {
        case 0x5A: readyForQuery(session, body, &sink)
        case 0x43: commandComplete(session, body, &sink)
        case 0x31: parseComplete(session)
        case 0x32: session.value.boundSerial &+= 1
        case 0x33: closeComplete(session, &sink)
        case 0x49: emptyQuery(session, &sink)
        case 0x73: portalSuspended(session, &sink)
        case 0x45: errorResponse(session, body, &sink)
        case 0x56: functionResult(session, &sink)
        case 0x47: ignoreSyncs(session)
        case 0x53: parameterStatus(session, body, &sink)
        default: break
        }
    }

    private mutating func parseComplete(_ session: Slot<Session>) {
        session.value.parsedSerial &+= 1
        if let request = front(session), request.value.kind == .parse,
            request.value.serial == session.value.parsedSerial
        {
            pop(session)
        }
    }

    private mutating func noteUnexpected(_ session: Slot<Session>) {
        if !session.value.flags.contains(.doubtful), !session.value.flags.contains(.midstream) {
            counters.note(.unexpectedAnswer)
        }
    }

    private mutating func closeComplete(
        _ session: Slot<Session>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard let request = front(session), request.value.kind == .close else { return noteUnexpected(session) }
        let (kind, name) = (request.value.statementKind, request.value.name)
        pop(session)
        guard kind == .closeCursor, let portal = portal(session, name) else { return }
        endPortal(session, portal, finished: true, &sink)
        removePortal(session, name)
    }

    private mutating func commandComplete(
        _ session: Slot<Session>,
        _ body: RawSpan,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let tag = CommandTag(body)
        if tag.isRollback { session.value.flags.insert(.rolledBack) }
        guard let request = front(session) else {
            if session.value.phase == .ready { counters.orphanAnswers &+= 1 }
            return
        }
        switch request.value.kind {
        case .statement where !request.value.flags.contains(.done):
            completeStatement(session, request, tag, &sink)
        case .execute where !request.value.flags.contains(.done):
            completeExecute(session, request, tag, &sink)
        default:
            if !request.value.flags.contains(.unmetered) { counters.orphanAnswers &+= 1 }
        }
    }

    private mutating func completeStatement(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ tag: CommandTag,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let flags = request.value.flags
        if !flags.contains(.unmetered) {
            var event = event(session, request)
            event.rows = tag.rows
            if flags.contains(.inDoubt) { event.outcome = .uncertain }
            sink.ended(event)
        }
        noteCompletion(session)
        let kind = request.value.statementKind
        if kind == .deallocateAll || kind == .discardAll { forgetStatements(session) }
        if kind == .discardAll { resetPath(session) }
        finish(session, request)
    }

    /// A request is answered; what ends in ReadyForQuery waits for that.
    private mutating func finish(_ session: Slot<Session>, _ request: Slot<Request>) {
        if request.value.flags.contains(.endsQuery) { request.value.flags.insert(.done) } else { pop(session) }
    }

    private mutating func completeExecute(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ tag: CommandTag,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let flags = request.value.flags
        let isFirst = flags.contains(.first)
        var event = event(session, request)
        event.rows = tag.rows
        if flags.contains(.inDoubt) { event.outcome = .uncertain }
        let (name, serial) = (request.value.name, request.value.serial)
        if isFirst {
            sink.ended(event)
            let isCompleted = event.outcome == .completed
            if isCompleted { sink.acknowledged(.portal, event.principal) }
            mark(session, name, serial, isCompleted ? [.settled, .completed] : .settled)
        } else if let portal = portal(session, name), portal.serial == serial {
            completeContinued(portal, &event, &sink)
            var done = portal
            done.state.remove(.suspended)
            done.state.formUnion([.settled, .completed])
            setPortal(session, name, done)
        }
        noteCompletion(session)
        let kind = request.value.statementKind
        if kind == .deallocateAll || kind == .discardAll { forgetStatements(session) }
        if kind == .discardAll { resetPath(session) }
        finish(session, request)
    }

    private mutating func mark(_ session: Slot<Session>, _ name: UInt64, _ serial: UInt32, _ state: Portal.State) {
        if name == 0 {
            guard session.value.unnamedPortal.serial == serial else { return }
            session.value.unnamedPortal.state.formUnion(state)
        } else if var portal = portal(session, name), portal.serial == serial {
            portal.state.formUnion(state)
            setPortal(session, name, portal)
        }
    }

    /// The last part of a portal that was suspended before.
    private mutating func completeContinued(
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
        _ session: Slot<Session>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard let request = front(session), request.value.kind == .execute else { return noteUnexpected(session) }
        let flags = request.value.flags
        guard !flags.contains(.done) else { return noteUnexpected(session) }
        let (name, serial, rowLimit) = (request.value.name, request.value.serial, request.value.rowLimit)
        if flags.contains(.first), !flags.contains(.inDoubt) {
            sink.acknowledged(.portal, session.value.principal)
        }
        if var portal = portal(session, name), portal.serial == serial {
            portal.elapsed &+= duration(session, since: request.value.sent)
            portal.rowLimit = rowLimit
            if !portal.state.contains(.settled) { portal.state.insert(.suspended) }
            setPortal(session, name, portal)
        } else if flags.contains(.first) {
            // A Bind that was sent meanwhile takes its place: this is its end.
            var event = event(session, request)
            event.rows = UInt64(rowLimit)
            sink.ended(event)
        }
        noteCompletion(session)
        finish(session, request)
    }

    private mutating func emptyQuery(
        _ session: Slot<Session>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard let request = front(session), request.value.kind == .statement || request.value.kind == .execute,
            !request.value.flags.contains(.done)
        else { return noteUnexpected(session) }
        // We saw a statement where the server saw none: it never ran.
        endUnanswered(session, request, &sink)
        noteCompletion(session)
        finish(session, request)
    }

    private mutating func functionResult(
        _ session: Slot<Session>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard let request = front(session), request.value.kind == .functionCall, !request.value.flags.contains(.done)
        else {
            return noteUnexpected(session)
        }
        sink.ended(event(session, request))
        noteCompletion(session)
        request.value.flags.insert(.done)
    }

    private mutating func parameterStatus(
        _ session: Slot<Session>,
        _ body: RawSpan,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        if let value = Self.value(of: "standard_conforming_strings", in: body) {
            // "on" or "off": the second letter tells.
            if value.count > 1, body.byte(at: value.lowerBound + 1) == 0x66 {
                session.value.flags.insert(.backslashEscapes)
            } else {
                session.value.flags.remove(.backslashEscapes)
            }
        } else if let value = Self.value(of: "search_path", in: body) {
            if session.value.encoding != .plain, let readable = readable(session, body.extracting(value)) {
                reportedPath(session, readable.block.bytes(0..<readable.count), &sink)
                pool.give(readable.block)
            } else {
                reportedPath(session, body.extracting(value), &sink)
            }
        } else if let value = Self.value(of: "client_encoding", in: body) {
            reportedEncoding(session, body.extracting(value))
        }
    }

    /// Where the value of a ParameterStatus stands, if it is that parameter's.
    private static func value(of name: StaticString, in body: RawSpan) -> Range<Int>? {
        let length = name.utf8CodeUnitCount
        guard body.byteCount > length, body.byte(at: length) == 0 else { return nil }
        for index in 0..<length {
            guard unsafe body.byte(at: index) == name.utf8Start[index] else { return nil }
        }
        return length + 1..<(body.firstOffset(of: 0, from: length + 1) ?? body.byteCount)
    }

    /// ReadyForQuery: everything up to the end of a Query, Sync or FunctionCall is done.
    private mutating func readyForQuery(
        _ session: Slot<Session>,
        _ body: RawSpan,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        if session.value.phase != .ready {
            // Where the answer to the login is missing, this one may belong to a query already.
            let isQuery = session.value.flags.contains(.doubtful) && front(session) != nil
            login(session, &sink)
            guard isQuery else {
                if front(session) == nil { session.value.flags.insert(.idle) }
                return
            }
        }
        while let request = front(session) {
            let flags = request.value.flags
            let isEnd = flags.contains(.endsQuery)
            if !flags.contains(.done) { endUnanswered(session, request, &sink) }
            if isEnd { acknowledge(session, request, &sink) }
            // After a loss, requests sent before it may have been answered in the bytes that are missing.
            let goesOn = flags.contains(.inDoubt) && session.value.flags.contains(.doubtful)
            pop(session)
            if isEnd, !goesOn { break }
        }
        if front(session) == nil {
            session.value.flags.insert(.idle)
            session.value.flags.remove(.doubtful)
            // Nothing is in flight: both sides agree again, whatever was lost before.
            session.value.boundSerial = session.value.portalSerial
            session.value.parsedSerial = session.value.parseSerial
            settleEncoding(session)
        }
        let status = body.byteCount > 0 ? body.byte(at: 0) : session.value.transaction
        session.value.transaction = status
        // In a transaction that goes on, it was taken back to a savepoint.
        if status == 0x54 { session.value.flags.remove(.erred) }
        if status == 0x49 {
            if session.value.portals >= 0 || session.value.unnamedPortal.state.contains(.exists) {
                let finished = !session.value.flags.contains(.rolledBack)
                endPortals(session, finished: finished, &sink)
            }
            endPath(session)
            if sink.awaitsTransactions {
                let committed = session.value.flags.isDisjoint(with: [.rolledBack, .erred])
                sink.transactionEnded(session.handle, committed: committed)
            }
            session.value.flags.subtract([.rolledBack, .erred])
        }
        session.value.lastCompletion = now.time
        session.value.answerStart = session.value.serverBytes
    }

    /// The end of a Query, Sync or FunctionCall is reached.
    private mutating func acknowledge(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let flags = request.value.flags
        switch request.value.kind {
        case .statement, .functionCall:
            guard flags.contains(.done), !flags.contains(.failed), !flags.contains(.inDoubt) else { return }
            let kind = request.value.statementKind
            let isWalsender = flags.contains(.unmetered) && (kind == .replication || kind == .show)
            guard !isWalsender else { return }
            sink.acknowledged(request.value.kind == .statement ? .query : .functionCall, session.value.principal)
        default:
            // Binds up to here were answered or skipped.
            session.value.boundSerial = max(session.value.boundSerial, request.value.syncSerial)
        }
    }

    /// A request for which ReadyForQuery came without an answer of its own: the answer was lost, or the text was
    /// taken for more statements than the server saw in it.
    private mutating func endUnanswered(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let flags = request.value.flags
        guard isMetered(request), request.value.kind != .execute || flags.contains(.first) else { return }
        var event = event(session, request)
        event.outcome = session.value.flags.contains(.doubtful) || flags.contains(.inDoubt) ? .uncertain : .skipped
        sink.ended(event)
        if request.value.kind == .execute { mark(session, request.value.name, request.value.serial, .settled) }
    }
}
