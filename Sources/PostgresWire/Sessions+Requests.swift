// SPDX-License-Identifier: Apache-2.0
import Domain

extension Sessions {
    /// Takes back everything from the front up to the next Sync, the last first: the server skips it.
    mutating func skipToSync(
        _ session: Slot<Session>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        var reversed: Int32 = -1
        var hasSync = false
        while let request = linked(session.value.firstRequest), request.value.kind != .sync {
            endSkipped(session, request, &sink)
            if request.value.kind == .execute, request.value.flags.contains(.endsQuery) {
                // Of an Execute with its Sync the Sync is left.
                request.value.kind = .sync
                request.value.flags = .endsQuery
                hasSync = true
                break
            }
            session.value.firstRequest = request.value.next
            session.value.requestCount &-= 1
            request.value.next = reversed
            reversed = request.handle
        }
        if session.value.firstRequest < 0 {
            session.value.lastRequest = -1
            if !hasSync { session.value.flags.insert(.skipping) }
        }
        while let request = linked(reversed) {
            undo(session, request.value)
            reversed = request.value.next
            requests.give(request.handle)
        }
        forgetUnparsed(session)
    }

    /// A Parse of the unnamed statement may have been skipped: what stands there now is not known.
    mutating func forgetUnparsed(_ session: Slot<Session>) {
        guard session.value.parsedSerial != session.value.parseSerial else { return }
        removeStatement(session, 0)
        session.value.parsedSerial = session.value.parseSerial
    }

    /// What a request assumed about names is not so.
    mutating func undo(_ session: Slot<Session>, _ request: Request) {
        switch request.kind {
        case .parse, .close:
            restoreStatement(session, request)
        case .statement where request.statementKind == .prepare || request.statementKind == .deallocate:
            restoreStatement(session, request)
        default:
            break
        }
    }

    private mutating func restoreStatement(_ session: Slot<Session>, _ request: Request) {
        if request.flags.contains(.hadName) {
            setStatement(session, request.name, request.previousPattern, request.previousKind)
        } else if request.kind != .close {
            removeStatement(session, request.name)
        }
    }

    /// The session is over: what ran last may have run, what stood behind it did not.
    ///
    /// After a reset that came behind the request, it did run: the server reads what its kernel took before that
    /// (`tcp_recvmsg` of Linux gives out received bytes before the error), and an idle one starts it at once.
    mutating func abandonRequests(
        _ session: Slot<Session>,
        isKnown: Bool,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        var isFirst = true
        while let request = front(session) {
            let flags = request.value.flags
            if isMetered(request), !flags.contains(.done) {
                let mayHaveRun = isFirst || !isKnown || flags.contains(.inDoubt)
                var event = event(session, request)
                let hasRun = isFirst && session.value.flags.contains(.wasReset) && !flags.contains(.inDoubt)
                event.outcome = hasRun ? .failed : mayHaveRun ? .uncertain : .skipped
                if request.value.kind != .execute || flags.contains(.first) { sink.ended(event) }
                isFirst = false
            }
            pop(session)
        }
    }

    mutating func isMetered(_ request: Slot<Request>) -> Bool {
        switch request.value.kind {
        case .statement, .execute, .functionCall: !request.value.flags.contains(.unmetered)
        default: false
        }
    }

    private mutating func endSkipped(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let flags = request.value.flags
        guard isMetered(request), !flags.contains(.done) else { return }
        guard request.value.kind != .execute || flags.contains(.first) else { return }
        var event = event(session, request)
        event.outcome = flags.contains(.inDoubt) ? .uncertain : .skipped
        sink.ended(event)
    }

    /// What is known of a request at its end.
    mutating func event(_ session: Slot<Session>, _ request: Slot<Request>) -> StatementEvent {
        var event = StatementEvent()
        event.flow = session.handle
        event.principal = session.value.principal
        event.pattern = request.value.pattern
        event.kind = request.value.statementKind
        switch request.value.kind {
        case .statement: event.wire = .simple
        case .functionCall: event.wire = .functionCall
        default: event.wire = .extended
        }
        event.price = request.value.price
        event.started = request.value.sent
        event.ended = now
        event.duration = duration(session, since: event.started)
        event.bytesSent = request.value.bytes
        event.bytesReceived = session.value.serverBytes &- session.value.answerStart
        return event
    }

    /// Server time: from the request, or from the end of the answer before it where requests are pipelined.
    mutating func duration(_ session: Slot<Session>, since sent: Timestamp) -> Int64 {
        now.time.nanoseconds(since: max(sent, session.value.lastCompletion))
    }

    /// An answer ended: the next one begins here.
    mutating func noteCompletion(_ session: Slot<Session>) {
        session.value.lastCompletion = now.time
        session.value.answerStart = session.value.serverBytes
    }
}
