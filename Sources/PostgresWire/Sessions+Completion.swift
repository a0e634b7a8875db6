// SPDX-License-Identifier: Apache-2.0
import Domain

/// Answers that end a statement, or a part of it.
extension Sessions {
    mutating func commandComplete(
        _ session: Slot<Session>,
        _ body: RawSpan,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let tag = CommandTag(body)
        guard let first = front(session) else {
            if tag.isRollback { session.value.flags.insert(.rolledBack) }
            return answerWithoutRequest(session, &sink)
        }
        switch first.value.kind {
        case .statement where !first.value.flags.contains(.done): completeStatement(session, first, tag, body, &sink)
        case .extended:
            guard let request = awaiting(session, first, .execute, &sink) else {
                return answerWithoutRequest(session, &sink)
            }
            completeExecute(session, request, tag, body, &sink)
        case .summary:
            endOne(session, first, .completed, rows: tag.rows, code: 0, &sink)
            noteCompletion(session)
        // A walsender's command may end twice.
        default: if !first.value.flags.contains(.unmetered) { answerWithoutRequest(session, &sink) }
        }
    }

    /// A statement of this session was done whose request is not known: it stays in the upper bound.
    private mutating func answerWithoutRequest(_ session: Slot<Session>, _ sink: inout some SessionSink & ~Copyable) {
        guard session.value.phase == .ready else { return }
        counters.orphanAnswers &+= 1
        // Of lost bytes it was said already what they may have asked for.
        guard !session.value.flags.contains(.doubtful), !reader(session, .client).value.isLost else { return }
        sink.missed(session.value.principal, count: 0, at: now.time)
    }

    @inline(__always)
    private mutating func completeStatement(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ tag: CommandTag,
        _ body: RawSpan,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let flags = request.value.flags
        if session.value.flags.contains(.unnamed) {
            if flags.contains(.beginsQuery) { dropUnnamedStatement(session) }
            replaceUnnamedPortal(session, .finished, &sink)
            session.value.flags.remove(.unnamed)
        }
        settlePath(session, request, &sink)
        if request.value.statement.kind.isOpen { resolve(session, request, tag, body, &sink) }
        if !flags.contains(.unmetered) {
            let outcome: StatementOutcome = flags.contains(.inDoubt) ? .uncertain : .completed
            sink.ended(event(session, request, .simple, outcome, rows: tag.rows))
        }
        noteCompletion(session)
        if !request.value.statement.kind.isPlain || tag.isRollback {
            apply(session, request.value.statement, tag, &sink)
        }
        finish(session, request)
    }

    /// A simple Query: the unnamed statement is gone (PostgreSQL documentation, "Extended Query").
    mutating func dropUnnamedStatement(_ session: Slot<Session>) {
        guard session.value.unnamedStatement.kind != .unknown || session.value.unnamedStatement.pattern != 0 else {
            return
        }
        session.value.unnamedStatement = Prepared()
        session.value.generation &+= 1
    }

    /// A statement of a simple Query runs in a new unnamed portal.
    mutating func replaceUnnamedPortal(
        _ session: Slot<Session>,
        _ end: PortalEnd,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard session.value.unnamedPortal.state.contains(.exists) else { return }
        endPortal(session, session.value.unnamedPortal, end, &sink)
        session.value.unnamedPortal = Portal()
    }

    /// What a finished statement was: SQL EXECUTE what its name stood for when the server came to it; and one whose text
    /// was never seen, as it was prepared before the capture began, what its tag says.
    @inline(never)
    private mutating func resolve(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ tag: CommandTag,
        _ body: RawSpan,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        if request.value.statement.kind == .execute { resolveExecute(session, request, &sink) }
        guard request.value.statement.kind.isOpen else { return }
        let kind: StatementKind
        if request.value.statement.kind == .execute {
            // SQL prepares nothing but queries; one that writes runs to its end, as EXECUTE always does.
            kind = TaggedKind(body).kind ?? .select
        } else {
            let bytes = session.value.serverBytes &- session.value.answerStart
            let hasRows = session.value.flags.contains(.answering)
            guard let told = TaggedKind(body).kind(rows: tag.rows, answer: bytes, isDescribed: hasRows) else { return }
            kind = told
            // A query ends with its portal.
            if kind == .select, request.value.kind == .extended {
                let name = request.value.portalName
                if var portal = portal(session, name) {
                    portal.statement.kind = kind
                    setPortal(session, name, portal)
                }
            }
        }
        request.value.statement.kind = kind
    }

    /// SQL EXECUTE: what its name stood for when the server came to it.
    mutating func resolveExecute(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard let known = statement(session, request.value.statement.effect.name) else { return }
        var statement = request.value.statement
        (statement.pattern, statement.kind) = (known.pattern, known.kind)
        set(session, request, statement, &sink)
    }

    /// What a statement did to its session, now that it ran.
    @inline(never)
    mutating func apply(
        _ session: Slot<Session>,
        _ statement: Prepared,
        _ tag: CommandTag,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        switch statement.kind {
        case .prepare:
            let effect = statement.effect
            guard effect.name != 0 else { return }
            setStatement(session, effect.name, Prepared(effect: Effect(), pattern: effect.pattern, kind: effect.kind))
        case .deallocate: if statement.effect.name != 0 { removeStatement(session, statement.effect.name) }
        case .deallocateAll: forgetNamedStatements(session)
        case .discardAll:
            forgetNamedStatements(session)
            dropUnnamedStatement(session)
            endPortals(session, .finished, &sink)
            resetPath(session)
        case .set:
            if statement.effect.flags.contains(.setsPath) { provePath(session, statement.effect) }
        case .commit, .rollback:
            if tag.isRollback { session.value.flags.insert(.rolledBack) }
            endPortals(session, tag.isRollback ? .aborted : .finished, &sink)
        case .savepoint: break
        default:
            if tag.isRollback { session.value.flags.insert(.rolledBack) }
        }
    }

    @inline(__always)
    private mutating func completeExecute(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ tag: CommandTag,
        _ body: RawSpan,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        request.value.stages.remove(.execute)
        if request.value.flags.contains(.unmetered) { return finish(session, request) }
        let isFirst = beginsStatement(session, request, &sink)
        if request.value.statement.kind.isOpen { resolve(session, request, tag, body, &sink) }
        let name = request.value.portalName
        let outcome: StatementOutcome = request.value.flags.contains(.inDoubt) ? .uncertain : .completed
        if isFirst {
            sink.ended(event(session, request, .extended, outcome, rows: tag.rows))
            if outcome == .completed { sink.acknowledged(.portal, session.value.principal) }
            mark(session, name, outcome == .completed ? [.ran, .settled, .completed] : [.ran, .settled])
        } else if let portal = portal(session, name) {
            var event = event(session, request)
            (event.outcome, event.rows) = (outcome, tag.rows)
            completeContinued(portal, &event, &sink)
            var done = portal
            done.state.remove(.suspended)
            done.state.formUnion([.settled, .completed])
            setPortal(session, name, done)
        }
        noteCompletion(session)
        if !request.value.statement.kind.isPlain || tag.isRollback {
            apply(session, request.value.statement, tag, &sink)
        }
        finish(session, request)
    }

    /// Whether an Execute that was answered is the first one of its portal; then it is charged.
    @inline(__always)
    mutating func beginsStatement(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ sink: inout some SessionSink & ~Copyable
    ) -> Bool {
        request.value.flags.contains(.binds) || beginsKnownPortal(session, request, &sink)
    }

    @inline(never)
    private mutating func beginsKnownPortal(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ sink: inout some SessionSink & ~Copyable
    ) -> Bool {
        let name = request.value.portalName
        if let known = portal(session, name) {
            guard known.state.contains(.ran) else {
                set(session, request, known.statement, &sink)
                if !request.value.flags.contains(.charged) { charge(session, request, &sink) }
                return true
            }
            request.value.statement = known.statement
            takeBack(session, request, &sink)
            return false
        }
        // A cursor that SQL declared, or a Bind that was not seen.
        request.value.statement = Prepared()
        if !request.value.flags.contains(.charged) { charge(session, request, &sink) }
        var portal = Portal()
        portal.state = .exists
        setPortal(session, name, portal)
        return true
    }

    /// What was taken for a statement of its own goes on with one.
    private mutating func takeBack(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard request.value.flags.contains(.charged) else { return }
        var event = event(session, request)
        event.outcome = .skipped
        sink.ended(event)
        request.value.flags.remove(.charged)
    }

    @inline(__always)
    mutating func mark(_ session: Slot<Session>, _ name: UInt64, _ state: Portal.State) {
        if name == 0 {
            session.value.unnamedPortal.state.formUnion(state)
        } else if var portal = portal(session, name) {
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

    mutating func portalSuspended(
        _ session: Slot<Session>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard let request = awaiting(session, .execute, &sink) else {
            guard let summary = front(session), summary.value.kind == .summary else { return noteUnexpected(session) }
            return endOne(session, summary, .completed, rows: 0, code: 0, &sink)
        }
        request.value.stages.remove(.execute)
        let isFirst = beginsStatement(session, request, &sink)
        if isFirst, request.value.statement.kind == .execute { resolveExecute(session, request, &sink) }
        if isFirst, !request.value.flags.contains(.inDoubt) { sink.acknowledged(.portal, session.value.principal) }
        if var portal = portal(session, request.value.portalName) {
            if isFirst {
                portal.statement = request.value.statement
                (portal.price, portal.started, portal.elapsed) = (request.value.price, request.value.sent, 0)
            }
            portal.elapsed &+= duration(session, since: request.value.sent)
            portal.rowLimit = request.value.rowLimit
            portal.state.insert(.ran)
            if !portal.state.contains(.settled) { portal.state.insert(.suspended) }
            setPortal(session, request.value.portalName, portal)
        } else if isFirst {
            // There was no room for its name.
            var event = event(session, request)
            event.rows = UInt64(request.value.rowLimit)
            sink.ended(event)
        }
        noteCompletion(session)
        finish(session, request)
    }

    mutating func emptyQuery(
        _ session: Slot<Session>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        if let request = awaiting(session, .execute, &sink) {
            request.value.stages.remove(.execute)
            endUnanswered(session, request, &sink)
            noteCompletion(session)
            return finish(session, request)
        }
        guard let request = front(session), request.value.kind == .statement, !request.value.flags.contains(.done)
        else {
            return noteUnexpected(session)
        }
        // We saw a statement where the server saw none: it never ran.
        endUnanswered(session, request, &sink)
        noteCompletion(session)
        dropUnnamedStatement(session)
        finish(session, request)
    }

    mutating func functionResult(
        _ session: Slot<Session>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard let request = front(session), request.value.kind == .functionCall, !request.value.flags.contains(.done)
        else {
            guard let summary = front(session), summary.value.kind == .summary else { return noteUnexpected(session) }
            return endOne(session, summary, .completed, rows: 0, code: 0, &sink)
        }
        sink.ended(event(session, request))
        noteCompletion(session)
        request.value.flags.insert(.done)
    }
}
