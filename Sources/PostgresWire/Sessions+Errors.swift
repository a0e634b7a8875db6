// SPDX-License-Identifier: Apache-2.0
import Domain

extension Sessions {
    /// ErrorResponse: what failed, and what is never reached because of it.
    mutating func errorResponse(
        _ session: Slot<Session>,
        _ body: RawSpan,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let fields = ErrorFields(body)
        session.value.flags.insert(.erred)
        let isLogin =
            session.value.phase != .ready && !(session.value.flags.contains(.doubtful) && front(session) != nil)
        guard !isLogin else {
            // What only looked like a StartupMessage must not hide what follows.
            if session.value.flags.contains(.assumedStart), !fields.isFatal { return joinInside(session, &sink) }
            counters.authFailed &+= 1
            abandonRequests(session, mayHaveRun: false, &sink)
            session.value.phase = .opaque
            return
        }
        session.value.flags.remove(.copyIn)
        if let request = front(session) {
            fail(session, request, fields, &sink)
        } else if session.value.flags.contains(.unsynced), !fields.isFatal {
            // Of something that was not taken for a request, and the Sync is still to come.
            sink.reported(session.value.principal)
            session.value.flags.insert(.skipping)
        }
        replaceUnnamedPortal(session, .aborted, &sink)
        noteCompletion(session)
        if fields.isFatal {
            // The server reads no further.
            session.value.flags.insert(.ended)
            abandonRequests(session, mayHaveRun: false, &sink)
        }
    }

    private mutating func fail(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ fields: ErrorFields,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let flags = request.value.flags
        if fields.isFatal, fields.isOfIdleServer, !session.value.flags.contains(.answering) {
            // It waited for a message: this one it may have taken, unless the error says that it had not.
            sink.reported(session.value.principal)
            abandon(session, request, mayHaveRun: fields.mayBeOfBusyServer, fields, &sink)
            return
        }
        switch request.value.kind {
        case .statement:
            guard !flags.contains(.done) else { return }
            sink.reported(session.value.principal)
            failQuery(session, fields, &sink)
        case .functionCall:
            guard !flags.contains(.done) else { return }
            sink.reported(session.value.principal)
            end(session, request, fields, isRefused: false, &sink)
            request.value.flags.formUnion([.done, .failed])
        case .extended where !flags.contains(.done):
            sink.reported(session.value.principal)
            failExtended(session, request, fields, &sink)
        case .summary:
            sink.reported(session.value.principal)
            endOne(session, request, .failed, rows: 0, code: fields.code, &sink)
            endRest(session, request, .skipped, most: request.value.first, &sink)
            request.value.flags.insert(.failed)
            if request.value.ends > 1 || !request.value.flags.contains(.continuesQuery) {
                request.value.flags.insert(.inDoubt)
            }
        case .sync, .extended:
            // The implicit commit failed, such as by a deferred constraint: ReadyForQuery follows.
            sink.reported(session.value.principal)
        case .close, .copyEnd:
            sink.reported(session.value.principal)
            skipToSync(session, &sink)
        }
    }

    /// A message of the extended protocol failed: the first one that is not answered.
    private mutating func failExtended(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ fields: ErrorFields,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let isRefused = request.value.stages != .execute
        if request.value.stages.contains(.bind), !request.value.flags.contains(.parses),
            request.value.generation != session.value.generation
        {
            let known = statement(session, request.value.statementName)
            set(session, request, known ?? Prepared(), &sink)
        }
        if request.value.statement.kind == .execute { resolveExecute(session, request, &sink) }
        if request.value.stages.contains(.bind), !request.value.stages.contains(.parse), request.value.portalName == 0,
            fields.isBehindPortal
        {
            replaceUnnamedPortal(session, .finished, &sink)
        }
        if isRefused {
            if !request.value.flags.contains(.charged) {
                // There is no Execute, or nothing to execute: what the server refused is a statement all the same.
                request.value.flags.remove(.unmetered)
                request.value.flags.insert(.charged)
                let pattern = request.value.statement.pattern
                request.value.price = sink.started(session.value.principal, pattern, at: request.value.sent)
            }
            end(session, request, fields, isRefused: true, &sink)
        } else if beginsStatement(session, request, &sink) {
            end(session, request, fields, isRefused: false, &sink)
        } else {
            failContinued(session, request, fields, &sink)
        }
        skipToSync(session, &sink)
    }

    /// A later part of a portal failed, and with it its statement.
    private mutating func failContinued(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ fields: ErrorFields,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let name = request.value.portalName
        guard let portal = portal(session, name), portal.state.contains(.suspended) else { return }
        var event = event(session, request)
        event.price = portal.price
        event.started = portal.started
        event.duration &+= portal.elapsed
        event.outcome = request.value.flags.contains(.inDoubt) ? .uncertain : .failed
        event.errorCode = fields.code
        sink.ended(event)
        removePortal(session, name)
    }

    /// A statement of a Query message failed; those behind it never run.
    private mutating func failQuery(
        _ session: Slot<Session>,
        _ fields: ErrorFields,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let isRunning = session.value.flags.contains(.answering)
        if isRunning { replaceUnnamedPortal(session, .finished, &sink) }
        var isFirst = true
        while let request = front(session) {
            let flags = request.value.flags
            if request.value.kind == .summary {
                // The rest of this Query.
                endRest(session, request, .skipped, most: request.value.first, &sink)
                request.value.flags.insert(.failed)
                return
            }
            guard request.value.kind == .statement else { return }
            if isFirst {
                if flags.contains(.beginsQuery) { dropUnnamedStatement(session) }
                if request.value.statement.kind == .execute { resolveExecute(session, request, &sink) }
                // The whole text is parsed before any of it runs.
                let isUnparsed = fields.isSyntaxError && flags.contains(.beginsQuery) && !isRunning
                end(session, request, fields, isRefused: isUnparsed, isUnparsed: isUnparsed, &sink)
                isFirst = false
            } else {
                endSkipped(session, request, .skipped, &sink)
            }
            if flags.contains(.endsQuery) {
                request.value.flags.formUnion([.done, .failed])
                return
            }
            pop(session, request)
        }
    }

    /// A statement ends with an error; `isRefused`: before the server began to run it; `isUnparsed`: it found no statement in
    /// the text.
    private mutating func end(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ fields: ErrorFields,
        isRefused: Bool,
        isUnparsed: Bool = false,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard !request.value.flags.contains(.unmetered), request.value.flags.contains(.charged) else { return }
        var event = event(session, request)
        event.outcome = request.value.flags.contains(.inDoubt) ? .uncertain : isUnparsed ? .skipped : .failed
        event.errorCode = fields.code
        event.isRefused = isRefused
        sink.ended(event)
        request.value.flags.remove(.charged)
        request.value.stages = []
    }

    /// The server ended the session while it waited for a message, or while it ran this request: that cannot be told.
    private mutating func abandon(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        mayHaveRun: Bool,
        _ fields: ErrorFields,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard request.value.isMetered, request.value.flags.contains(.charged), !request.value.flags.contains(.done)
        else {
            return
        }
        var event = event(session, request)
        event.outcome = mayHaveRun ? .uncertain : .skipped
        event.errorCode = fields.code
        sink.ended(event)
        request.value.flags.remove(.charged)
    }
}
