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
        session.value.flags.remove(.idle)
        if session.value.flags.contains(.skipping), type != 0x53 {
            skip(session, type, body, length, &sink)
            return
        }
        switch type {
        case 0x51: query(session, body, length, &sink)
        case 0x50:
            session.value.flags.insert(.unsynced)
            parse(session, body, &sink)
        case 0x42:
            session.value.flags.insert(.unsynced)
            bind(session, body, &sink)
        case 0x45:
            session.value.flags.insert(.unsynced)
            execute(session, body, length, &sink)
        case 0x44: session.value.flags.insert(.unsynced)
        case 0x53: sync(session)
        case 0x43:
            session.value.flags.insert(.unsynced)
            close(session, body)
        case 0x46: functionCall(session, body, length, &sink)
        case 0x63, 0x66:
            if session.value.flags.contains(.copyIn) {
                session.value.flags.remove(.copyIn)
            } else {
                _ = push(session, .copyEnd, sent: now.time)
            }
        default: break
        }
    }

    private mutating func sync(_ session: Slot<Session>) {
        if session.value.flags.contains(.copyIn) { return }
        session.value.flags.subtract([.skipping, .unsynced])
        if let last = linked(session.value.lastRequest), last.value.kind == .execute,
            !last.value.flags.contains(.endsQuery)
        {
            last.value.flags.insert(.endsQuery)
            last.value.syncSerial = session.value.portalSerial
            return
        }
        guard let request = push(session, .sync, sent: now.time) else { return }
        request.value.flags = .endsQuery
        request.value.syncSerial = session.value.portalSerial
    }

    /// A Query message: all its statements are sent at once; each is answered by itself.
    private mutating func query(
        _ session: Slot<Session>,
        _ body: RawSpan,
        _ length: UInt32,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let end = body.firstOffset(of: 0, from: 0) ?? body.byteCount
        let isCut = reader(session, .client).value.isHoled
        if UInt32(body.byteCount) < length, !isCut { counters.note(.textCut) }
        let text = body.extracting(0..<end)
        if session.value.encoding != .plain, let readable = readable(session, text) {
            let isCut = isCut || readable.isMissing
            statements(session, readable.block.bytes(0..<readable.count), isCut: isCut, length, &sink)
            pool.give(readable.block)
        } else {
            statements(session, text, isCut: isCut, length, &sink)
        }
    }

    /// The statements of a Query message whose text is `text`, unless bytes of it are missing.
    private mutating func statements(
        _ session: Slot<Session>,
        _ text: RawSpan,
        isCut: Bool,
        _ length: UInt32,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let escapes = session.value.flags.contains(.backslashEscapes)
        var last: Slot<Request>?
        var start = 0
        while !isCut, let sketch = sink.sketch(text, from: start, backslashEscapes: escapes) {
            start = max(start &+ 1, sketch.range.upperBound)
            guard let request = push(session, .statement, sent: now.time) else { break }
            request.value.statementKind = sketch.kind
            if last == nil {
                request.value.flags = .beginsQuery
                request.value.bytes = length &+ 1
                request.value.serial = session.value.parseSerial
                request.value.syncSerial = session.value.portalSerial
            }
            last = request
            let isWalsender =
                session.value.flags.contains(.replication) && (sketch.kind == .replication || sketch.kind == .show)
            let isPoolers = sketch.kind == .set && takePoolersWord(session, text, sketch.range, &sink)
            if isWalsender || isPoolers {
                request.value.flags.insert(.unmetered)
            } else {
                resolve(session, sketch, text, request, &sink)
                let pattern = request.value.pattern
                request.value.price = sink.started(session.value.principal, pattern, at: now.time)
                follow(session, text, sketch, &sink)
            }
        }
        if let last {
            last.value.flags.insert(.endsQuery)
            return
        }
        // Nothing but white space, or a text that was not seen.
        guard let request = push(session, .statement, sent: now.time) else { return }
        request.value.bytes = length &+ 1
        if isCut {
            request.value.flags = [.beginsQuery, .endsQuery, .inDoubt]
            request.value.price = sink.started(session.value.principal, 0, at: now.time)
        } else {
            request.value.flags = [.beginsQuery, .endsQuery, .unmetered]
            request.value.statementKind = .empty
        }
    }

    /// The pattern of one statement of a Query message, and what it does to names.
    private mutating func resolve(
        _ session: Slot<Session>,
        _ sketch: StatementSketch,
        _ text: RawSpan,
        _ request: Slot<Request>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let principal = session.value.principal
        switch sketch.kind {
        case .execute:
            request.value.name = identifierKey(text.extracting(sketch.name))
            if let known = statement(session, request.value.name) {
                // It counts as an execution of what was prepared.
                request.value.pattern = known.pattern
                request.value.statementKind = known.kind
                return
            }
        case .prepare where sketch.body > 0:
            request.value.name = identifierKey(text.extracting(sketch.name))
            let body = text.extracting(0..<sketch.range.upperBound)
            let escapes = session.value.flags.contains(.backslashEscapes)
            if let inner = sink.sketch(body, from: sketch.body, backslashEscapes: escapes) {
                let pattern = sink.pattern(inner, of: text, for: principal, under: session.value.path, at: now)
                remember(session, request)
                setStatement(session, request.value.name, pattern, inner.kind)
            }
        case .deallocate:
            request.value.name = identifierKey(text.extracting(sketch.name))
            remember(session, request)
            removeStatement(session, request.value.name)
        default:
            break
        }
        request.value.pattern = sink.pattern(sketch, of: text, for: principal, under: session.value.path, at: now)
    }

    /// Notes what a name stands for now, so that it can be restored.
    private mutating func remember(_ session: Slot<Session>, _ request: Slot<Request>) {
        guard let known = statement(session, request.value.name) else { return }
        request.value.flags.insert(.hadName)
        request.value.previousPattern = known.pattern
        request.value.previousKind = known.kind
    }

    private mutating func parse(
        _ session: Slot<Session>,
        _ body: RawSpan,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        session.value.parseSerial &+= 1
        guard let nameEnd = body.firstOffset(of: 0, from: 0) else {
            counters.note(.malformedMessage)
            return
        }
        let name = nameKey(body.extracting(0..<nameEnd))
        let textEnd = body.firstOffset(of: 0, from: nameEnd &+ 1)
        let text = body.extracting(nameEnd &+ 1..<(textEnd ?? body.byteCount))
        var pattern: PatternHandle = 0
        var kind = StatementKind.unknown
        if textEnd != nil || !reader(session, .client).value.isHoled {
            let types = body.extracting(min(textEnd ?? body.byteCount, body.byteCount &- 1) &+ 1..<body.byteCount)
            if session.value.encoding != .plain, let readable = readable(session, text) {
                if !readable.isMissing {
                    (pattern, kind) = parsed(session, readable.block.bytes(0..<readable.count), types, &sink)
                }
                pool.give(readable.block)
            } else {
                (pattern, kind) = parsed(session, text, types, &sink)
            }
        }
        if name != 0 {
            share(session, body.extracting(0..<nameEnd), pattern, kind, &sink)
            guard let request = push(session, .parse, sent: now.time) else { return }
            request.value.name = name
            request.value.serial = session.value.parseSerial
            remember(session, request)
        }
        setStatement(session, name, pattern, kind)
    }

    /// The pattern of the text of a Parse message.
    @inline(__always)
    private mutating func parsed(
        _ session: Slot<Session>,
        _ text: RawSpan,
        _ types: RawSpan,
        _ sink: inout some SessionSink & ~Copyable
    ) -> (pattern: PatternHandle, kind: StatementKind) {
        let escapes = session.value.flags.contains(.backslashEscapes)
        guard let sketch = sink.sketch(text, from: 0, backslashEscapes: escapes) else { return (0, .empty) }
        if sketch.kind == .execute, let known = statement(session, identifierKey(text.extracting(sketch.name))) {
            return known
        }
        let (payer, path) = (session.value.principal, session.value.path)
        let pattern = sink.pattern(sketch, of: text, for: payer, under: path, at: now)
        // Mostly it is executed next.
        follow(session, text, sketch, &sink)
        if types.byteCount > 2 { noteTypes(types, of: pattern, &sink) }
        return (pattern, sketch.kind)
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
        _ sink: inout some SessionSink & ~Copyable
    ) {
        session.value.portalSerial &+= 1
        guard let portalEnd = body.firstOffset(of: 0, from: 0),
            let nameEnd = body.firstOffset(of: 0, from: portalEnd &+ 1)
        else {
            counters.note(.malformedMessage)
            return
        }
        let statementName = body.extracting(portalEnd &+ 1..<nameEnd)
        let known =
            statement(session, nameKey(statementName)) ?? sharedStatement(session, statementName, &sink)
        let name = nameKey(body.extracting(0..<portalEnd))
        // A suspended portal of this name is dropped, and with it its statement is done.
        if let old = self.portal(session, name) { endPortal(session, old, finished: true, &sink) }
        // In place: a portal that is put together elsewhere and copied costs the processor a wait.
        let serial = session.value.portalSerial
        if name == 0 {
            session.value.unnamedPortal.bind(known, serial)
        } else {
            namedPortal(session, name)?.value.portal.bind(known, serial)
        }
    }

    private mutating func execute(
        _ session: Slot<Session>,
        _ body: RawSpan,
        _ length: UInt32,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard let request = push(session, .execute, sent: now.time) else { return }
        request.value.bytes = length &+ 1
        guard let nameEnd = body.firstOffset(of: 0, from: 0) else {
            counters.note(.malformedMessage)
            request.value.flags = .unmetered
            return
        }
        let name = nameKey(body.extracting(0..<nameEnd))
        request.value.name = name
        let rowLimit = nameEnd &+ 5 <= body.byteCount ? body.bigEndian32(at: nameEnd &+ 1) : 0
        request.value.rowLimit = rowLimit
        if name == 0 {
            run(&session.value.unnamedPortal, session, request, rowLimit, &sink)
        } else if let entry = namedPortal(session, name) {
            run(&entry.value.portal, session, request, rowLimit, &sink)
        } else {
            var portal = Portal()
            run(&portal, session, request, rowLimit, &sink)
        }
    }

    /// A portal is executed, perhaps not for the first time.
    @inline(__always)
    private mutating func run(
        _ portal: inout Portal,
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ rowLimit: UInt32,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        // A cursor that SQL declared, or a Bind that was not seen.
        if !portal.state.contains(.exists) { portal.bind(nil, session.value.portalSerial) }
        request.value.pattern = portal.pattern
        request.value.statementKind = portal.kind
        request.value.serial = portal.serial
        if !portal.state.contains(.executed) {
            request.value.flags = .first
            if portal.kind == .empty {
                request.value.flags.insert(.unmetered)
            } else {
                request.value.price = sink.started(session.value.principal, portal.pattern, at: now.time)
            }
            portal.state.insert(.executed)
            portal.price = request.value.price
            portal.started = now.time
        }
        portal.rowLimit = rowLimit
    }

    private mutating func close(_ session: Slot<Session>, _ body: RawSpan) {
        guard let request = push(session, .close, sent: now.time) else { return }
        guard body.byteCount >= 2, let end = body.firstOffset(of: 0, from: 1) else {
            counters.note(.malformedMessage)
            return
        }
        request.value.name = nameKey(body.extracting(1..<end))
        if body.byte(at: 0) == 0x53 {
            remember(session, request)
            removeStatement(session, request.value.name)
        } else {
            // A portal is closed when the server says so: it may be suspended, and then its statement is done.
            request.value.statementKind = .closeCursor
        }
    }

    private mutating func functionCall(
        _ session: Slot<Session>,
        _ body: RawSpan,
        _ length: UInt32,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard let request = push(session, .functionCall, sent: now.time) else { return }
        request.value.flags = .endsQuery
        request.value.bytes = length &+ 1
        let oid = body.byteCount >= 4 ? body.bigEndian32(at: 0) : 0
        let pattern = sink.functionPattern(oid, for: session.value.principal, at: now)
        request.value.pattern = pattern
        request.value.price = sink.started(session.value.principal, pattern, at: now.time)
    }

    /// A message that the server ignores, because an error came before it and no Sync yet.
    private mutating func skip(
        _ session: Slot<Session>,
        _ type: UInt8,
        _ body: RawSpan,
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
