// SPDX-License-Identifier: Apache-2.0
import Domain

extension Sessions {
    /// Takes one of the messages in which an answer mostly consists, besides rows and what describes them, if it is one and its length
    /// is what ``BackendShape/fits(_:_:)`` says.
    @inline(__always)
    mutating func usualMessage(
        _ session: Slot<Session>,
        _ type: UInt8,
        _ length: UInt32,
        _ body: RawSpan,
        _ sink: inout some SessionSink & ~Copyable
    ) -> Bool {
        if type == 0x5A, length == 5 {
            counters.messages &+= 1
            readyForQuery(session, body, &sink)
        } else if type == 0x43, length >= 5, length < 1 << 16 {
            counters.messages &+= 1
            commandComplete(session, body, &sink)
        } else if type == 0x32, length == 4 {
            counters.messages &+= 1
            bindComplete(session, &sink)
        } else if type == 0x31, length == 4 {
            counters.messages &+= 1
            parseComplete(session, &sink)
        } else {
            return false
        }
        return true
    }

    /// One message of the server; `body` is as much of it as was wanted.
    @inline(never)
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
        case 0x31: parseComplete(session, &sink)
        case 0x32: bindComplete(session, &sink)
        case 0x33: closeComplete(session, &sink)
        case 0x49: emptyQuery(session, &sink)
        case 0x73: portalSuspended(session, &sink)
        case 0x45: errorResponse(session, body, &sink)
        case 0x56: functionResult(session, &sink)
        case 0x47: ignoreSyncs(session)
        case 0x53: parameterStatus(session, body, &sink)
        case 0x52: authentication(session, body)
        case 0x54, 0x74, 0x6E: describedBy(session, type)  // of which the end is in another packet
        default: break
        }
    }

    /// The oldest request, if it may be answered by `stage` next: lone Describes before it were answered.
    @inline(__always)
    mutating func awaiting(
        _ session: Slot<Session>,
        _ stage: Request.Stages,
        _ sink: inout some SessionSink & ~Copyable
    ) -> Slot<Request>? {
        guard let first = linked(session.value.firstRequest) else { return nil }
        return awaiting(session, first, stage, &sink)
    }

    /// The same where the oldest request is known.
    @inline(__always)
    mutating func awaiting(
        _ session: Slot<Session>,
        _ first: Slot<Request>,
        _ stage: Request.Stages,
        _ sink: inout some SessionSink & ~Copyable
    ) -> Slot<Request>? {
        // Only requests of the extended protocol have stages. The lowest one left is answered next.
        if first.value.stages.rawValue & stage.upTo == stage.rawValue { return first }
        return catchUp(session, stage, &sink)
    }

    /// Answers that come before `stage` were not seen, or not looked for.
    @inline(never)
    private mutating func catchUp(
        _ session: Slot<Session>,
        _ stage: Request.Stages,
        _ sink: inout some SessionSink & ~Copyable
    ) -> Slot<Request>? {
        while let request = front(session), request.value.kind == .extended {
            if request.value.stages == .describe {
                let isEnd = request.value.flags.contains(.endsQuery)
                finish(session, request)
                if isEnd { return nil }
                continue
            }
            guard request.value.stages.isSuperset(of: stage) else { return nil }
            if stage.rawValue > Request.Stages.parse.rawValue, request.value.stages.contains(.parse) {
                parsed(session, request, &sink)
            }
            if stage.rawValue > Request.Stages.bind.rawValue, request.value.stages.contains(.bind) {
                bound(session, request, &sink)
            }
            return request
        }
        return nil
    }

    private mutating func parseComplete(_ session: Slot<Session>, _ sink: inout some SessionSink & ~Copyable) {
        guard let request = awaiting(session, .parse, &sink) else { return noteUnexpected(session) }
        parsed(session, request, &sink)
        if request.value.stages.isSubset(of: .describe) { finishDescribed(session, request) }
    }

    /// Nothing is left of a request, or the answer to its Describe.
    private mutating func finishDescribed(_ session: Slot<Session>, _ request: Slot<Request>) {
        if request.value.stages.isEmpty { finish(session, request) } else { session.value.flags.insert(.describes) }
    }

    /// A Parse is proven: the name stands for its statement.
    @inline(__always)
    mutating func parsed(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        request.value.stages.remove(.parse)
        settlePath(session, request, &sink)
        if request.value.statementName == 0 {
            session.value.generation &+= 1
            session.value.flags.insert(.unnamed)
            session.value.unnamedStatement = request.value.statement
        } else {
            setStatement(session, request.value.statementName, request.value.statement)
        }
    }

    private mutating func bindComplete(_ session: Slot<Session>, _ sink: inout some SessionSink & ~Copyable) {
        guard let request = awaiting(session, .bind, &sink) else { return noteUnexpected(session) }
        bound(session, request, &sink)
        if request.value.stages.isSubset(of: .describe) { finishDescribed(session, request) }
    }

    /// A Bind is proven: its portal is there, in the place of one of that name.
    @inline(__always)
    mutating func bound(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        request.value.stages.remove(.bind)
        if !request.value.flags.contains(.parses), request.value.generation != session.value.generation {
            lookUp(session, request, &sink)
        }
        let name = request.value.portalName
        if name == 0 {
            let state = session.value.unnamedPortal.state
            if !state.isDisjoint(with: [.suspended, .completed]) {
                endPortal(session, session.value.unnamedPortal, .finished, &sink)
            }
            session.value.flags.insert(.unnamed)
            session.value.unnamedPortal.bind(request)
        } else if let entry = namedPortal(session, name) {
            endPortal(session, entry.value.portal, .finished, &sink)
            entry.value.portal.bind(request)
        }
    }

    /// Names changed since a Bind was sent: what it names is looked up again, in the order of the server.
    @inline(never)
    mutating func lookUp(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard let known = statement(session, request.value.statementName) else { return }
        set(session, request, known, &sink)
    }

    /// What a request runs is another statement than was thought when it was sent.
    mutating func set(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ statement: Prepared,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        if request.value.flags.contains(.charged), request.value.statement.pattern != statement.pattern {
            let (payer, price, sent) = (session.value.principal, request.value.price, request.value.sent)
            request.value.price = sink.repriced(payer, price, sentAt: sent, as: statement.pattern)
        }
        let wasEmpty = request.value.statement.kind == .empty
        request.value.statement = statement
        if wasEmpty, statement.kind != .empty, request.value.flags.contains(.unmetered) {
            // It was taken for one of no text.
            request.value.flags.remove(.unmetered)
            if request.value.flags.contains(.executes) { charge(session, request, &sink) }
        }
    }

    mutating func noteUnexpected(_ session: Slot<Session>) {
        if session.value.flags.isDisjoint(with: [.doubtful, .midstream]) { counters.note(.unexpectedAnswer) }
    }

    /// The oldest request is answered; what ends in ReadyForQuery waits for that.
    @inline(__always)
    mutating func finish(_ session: Slot<Session>, _ request: Slot<Request>) {
        if request.value.flags.contains(.endsQuery) { request.value.flags.insert(.done) } else { pop(session, request) }
    }

    /// RowDescription or NoData: the answer to a Describe behind which nothing of its request is left, or that stands by itself.
    @inline(never)
    mutating func described(_ session: Slot<Session>) {
        guard let request = front(session), request.value.stages.contains(.describe) else { return }
        request.value.stages.remove(.describe)
        if request.value.stages.isEmpty { finish(session, request) }
    }

    /// Describes that stand by themselves were answered, as what comes behind them is.
    private mutating func dropDescribes(_ session: Slot<Session>) {
        while session.value.flags.contains(.describes), let request = front(session),
            request.value.stages == .describe, !request.value.flags.contains(.endsQuery)
        {
            pop(session, request)
        }
    }

    private mutating func closeComplete(
        _ session: Slot<Session>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        dropDescribes(session)
        guard let request = front(session), request.value.kind == .close else { return noteUnexpected(session) }
        let (isPortal, name) = (request.value.flags.contains(.isPortal), request.value.statementName)
        pop(session, request)
        if !isPortal { return removeStatement(session, name) }
        guard let portal = portal(session, name) else { return }
        endPortal(session, portal, .finished, &sink)
        removePortal(session, name)
    }
}
