// SPDX-License-Identifier: Apache-2.0
import Domain

extension Sessions {
    mutating func parameterStatus(
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
        } else if session.value.flags.contains(.attributed), let value = Self.value(of: "application_name", in: body) {
            sink.renamed(session.handle, body.extracting(value))
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
    mutating func readyForQuery(
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
            if request.value.kind == .summary {
                if endSummary(session, request, &sink) { break }
                continue
            }
            let flags = request.value.flags
            let isEnd = flags.contains(.endsQuery)
            if !flags.contains(.done) {
                endUnanswered(session, request, &sink)
                if !request.value.stages.isEmpty { assume(session, request, &sink) }
            }
            // After a loss, requests sent before it may have been answered in the bytes that are missing.
            let goesOn = flags.contains(.inDoubt) && session.value.flags.contains(.doubtful)
            if isEnd {
                acknowledge(session, request, &sink)
                if request.value.kind == .sync, request.value.ends > 1, !goesOn {
                    request.value.ends &-= 1
                    break
                }
            }
            pop(session, request)
            if isEnd, !goesOn { break }
        }
        if front(session) == nil {
            // Nothing is in flight: both sides agree again, whatever was lost before.
            session.value.flags.insert(.idle)
            session.value.flags.subtract([.doubtful, .describes, .summarizes])
            settleEncoding(session)
        }
        let status = body.byteCount > 0 ? body.byte(at: 0) : session.value.transaction
        session.value.transaction = status
        // In a transaction that goes on, it was taken back to a savepoint.
        if status == 0x54 { session.value.flags.subtract([.erred, .rolledBack]) }
        if status == 0x49 {
            if session.value.portals >= 0 || session.value.unnamedPortal.state.contains(.exists) {
                let isDone = session.value.flags.isDisjoint(with: [.rolledBack, .erred])
                endPortals(session, isDone ? .finished : .aborted, &sink)
            }
            endPath(session, status)
            let committed = session.value.flags.isDisjoint(with: [.rolledBack, .erred])
            sink.transactionEnded(session.handle, committed: committed)
            session.value.flags.subtract([.rolledBack, .erred])
        } else {
            endPath(session, status)
        }
        noteCompletion(session)
    }

    /// ReadyForQuery of a summary; true: it awaits another one, or was done with this one.
    private mutating func endSummary(
        _ session: Slot<Session>,
        _ summary: Slot<Request>,
        _ sink: inout some SessionSink & ~Copyable
    ) -> Bool {
        let flags = summary.value.flags
        let isDoubtful = flags.contains(.inDoubt) || session.value.flags.contains(.doubtful)
        if flags.contains(.continuesQuery) {
            endRest(session, summary, isDoubtful ? .uncertain : .skipped, most: summary.value.first, &sink)
            summary.value.flags.remove(.continuesQuery)
            if flags.isDisjoint(with: [.failed, .inDoubt]) { sink.acknowledged(.query, session.value.principal) }
        }
        let goesOn = flags.contains(.inDoubt) && session.value.flags.contains(.doubtful)
        if summary.value.ends > 0 { summary.value.ends &-= 1 }
        guard summary.value.ends == 0 || goesOn else { return true }
        endRest(session, summary, isDoubtful || flags.contains(.failed) ? .uncertain : .skipped, &sink)
        pop(session, summary)
        return !goesOn
    }

    /// The end of a Query or FunctionCall is reached.
    private mutating func acknowledge(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let flags = request.value.flags
        guard request.value.kind == .statement || request.value.kind == .functionCall,
            flags.contains(.done), flags.isDisjoint(with: [.failed, .inDoubt])
        else { return }
        let kind = request.value.statement.kind
        let isWalsender = flags.contains(.unmetered) && (kind == .replication || kind == .show)
        guard !isWalsender else { return }
        sink.acknowledged(request.value.kind == .statement ? .query : .functionCall, session.value.principal)
    }

    /// A request for which ReadyForQuery came without an answer of its own: the answer was lost, or the text was
    /// taken for more statements than the server saw in it.
    mutating func endUnanswered(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let flags = request.value.flags
        guard request.value.isMetered, flags.contains(.charged) else { return }
        var event = event(session, request)
        event.outcome = session.value.flags.contains(.doubtful) || flags.contains(.inDoubt) ? .uncertain : .skipped
        sink.ended(event)
        request.value.flags.remove(.charged)
    }

    /// The answers to a request are missing: what later ones name must have been there.
    private mutating func assume(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard request.value.kind == .extended else { return }
        if request.value.stages.contains(.parse) {
            let name = request.value.statementName
            if name != 0, let known = statement(session, name), known.pattern != request.value.statement.pattern {
                // One of two: which one cannot be said.
                request.value.statement = Prepared()
            }
            parsed(session, request, &sink)
        }
        if request.value.stages.contains(.bind) { bound(session, request, &sink) }
        if request.value.stages.contains(.execute) { mark(session, request.value.portalName, [.ran, .settled]) }
    }
}
