// SPDX-License-Identifier: Apache-2.0
import Domain

extension Sessions {
    /// ErrorResponse: what failed, what was never reached, and what is undone by it.
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
            counters.authFailed &+= 1
            skipToSync(session, &sink)
            abandonRequests(session, isKnown: true, &sink)
            session.value.phase = .opaque
            return
        }
        session.value.flags.remove(.copyIn)
        session.value.flags.insert(.rolledBack)
        guard let request = front(session) else {
            // Of a Parse, Bind or Describe whose Sync is still to come; otherwise it is the server's own: a timeout,
            // an administrator.
            guard session.value.flags.contains(.unsynced), !fields.isFatal else { return }
            sink.reported(session.value.principal)
            skipToSync(session, &sink)
            endPortals(session, finished: false, &sink)
            return
        }
        let flags = request.value.flags
        guard !flags.contains(.done) || request.value.kind == .execute else { return }
        sink.reported(session.value.principal)
        switch request.value.kind {
        case .statement where isBehindUnanswered(session, request):
            skipToSync(session, &sink)
        case .statement:
            failQuery(session, request, fields, &sink)
        case .functionCall:
            fail(session, request, fields, &sink)
            request.value.flags.formUnion([.done, .failed])
        case .sync:
            // A Parse, Bind or Describe before it failed, or the implicit commit: ReadyForQuery follows.
            forgetUnparsed(session)
        case .execute where flags.contains(.done):
            // The implicit commit at its Sync failed, such as by a deferred constraint.
            break
        default:
            let isBound = Int32(bitPattern: request.value.serial &- session.value.boundSerial) <= 0
            if request.value.kind == .execute, isBound || session.value.flags.contains(.midstream) {
                fail(session, request, fields, &sink)
                request.value.flags.insert(.done)
            }
            skipToSync(session, &sink)
        }
        endPortals(session, finished: false, &sink)
        noteCompletion(session)
    }

    /// Whether a Parse or Bind that was sent before a Query is still unanswered: then the error is its, and the
    /// Query is skipped too.
    private mutating func isBehindUnanswered(_ session: Slot<Session>, _ request: Slot<Request>) -> Bool {
        guard request.value.flags.contains(.beginsQuery), !session.value.flags.contains(.midstream) else {
            return false
        }
        return Int32(bitPattern: request.value.serial &- session.value.parsedSerial) > 0
            || Int32(bitPattern: request.value.syncSerial &- session.value.boundSerial) > 0
    }

    /// One statement of a Query message failed; those behind it never run.
    private mutating func failQuery(
        _ session: Slot<Session>,
        _ first: Slot<Request>,
        _ fields: ErrorFields,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        // The whole text is parsed before any of it runs.
        let isUnparsed = fields.code == ErrorFields.syntaxError && first.value.flags.contains(.beginsQuery)
        var isFailed = !isUnparsed
        while let request = front(session) {
            let flags = request.value.flags
            guard request.value.kind == .statement else { return }
            if isFailed {
                fail(session, request, fields, &sink)
                isFailed = false
            } else if isMetered(request) {
                var event = event(session, request)
                event.outcome = flags.contains(.inDoubt) ? .uncertain : .skipped
                event.errorCode = isUnparsed ? fields.code : 0
                sink.ended(event)
            }
            undo(session, request.value)
            if flags.contains(.endsQuery) {
                request.value.flags.formUnion([.done, .failed])
                return
            }
            pop(session)
        }
    }

    private mutating func fail(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ fields: ErrorFields,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard isMetered(request), request.value.kind != .execute || request.value.flags.contains(.first) else {
            return
        }
        var event = event(session, request)
        event.outcome = request.value.flags.contains(.inDoubt) ? .uncertain : .failed
        event.errorCode = fields.code
        sink.ended(event)
    }
}
