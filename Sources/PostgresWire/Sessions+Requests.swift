// SPDX-License-Identifier: Apache-2.0
import Domain

extension Sessions {
    /// Takes everything from the front up to the next Sync out of the queue: the server skips it.
    mutating func skipToSync(
        _ session: Slot<Session>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        while let request = linked(session.value.firstRequest), request.value.kind != .sync {
            if request.value.kind == .summary {
                // Some of it is skipped, and some is not.
                request.value.flags.formUnion([.failed, .inDoubt])
                return
            }
            endSkipped(session, request, .skipped, &sink)
            if request.value.kind == .extended, request.value.flags.contains(.endsQuery) {
                // Of a request with its Sync the Sync is left.
                request.value.kind = .sync
                noteSync(session)
                request.value.flags = .endsQuery
                request.value.stages = []
                request.value.ends = 1
                return
            }
            pop(session, request)
        }
        if session.value.firstRequest < 0 { session.value.flags.insert(.skipping) }
    }

    /// The session is over: what the server had received it may have run, an end of the connection or not.
    ///
    /// After a reset that came behind the oldest request, that did run: the server reads what its kernel took before the reset
    /// (`tcp_recvmsg` of Linux gives out received bytes before the error), and an idle one starts it at once.
    mutating func abandonRequests(
        _ session: Slot<Session>,
        mayHaveRun: Bool,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        var hasRun = session.value.flags.contains(.wasReset)
        while let request = front(session) {
            if request.value.kind == .summary {
                endRest(session, request, mayHaveRun ? .uncertain : .skipped, &sink)
            } else {
                resolve(session, request, &sink)
                let isFirst = hasRun && request.value.flags.contains(.charged)
                endSkipped(session, request, isFirst ? .failed : mayHaveRun ? .uncertain : .skipped, &sink)
                if isFirst { hasRun = false }
            }
            pop(session, request)
        }
    }

    /// What a request runs if all before it went well.
    private mutating func resolve(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard request.value.kind == .extended else { return }
        if request.value.stages.contains(.parse) { parsed(session, request, &sink) }
        if request.value.stages.contains(.bind) { bound(session, request, &sink) }
        if request.value.stages.contains(.execute), !request.value.flags.contains(.unmetered),
            !request.value.flags.contains(.charged), beginsStatement(session, request, &sink)
        {
            mark(session, request.value.portalName, [.ran, .settled])
        }
    }

    mutating func endSkipped(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ outcome: StatementOutcome,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let flags = request.value.flags
        guard request.value.isMetered, flags.contains(.charged), !flags.contains(.done) else { return }
        if request.value.kind == .extended, !request.value.stages.contains(.execute) { return }
        var event = event(session, request)
        event.outcome = flags.contains(.inDoubt) ? .uncertain : outcome
        sink.ended(event)
        request.value.flags.remove(.charged)
    }

    /// What is known of a request at its end; of its outcome nothing is.
    @inline(never)
    mutating func event(_ session: Slot<Session>, _ request: Slot<Request>) -> StatementEvent {
        let wire: StatementProtocol =
            switch request.value.kind {
            case .statement: .simple
            case .functionCall: .functionCall
            default: .extended
            }
        return event(session, request, wire, .completed, rows: 0)
    }

    /// The same where its kind and outcome are known: what is made in one go need not be copied.
    @inline(__always)
    mutating func event(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ wire: StatementProtocol,
        _ outcome: StatementOutcome,
        rows: UInt64
    ) -> StatementEvent {
        var event = StatementEvent()
        event.flow = session.handle
        event.principal = session.value.principal
        event.pattern = request.value.statement.pattern
        event.kind = request.value.statement.kind
        event.wire = wire
        event.outcome = outcome
        event.price = request.value.price
        event.started = request.value.sent
        event.ended = now
        event.duration = duration(session, since: request.value.sent)
        event.rows = rows
        event.bytesSent = request.value.bytes
        event.bytesReceived = session.value.serverBytes &- session.value.answerStart
        return event
    }

    /// Server time: from the request, or from the end of the answer before it where requests are pipelined.
    @inline(__always)
    mutating func duration(_ session: Slot<Session>, since sent: Timestamp) -> Int64 {
        now.time.nanoseconds(since: max(sent, session.value.lastCompletion))
    }

    /// An answer ended: the next one begins here.
    @inline(__always)
    mutating func noteCompletion(_ session: Slot<Session>) {
        session.value.lastCompletion = now.time
        session.value.answerStart = session.value.serverBytes
        session.value.flags.remove(.answering)
    }
}
