// SPDX-License-Identifier: Apache-2.0
import Domain

extension Sessions {
    /// One message of the client; `body` is as much of it as was wanted, `length` what it has in all.
    @inline(__always)
    mutating func clientMessage(
        _ session: Slot<Session>,
        _ type: UInt8,
        _ body: RawSpan,
        _ length: UInt32,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        counters.messages &+= 1
        if type == 0x70 { return }  // passwords and SASL answers
        if !session.value.flags.isDisjoint(with: [.idle, .skipping, .ended]) {
            if session.value.flags.contains(.idle) {
                if session.value.transaction != 0x49 { endIdling(session, &sink) }
                session.value.flags.remove(.idle)
            }
            if !session.value.flags.isDisjoint(with: [.skipping, .ended]), isIgnored(session, type) {
                skip(session, type, length, &sink)
                return
            }
        }
        switch type {
        case 0x51: query(session, body, length, &sink)
        case 0x50:
            session.value.flags.insert(.unsynced)
            parse(session, body, length, &sink)
        case 0x42:
            session.value.flags.insert(.unsynced)
            bind(session, body, length, &sink)
        case 0x45:
            session.value.flags.insert(.unsynced)
            execute(session, body, length, &sink)
        case 0x44:
            session.value.flags.insert(.unsynced)
            describe(session, body, &sink)
        case 0x53: sync(session)
        case 0x43:
            session.value.flags.insert(.unsynced)
            close(session, body, &sink)
        case 0x46: functionCall(session, body, length, &sink)
        case 0x63, 0x66:
            if session.value.flags.contains(.copyIn) {
                session.value.flags.remove(.copyIn)
            } else {
                _ = push(session, .copyEnd)
            }
        default: break
        }
    }

    /// The client asks for something again, or is gone, and its transaction was open all the time.
    @inline(never)
    mutating func endIdling(_ session: Slot<Session>, _ sink: inout some SessionSink & ~Copyable) {
        let duration = now.time.nanoseconds(since: session.value.lastCompletion)
        sink.idled(session.value.principal, for: duration, at: now.time)
    }

    @inline(__always)
    private mutating func sync(_ session: Slot<Session>) {
        if session.value.flags.contains(.copyIn) { return }
        session.value.flags.subtract([.skipping, .unsynced])
        // Mostly it ends what was sent just before.
        if let last = open(session) {
            last.value.flags.insert(.endsQuery)
        } else {
            addSync(session)
        }
    }

    @inline(never)
    private mutating func addSync(_ session: Slot<Session>) {
        if let last = linked(session.value.lastRequest), last.value.kind == .sync, last.value.ends < .max {
            last.value.ends &+= 1
            return
        }
        guard let request = push(session, .sync) else { return summarize(session, ends: 1) }
        request.value.flags = .endsQuery
        request.value.ends = 1
    }

    private mutating func parse(
        _ session: Slot<Session>,
        _ body: RawSpan,
        _ length: UInt32,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard let nameEnd = body.firstOffset(of: 0, from: 0) else {
            counters.note(.malformedMessage)
            return
        }
        let textEnd = body.firstOffset(of: 0, from: nameEnd &+ 1)
        let text = body.extracting(nameEnd &+ 1..<(textEnd ?? body.byteCount))
        guard let request = push(session, .extended) else {
            return summarize(session, statements: 0, bytes: length, &sink)
        }
        request.value.flags = .parses
        request.value.stages = .parse
        request.value.bytes = length &+ 1
        request.value.statementName = nameKey(body.extracting(0..<nameEnd))
        request.value.path = session.value.path
        if textEnd != nil || !reader(session, .client).value.isHoled {
            if session.value.encoding != .plain, let readable = readable(session, text) {
                if !readable.isMissing {
                    prepare(session, readable.block.bytes(0..<readable.count), isWhole: textEnd != nil, request, &sink)
                }
                pool.give(readable.block)
            } else {
                prepare(session, text, isWhole: textEnd != nil, request, &sink)
            }
            if let textEnd, textEnd &+ 3 < body.byteCount, request.value.statement.pattern > 0 {
                let types = body.extracting(textEnd &+ 1..<body.byteCount)
                noteTypes(types, of: request.value.statement.pattern, &sink)
            }
        }
        if nameEnd > 0 { share(session, body.extracting(0..<nameEnd), request.value.statement, &sink) }
    }

    /// What the text of a Parse message is.
    @inline(__always)
    private mutating func prepare(
        _ session: Slot<Session>,
        _ text: RawSpan,
        isWhole: Bool,
        _ request: Slot<Request>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let escapes = session.value.flags.contains(.backslashEscapes)
        if let sketch = sink.sketch(text, from: 0, backslashEscapes: escapes) {
            prepare(session, sketch, text, request, &sink)
        } else if isWhole {
            request.value.statement.kind = .empty
        }
    }

    /// The types that a Parse message gives to parameters.
    private func noteTypes(_ rest: RawSpan, of pattern: PatternHandle, _ sink: inout some SessionSink & ~Copyable) {
        let count = Int(rest.bigEndian16(at: 0))
        guard count > 0, rest.byteCount >= 2 &+ 4 &* count else { return }
        sink.parameterTypes(rest.extracting(2..<2 &+ 4 &* count), of: pattern)
    }

    private mutating func bind(
        _ session: Slot<Session>,
        _ body: RawSpan,
        _ length: UInt32,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard let portalEnd = body.firstOffset(of: 0, from: 0),
            let nameEnd = body.firstOffset(of: 0, from: portalEnd &+ 1)
        else {
            counters.note(.malformedMessage)
            return
        }
        let statementName = body.extracting(portalEnd &+ 1..<nameEnd)
        let name = nameKey(statementName)
        let portalName = nameKey(body.extracting(0..<portalEnd))
        if let last = open(session), last.value.flags.isDisjoint(with: [.binds, .executes]),
            last.value.flags.contains(.parses), last.value.statementName == name
        {
            last.value.flags.insert(.binds)
            last.value.stages.insert(.bind)
            last.value.portalName = portalName
            last.value.bytes &+= length &+ 1
            return
        }
        guard let request = push(session, .extended) else {
            return summarize(session, statements: 0, bytes: length, &sink)
        }
        request.value.flags = .binds
        request.value.stages = .bind
        request.value.statementName = name
        request.value.portalName = portalName
        request.value.bytes = length &+ 1
        request.value.generation = session.value.generation
        if let known = statement(session, name) ?? sharedStatement(session, statementName, &sink) {
            request.value.statement = known
        }
    }

    private mutating func describe(
        _ session: Slot<Session>,
        _ body: RawSpan,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let last = linked(session.value.lastRequest)
        // Mostly it is of the unnamed portal that was bound just before.
        if body.byteCount == 2, body.byte(at: 0) == 0x50, let last, last.value.flags.contains(.binds),
            last.value.flags.isDisjoint(with: [.executes, .endsQuery]), last.value.portalName == 0
        {
            last.value.stages.insert(.describe)
            return
        }
        guard body.byteCount >= 2, let end = body.firstOffset(of: 0, from: 1) else {
            counters.note(.malformedMessage)
            return
        }
        let name = end == 1 ? 0 : nameKey(body.extracting(1..<end))
        let isPortal = body.byte(at: 0) == 0x50
        if let last = open(session), !last.value.flags.contains(.executes),
            isPortal
                ? last.value.flags.contains(.binds) && last.value.portalName == name
                : last.value.flags.contains(.parses) && last.value.statementName == name
        {
            last.value.stages.insert(.describe)
            return
        }
        guard let request = push(session, .extended) else {
            return summarize(session, statements: 0, bytes: 0, &sink)
        }
        request.value.stages = .describe
        session.value.flags.insert(.describes)
        if let known = isPortal ? portal(session, name)?.statement : statement(session, name) {
            request.value.statement = known
        }
    }

    /// The request at the end of the queue, if it is one of the extended protocol that may go on.
    @inline(__always)
    private mutating func open(_ session: Slot<Session>) -> Slot<Request>? {
        guard let last = linked(session.value.lastRequest), last.value.kind == .extended,
            !last.value.flags.contains(.endsQuery)
        else { return nil }
        return last
    }

    private mutating func execute(
        _ session: Slot<Session>,
        _ body: RawSpan,
        _ length: UInt32,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard let nameEnd = body.firstOffset(of: 0, from: 0) else {
            counters.note(.malformedMessage)
            return
        }
        let name = nameKey(body.extracting(0..<nameEnd))
        let rowLimit = nameEnd &+ 5 <= body.byteCount ? body.bigEndian32(at: nameEnd &+ 1) : 0
        if let last = open(session), last.value.flags.contains(.binds), !last.value.flags.contains(.executes),
            last.value.portalName == name
        {
            last.value.flags.insert(.executes)
            // What was described before cannot fail; then the answer to Execute is what is awaited.
            last.value.stages.remove(.describe)
            last.value.stages.insert(.execute)
            last.value.bytes &+= length &+ 1
            last.value.rowLimit = rowLimit
            last.value.sent = now.time
            charge(session, last, &sink)
            return
        }
        guard let request = push(session, .extended) else {
            return summarize(session, statements: 1, bytes: length, &sink)
        }
        request.value.flags = .executes
        request.value.stages = .execute
        request.value.portalName = name
        request.value.rowLimit = rowLimit
        request.value.bytes = length &+ 1
        // Whether it begins its portal's statement or goes on with it is certain only where nothing is under way.
        if name == 0 {
            firstRun(session, request, &session.value.unnamedPortal, &sink)
        } else if let entry = names.find(session.handle, name, isPortal: true) {
            firstRun(session, request, &names.slot(entry).value.portal, &sink)
        } else if session.value.requestCount == 1 {
            // A cursor that SQL declared, or a Bind that was not seen.
            charge(session, request, &sink)
        }
    }

    /// An Execute of a portal that was bound before.
    private mutating func firstRun(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ portal: inout Portal,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        request.value.statement = portal.statement
        if portal.state.contains(.exists) {
            guard portal.state.isDisjoint(with: [.charged, .ran]) else { return }
            request.value.bytes &+= portal.bytes
            portal.state.insert(.charged)
        } else if session.value.requestCount > 1 {
            return
        }
        charge(session, request, &sink)
    }

    /// A statement is on its way: it is paid for until its answer says otherwise.
    @inline(__always)
    mutating func charge(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        if request.value.statement.kind == .empty {
            request.value.flags.insert(.unmetered)
            return
        }
        request.value.flags.insert(.charged)
        request.value.price = sink.started(session.value.principal, request.value.statement.pattern, at: now.time)
    }

    private mutating func close(
        _ session: Slot<Session>,
        _ body: RawSpan,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard body.byteCount >= 2, let end = body.firstOffset(of: 0, from: 1) else {
            counters.note(.malformedMessage)
            return
        }
        guard let request = push(session, .close) else {
            return summarize(session, statements: 0, bytes: 0, &sink)
        }
        request.value.statementName = nameKey(body.extracting(1..<end))
        if body.byte(at: 0) != 0x53 { request.value.flags = .isPortal }
    }

    private mutating func functionCall(
        _ session: Slot<Session>,
        _ body: RawSpan,
        _ length: UInt32,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard let request = push(session, .functionCall) else {
            summarize(session, statements: 1, bytes: length, &sink)
            return summarize(session, ends: 1)
        }
        request.value.flags = .endsQuery
        request.value.bytes = length &+ 1
        let oid = body.byteCount >= 4 ? body.bigEndian32(at: 0) : 0
        request.value.statement.pattern = sink.functionPattern(oid, for: session.value.principal, at: now)
        charge(session, request, &sink)
    }

    /// Whether the server reads this message and does nothing, because an error came before it and no Sync yet, or does not
    /// read it at all.
    private mutating func isIgnored(_ session: Slot<Session>, _ type: UInt8) -> Bool {
        type != 0x53 || session.value.flags.contains(.ended)
    }

    /// A message that the server ignores.
    private mutating func skip(
        _ session: Slot<Session>,
        _ type: UInt8,
        _ length: UInt32,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard type == 0x51 || type == 0x45 || type == 0x46 else { return }
        var event = StatementEvent()
        event.flow = session.handle
        event.principal = session.value.principal
        event.wire = type == 0x51 ? .simple : type == 0x45 ? .extended : .functionCall
        event.price = sink.started(session.value.principal, 0, at: now.time)
        event.started = now.time
        event.ended = now
        event.bytesSent = length &+ 1
        event.outcome = .skipped
        sink.ended(event)
    }
}
