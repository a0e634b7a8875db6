// SPDX-License-Identifier: Apache-2.0
import Domain

extension Sessions {
    /// One message of the client; `body` is as much of it as was wanted, `length` what it has in all.
    mutating func clientMessage(
        _ flow: FlowHandle,
        _ type: UInt8,
        _ body: RawSpan,
        _ length: UInt32,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        counters.messages &+= 1
        guard table[flow].phase == .ready else { return }  // passwords and SASL answers
        table[flow].flags.remove(.idle)
        if table[flow].flags.contains(.skipping), type != 0x53 {
            skip(flow, type, body, length, moment, &sink)
            return
        }
        switch type {
        case 0x51: query(flow, body, length, moment, &sink)
        case 0x50: parse(flow, body, moment, &sink)
        case 0x42: bind(flow, body, length, moment)
        case 0x45: execute(flow, body, length, moment, &sink)
        case 0x53:
            if table[flow].flags.contains(.copyIn) { return }
            table[flow].flags.remove(.skipping)
            var request = Request()
            request.kind = .sync
            request.flags = .endsQuery
            request.sent = moment.time
            _ = push(flow, request)
        case 0x44:
            var request = Request()
            request.kind = .describe
            _ = push(flow, request)
        case 0x43: close(flow, body)
        case 0x46: functionCall(flow, body, length, moment, &sink)
        case 0x63, 0x66:
            if table[flow].flags.contains(.copyIn) {
                table[flow].flags.remove(.copyIn)
            } else {
                var request = Request()
                request.kind = .copyEnd
                _ = push(flow, request)
            }
        case 0x58: table[flow].flags.insert(.terminated)
        default: break
        }
    }

    /// A Query message: all its statements are sent at once; each is answered by itself.
    private mutating func query(
        _ flow: FlowHandle,
        _ body: RawSpan,
        _ length: UInt32,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let end = body.firstOffset(of: 0, from: 0) ?? body.byteCount
        let isCut = table[flow].client.isHoled
        if UInt32(body.byteCount) < length, !isCut { counters.note(.textCut) }
        let text = body.extracting(0..<end)
        let escapes = table[flow].flags.contains(.backslashEscapes)
        var request = Request()
        request.flags = [.beginsQuery]
        request.sent = moment.time
        request.bytes = length &+ 5
        var last: Int32?
        var start = 0
        while !isCut, let sketch = sink.sketch(text, from: start, backslashEscapes: escapes) {
            start = max(start + 1, sketch.range.upperBound)
            request.statementKind = sketch.kind
            let isWalsender =
                table[flow].flags.contains(.replication) && (sketch.kind == .replication || sketch.kind == .show)
            if isWalsender {
                request.flags.insert(.unmetered)
            } else {
                resolve(flow, sketch, text, moment, &request, &sink)
                request.price = sink.started(table[flow].principal, request.pattern, at: moment.time)
            }
            guard let entry = push(flow, request) else { break }
            last = entry
            request = Request()
            request.sent = moment.time
        }
        if let last {
            requests[last].flags.insert(.endsQuery)
            return
        }
        // Nothing but white space, or a text that was not seen.
        request.flags.insert(.endsQuery)
        if isCut {
            request.flags.insert(.inDoubt)
            request.price = sink.started(table[flow].principal, 0, at: moment.time)
        } else {
            request.statementKind = .empty
            request.flags.insert(.unmetered)
        }
        _ = push(flow, request)
    }

    /// The pattern of one statement of a Query message, and what it does to names.
    private mutating func resolve(
        _ flow: FlowHandle,
        _ sketch: StatementSketch,
        _ text: RawSpan,
        _ moment: Moment,
        _ request: inout Request,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let principal = table[flow].principal
        switch sketch.kind {
        case .execute:
            request.name = identifierKey(text.extracting(sketch.name))
            if let known = statement(flow, request.name) {
                // It counts as an execution of what was prepared.
                request.pattern = known.pattern
                request.statementKind = known.kind
                return
            }
        case .prepare where sketch.body > 0:
            request.name = identifierKey(text.extracting(sketch.name))
            let body = text.extracting(0..<sketch.range.upperBound)
            let escapes = table[flow].flags.contains(.backslashEscapes)
            if let inner = sink.sketch(body, from: sketch.body, backslashEscapes: escapes) {
                let pattern = sink.pattern(inner, of: text, for: principal, at: moment)
                remember(flow, &request)
                setStatement(flow, request.name, pattern, inner.kind)
            }
        case .deallocate:
            request.name = identifierKey(text.extracting(sketch.name))
            remember(flow, &request)
            removeStatement(flow, request.name)
        default:
            break
        }
        request.pattern = sink.pattern(sketch, of: text, for: principal, at: moment)
    }

    /// Notes what a name stands for now, so that it can be restored.
    private func remember(_ flow: FlowHandle, _ request: inout Request) {
        guard let known = statement(flow, request.name) else { return }
        request.flags.insert(.hadName)
        request.previousPattern = known.pattern
        request.previousKind = known.kind
    }

    private mutating func parse(
        _ flow: FlowHandle,
        _ body: RawSpan,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        var request = Request()
        request.kind = .parse
        request.sent = moment.time
        guard let nameEnd = body.firstOffset(of: 0, from: 0) else {
            counters.note(.malformedMessage)
            _ = push(flow, request)
            return
        }
        request.name = nameKey(body.extracting(0..<nameEnd))
        remember(flow, &request)
        let textEnd = body.firstOffset(of: 0, from: nameEnd + 1)
        let text = body.extracting(nameEnd + 1..<(textEnd ?? body.byteCount))
        let escapes = table[flow].flags.contains(.backslashEscapes)
        var pattern: PatternHandle = 0
        var kind = StatementKind.unknown
        if textEnd != nil || !table[flow].client.isHoled {
            if let sketch = sink.sketch(text, from: 0, backslashEscapes: escapes) {
                kind = sketch.kind
                if kind == .execute, let known = statement(flow, identifierKey(text.extracting(sketch.name))) {
                    (pattern, kind) = known
                } else {
                    pattern = sink.pattern(sketch, of: text, for: table[flow].principal, at: moment)
                }
            } else {
                kind = .empty
            }
        }
        if push(flow, request) != nil { setStatement(flow, request.name, pattern, kind) }
    }

    private mutating func bind(_ flow: FlowHandle, _ body: RawSpan, _ length: UInt32, _ moment: Moment) {
        var request = Request()
        request.kind = .bind
        request.sent = moment.time
        guard let portalEnd = body.firstOffset(of: 0, from: 0),
            let nameEnd = body.firstOffset(of: 0, from: portalEnd + 1)
        else {
            counters.note(.malformedMessage)
            _ = push(flow, request)
            return
        }
        request.name = nameKey(body.extracting(0..<portalEnd))
        var portal = Portal()
        if let known = statement(flow, nameKey(body.extracting(portalEnd + 1..<nameEnd))) {
            portal.pattern = known.pattern
            portal.kind = known.kind
        }
        table[flow].portalSerial &+= 1
        portal.serial = table[flow].portalSerial
        portal.state = .exists
        request.serial = portal.serial
        guard push(flow, request) != nil else { return }
        setPortal(flow, request.name, portal)
    }

    private mutating func execute(
        _ flow: FlowHandle,
        _ body: RawSpan,
        _ length: UInt32,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        var request = Request()
        request.kind = .execute
        request.sent = moment.time
        request.bytes = length &+ 5
        guard let nameEnd = body.firstOffset(of: 0, from: 0) else {
            counters.note(.malformedMessage)
            request.flags = .unmetered
            _ = push(flow, request)
            return
        }
        request.name = nameKey(body.extracting(0..<nameEnd))
        if nameEnd + 5 <= body.byteCount { request.rowLimit = body.bigEndian32(at: nameEnd + 1) }
        var portal: Portal
        if let known = self.portal(flow, request.name) {
            portal = known
        } else {
            // A cursor that SQL declared, or a Bind that was not seen.
            portal = Portal()
            table[flow].portalSerial &+= 1
            portal.serial = table[flow].portalSerial
            portal.state = .exists
        }
        request.pattern = portal.pattern
        request.statementKind = portal.kind
        request.serial = portal.serial
        if !portal.state.contains(.executed) {
            request.flags = .first
            if portal.kind == .empty {
                request.flags.insert(.unmetered)
            } else {
                request.price = sink.started(table[flow].principal, portal.pattern, at: moment.time)
            }
            portal.state.insert(.executed)
            portal.price = request.price
            portal.started = moment.time
        }
        portal.rowLimit = request.rowLimit
        guard push(flow, request) != nil else { return }
        setPortal(flow, request.name, portal)
    }

    private mutating func close(_ flow: FlowHandle, _ body: RawSpan) {
        var request = Request()
        request.kind = .close
        guard body.byteCount >= 2, let end = body.firstOffset(of: 0, from: 1) else {
            counters.note(.malformedMessage)
            _ = push(flow, request)
            return
        }
        let name = nameKey(body.extracting(1..<end))
        if body.byte(at: 0) == 0x53 {
            request.name = name
            remember(flow, &request)
            if push(flow, request) != nil { removeStatement(flow, name) }
        } else {
            // A portal is closed when the server says so: it may be suspended, and then its statement is done.
            request.kind = .close
            request.statementKind = .closeCursor
            request.name = name
            _ = push(flow, request)
        }
    }

    private mutating func functionCall(
        _ flow: FlowHandle,
        _ body: RawSpan,
        _ length: UInt32,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        var request = Request()
        request.kind = .functionCall
        request.flags = .endsQuery
        request.sent = moment.time
        request.bytes = length &+ 5
        let oid = body.byteCount >= 4 ? body.bigEndian32(at: 0) : 0
        request.pattern = sink.functionPattern(oid, for: table[flow].principal, at: moment)
        request.price = sink.started(table[flow].principal, request.pattern, at: moment.time)
        _ = push(flow, request)
    }

    /// A message that the server ignores, because an error came before it and no Sync yet.
    private mutating func skip(
        _ flow: FlowHandle,
        _ type: UInt8,
        _ body: RawSpan,
        _ length: UInt32,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard type == 0x51 || type == 0x45 || type == 0x46 else { return }
        var request = Request()
        request.kind = type == 0x51 ? .statement : type == 0x45 ? .execute : .functionCall
        request.sent = moment.time
        request.bytes = length &+ 5
        request.price = sink.started(table[flow].principal, 0, at: moment.time)
        var event = event(flow, request, moment)
        event.outcome = .skipped
        sink.ended(event)
    }
}
