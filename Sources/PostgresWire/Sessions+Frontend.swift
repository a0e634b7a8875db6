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
        if type == 0x70 { return }  // passwords and SASL answers
        table[flow].flags.remove(.idle)
        if table[flow].flags.contains(.skipping), type != 0x53 {
            skip(flow, type, body, length, moment, &sink)
            return
        }
        switch type {
        case 0x51: query(flow, body, length, moment, &sink)
        case 0x50:
            table[flow].flags.insert(.unsynced)
            parse(flow, body, moment, &sink)
        case 0x42:
            table[flow].flags.insert(.unsynced)
            bind(flow, body, moment, &sink)
        case 0x45:
            table[flow].flags.insert(.unsynced)
            execute(flow, body, length, moment, &sink)
        case 0x44: table[flow].flags.insert(.unsynced)
        case 0x53: sync(flow, moment)
        case 0x43:
            table[flow].flags.insert(.unsynced)
            close(flow, body, moment)
        case 0x46: functionCall(flow, body, length, moment, &sink)
        case 0x63, 0x66:
            if table[flow].flags.contains(.copyIn) {
                table[flow].flags.remove(.copyIn)
            } else {
                _ = push(flow, .copyEnd, sent: moment.time)
            }
        default: break
        }
    }

    private mutating func sync(_ flow: FlowHandle, _ moment: Moment) {
        if table[flow].flags.contains(.copyIn) { return }
        table[flow].flags.subtract([.skipping, .unsynced])
        let last = table[flow].lastRequest
        if last >= 0, requests[last].kind == .execute, !requests[last].flags.contains(.endsQuery) {
            requests[last].flags.insert(.endsQuery)
            requests[last].syncSerial = table[flow].portalSerial
            return
        }
        guard let entry = push(flow, .sync, sent: moment.time) else { return }
        requests[entry].flags = .endsQuery
        requests[entry].syncSerial = table[flow].portalSerial
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
        var last: Int32 = -1
        var start = 0
        while !isCut, let sketch = sink.sketch(text, from: start, backslashEscapes: escapes) {
            start = max(start &+ 1, sketch.range.upperBound)
            guard let entry = push(flow, .statement, sent: moment.time) else { break }
            requests[entry].statementKind = sketch.kind
            if last < 0 {
                requests[entry].flags = .beginsQuery
                requests[entry].bytes = length &+ 1
                requests[entry].serial = table[flow].parseSerial
                requests[entry].syncSerial = table[flow].portalSerial
            }
            last = entry
            let isWalsender =
                table[flow].flags.contains(.replication) && (sketch.kind == .replication || sketch.kind == .show)
            if isWalsender {
                requests[entry].flags.insert(.unmetered)
            } else {
                resolve(flow, sketch, text, moment, entry, &sink)
                let pattern = requests[entry].pattern
                requests[entry].price = sink.started(table[flow].principal, pattern, at: moment.time)
            }
        }
        if last >= 0 {
            requests[last].flags.insert(.endsQuery)
            return
        }
        // Nothing but white space, or a text that was not seen.
        guard let entry = push(flow, .statement, sent: moment.time) else { return }
        requests[entry].bytes = length &+ 1
        if isCut {
            requests[entry].flags = [.beginsQuery, .endsQuery, .inDoubt]
            requests[entry].price = sink.started(table[flow].principal, 0, at: moment.time)
        } else {
            requests[entry].flags = [.beginsQuery, .endsQuery, .unmetered]
            requests[entry].statementKind = .empty
        }
    }

    /// The pattern of one statement of a Query message, and what it does to names.
    private mutating func resolve(
        _ flow: FlowHandle,
        _ sketch: StatementSketch,
        _ text: RawSpan,
        _ moment: Moment,
        _ entry: Int32,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let principal = table[flow].principal
        switch sketch.kind {
        case .execute:
            requests[entry].name = identifierKey(text.extracting(sketch.name))
            if let known = statement(flow, requests[entry].name) {
                // It counts as an execution of what was prepared.
                requests[entry].pattern = known.pattern
                requests[entry].statementKind = known.kind
                return
            }
        case .prepare where sketch.body > 0:
            requests[entry].name = identifierKey(text.extracting(sketch.name))
            let body = text.extracting(0..<sketch.range.upperBound)
            let escapes = table[flow].flags.contains(.backslashEscapes)
            if let inner = sink.sketch(body, from: sketch.body, backslashEscapes: escapes) {
                let pattern = sink.pattern(inner, of: text, for: principal, at: moment)
                remember(flow, entry)
                setStatement(flow, requests[entry].name, pattern, inner.kind)
            }
        case .deallocate:
            requests[entry].name = identifierKey(text.extracting(sketch.name))
            remember(flow, entry)
            removeStatement(flow, requests[entry].name)
        default:
            break
        }
        requests[entry].pattern = sink.pattern(sketch, of: text, for: principal, at: moment)
    }

    /// Notes what a name stands for now, so that it can be restored.
    private func remember(_ flow: FlowHandle, _ entry: Int32) {
        guard let known = statement(flow, requests[entry].name) else { return }
        requests[entry].flags.insert(.hadName)
        requests[entry].previousPattern = known.pattern
        requests[entry].previousKind = known.kind
    }

    private mutating func parse(
        _ flow: FlowHandle,
        _ body: RawSpan,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        table[flow].parseSerial &+= 1
        guard let nameEnd = body.firstOffset(of: 0, from: 0) else {
            counters.note(.malformedMessage)
            return
        }
        let name = nameKey(body.extracting(0..<nameEnd))
        let textEnd = body.firstOffset(of: 0, from: nameEnd &+ 1)
        let text = body.extracting(nameEnd &+ 1..<(textEnd ?? body.byteCount))
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
        if name != 0 {
            guard let entry = push(flow, .parse, sent: moment.time) else { return }
            requests[entry].name = name
            requests[entry].serial = table[flow].parseSerial
            remember(flow, entry)
        }
        setStatement(flow, name, pattern, kind)
    }

    private mutating func bind(
        _ flow: FlowHandle,
        _ body: RawSpan,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        table[flow].portalSerial &+= 1
        guard let portalEnd = body.firstOffset(of: 0, from: 0),
            let nameEnd = body.firstOffset(of: 0, from: portalEnd &+ 1)
        else {
            counters.note(.malformedMessage)
            return
        }
        var portal = Portal()
        if let known = statement(flow, nameKey(body.extracting(portalEnd &+ 1..<nameEnd))) {
            portal.pattern = known.pattern
            portal.kind = known.kind
        }
        portal.serial = table[flow].portalSerial
        portal.state = .exists
        let name = nameKey(body.extracting(0..<portalEnd))
        // A suspended portal of this name is dropped, and with it its statement is done.
        if let old = self.portal(flow, name) { endPortal(flow, old, finished: true, moment, &sink) }
        setPortal(flow, name, portal)
    }

    private mutating func execute(
        _ flow: FlowHandle,
        _ body: RawSpan,
        _ length: UInt32,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard let entry = push(flow, .execute, sent: moment.time) else { return }
        requests[entry].bytes = length &+ 1
        guard let nameEnd = body.firstOffset(of: 0, from: 0) else {
            counters.note(.malformedMessage)
            requests[entry].flags = .unmetered
            return
        }
        let name = nameKey(body.extracting(0..<nameEnd))
        requests[entry].name = name
        let rowLimit = nameEnd &+ 5 <= body.byteCount ? body.bigEndian32(at: nameEnd &+ 1) : 0
        requests[entry].rowLimit = rowLimit
        var portal: Portal
        if let known = self.portal(flow, name) {
            portal = known
        } else {
            // A cursor that SQL declared, or a Bind that was not seen.
            portal = Portal()
            portal.serial = table[flow].portalSerial
            portal.state = .exists
        }
        requests[entry].pattern = portal.pattern
        requests[entry].statementKind = portal.kind
        requests[entry].serial = portal.serial
        if !portal.state.contains(.executed) {
            requests[entry].flags = .first
            if portal.kind == .empty {
                requests[entry].flags.insert(.unmetered)
            } else {
                requests[entry].price = sink.started(table[flow].principal, portal.pattern, at: moment.time)
            }
            portal.state.insert(.executed)
            portal.price = requests[entry].price
            portal.started = moment.time
        }
        portal.rowLimit = rowLimit
        setPortal(flow, name, portal)
    }

    private mutating func close(_ flow: FlowHandle, _ body: RawSpan, _ moment: Moment) {
        guard let entry = push(flow, .close, sent: moment.time) else { return }
        guard body.byteCount >= 2, let end = body.firstOffset(of: 0, from: 1) else {
            counters.note(.malformedMessage)
            return
        }
        requests[entry].name = nameKey(body.extracting(1..<end))
        if body.byte(at: 0) == 0x53 {
            remember(flow, entry)
            removeStatement(flow, requests[entry].name)
        } else {
            // A portal is closed when the server says so: it may be suspended, and then its statement is done.
            requests[entry].statementKind = .closeCursor
        }
    }

    private mutating func functionCall(
        _ flow: FlowHandle,
        _ body: RawSpan,
        _ length: UInt32,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard let entry = push(flow, .functionCall, sent: moment.time) else { return }
        requests[entry].flags = .endsQuery
        requests[entry].bytes = length &+ 1
        let oid = body.byteCount >= 4 ? body.bigEndian32(at: 0) : 0
        let pattern = sink.functionPattern(oid, for: table[flow].principal, at: moment)
        requests[entry].pattern = pattern
        requests[entry].price = sink.started(table[flow].principal, pattern, at: moment.time)
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
        var event = StatementEvent()
        event.flow = flow
        event.principal = table[flow].principal
        event.wire = type == 0x51 ? .simple : type == 0x45 ? .extended : .functionCall
        event.price = sink.started(table[flow].principal, 0, at: moment.time)
        event.started = moment.time
        event.ended = moment
        event.bytesSent = length &+ 1
        event.outcome = .skipped
        sink.ended(event)
    }
}
