// SPDX-License-Identifier: Apache-2.0
import Domain

extension Sessions {
    /// A Query message: all its statements are sent at once; each is answered by itself.
    mutating func query(
        _ session: Slot<Session>,
        _ body: RawSpan,
        _ length: UInt32,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let end = body.firstOffset(of: 0, from: 0) ?? body.byteCount
        let isHoled = reader(session, .client).value.isHoled
        // What stands behind the part that is kept may be anything.
        let isCut = UInt32(body.byteCount) < length && end == body.byteCount
        let text = body.extracting(0..<end)
        if session.value.encoding != .plain, let readable = readable(session, text) {
            let isHoled = isHoled || readable.isMissing
            statements(session, readable.block.bytes(0..<readable.count), length, isHoled: isHoled, isCut: isCut, &sink)
            pool.give(readable.block)
        } else {
            statements(session, text, length, isHoled: isHoled, isCut: isCut, &sink)
        }
    }

    /// The statements of a Query message whose text is `text`.
    ///
    /// `isHoled`: bytes of it are missing; `isCut`: there is more of it than was kept.
    private mutating func statements(
        _ session: Slot<Session>,
        _ text: RawSpan,
        _ length: UInt32,
        isHoled: Bool,
        isCut: Bool,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let escapes = session.value.flags.contains(.backslashEscapes)
        var last: Slot<Request>?
        var start = 0
        while !isHoled, let sketch = sink.sketch(text, from: start, backslashEscapes: escapes) {
            start = max(start &+ 1, sketch.range.upperBound)
            guard let request = push(session, .statement) else {
                summarizeRest(
                    session,
                    text,
                    from: sketch.range.lowerBound,
                    bytes: length,
                    last == nil,
                    isOpen: isCut,
                    &sink
                )
                return
            }
            if last == nil {
                request.value.flags = .beginsQuery
                request.value.bytes = length &+ 1
            }
            last = request
            take(session, sketch, text, request, &sink)
        }
        if let last, !isCut {
            last.value.flags.insert(.endsQuery)
            return
        }
        if isCut, !isHoled {
            summarizeRest(session, text, from: text.byteCount, bytes: length, last == nil, isOpen: true, &sink)
            return
        }
        // Nothing but white space, or a text that was not seen.
        guard let request = push(session, .statement) else {
            summarize(session, statements: isHoled ? 1 : 0, bytes: length, &sink)
            return summarize(session, ends: 1)
        }
        request.value.bytes = length &+ 1
        request.value.flags = [.beginsQuery, .endsQuery]
        if isHoled {
            request.value.flags.insert(.inDoubt)
        } else {
            request.value.statement.kind = .empty
        }
        charge(session, request, &sink)
    }

    /// One statement of a Query message.
    private mutating func take(
        _ session: Slot<Session>,
        _ sketch: StatementSketch,
        _ text: RawSpan,
        _ request: Slot<Request>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let isWalsender =
            session.value.flags.contains(.replication) && (sketch.kind == .replication || sketch.kind == .show)
        let isPoolers = sketch.kind == .set && takePoolersWord(session, text, sketch.range, &sink)
        if isWalsender || isPoolers {
            request.value.statement.kind = sketch.kind
            request.value.flags.insert(.unmetered)
            return
        }
        request.value.path = session.value.path
        prepare(session, sketch, text, request, &sink)
        charge(session, request, &sink)
    }

    /// What a statement is, and what running it does.
    @inline(__always)
    mutating func prepare(
        _ session: Slot<Session>,
        _ sketch: StatementSketch,
        _ text: RawSpan,
        _ request: Slot<Request>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        if sketch.kind.isPlain, text.byte(at: sketch.range.lowerBound) | 0x20 != 0x77 {
            request.value.statement.kind = sketch.kind
            let (payer, path) = (session.value.principal, session.value.path)
            request.value.statement.pattern = sink.pattern(sketch, of: text, for: payer, under: path, at: now)
        } else {
            request.value.statement = prepared(session, sketch, text, &sink)
        }
        if sketch.kind == .set || sketch.kind == .discardAll || session.value.flags.contains(.expectsEncoding) {
            followEncoding(session, text, sketch)
        }
    }

    /// The same of a statement that may do something to its session, or begins with WITH.
    @inline(never)
    private mutating func prepared(
        _ session: Slot<Session>,
        _ sketch: StatementSketch,
        _ text: RawSpan,
        _ sink: inout some SessionSink & ~Copyable
    ) -> Prepared {
        let principal = session.value.principal
        var result = Prepared()
        result.kind = sketch.kind
        switch sketch.kind {
        case .select, .values, .table, .with:
            if Self.modifies(sketch, text) { result.effect.flags = .modifies }
        case .execute:
            result.effect.name = identifierKey(text.extracting(sketch.name))
            if let known = statement(session, result.effect.name) {
                // It counts as an execution of what was prepared.
                result.pattern = known.pattern
                return result
            }
            // What is under way may prepare it.
            if session.value.requestCount > 1 { return result }
        case .prepare where sketch.body > 0:
            result.effect.name = identifierKey(text.extracting(sketch.name))
            let body = text.extracting(0..<sketch.range.upperBound)
            if let inner = sink.sketch(body, from: sketch.body, backslashEscapes: sketch.backslashEscapes) {
                result.effect.pattern = sink.pattern(
                    inner,
                    of: text,
                    for: principal,
                    under: session.value.path,
                    at: now
                )
                result.effect.kind = inner.kind
            }
        case .deallocate:
            result.effect.name = identifierKey(text.extracting(sketch.name))
        case .set:
            result.effect = pathEffect(session, text, sketch.range, &sink)
        case .discardAll:
            result.effect.path = session.value.pathOfLogin
        default:
            break
        }
        result.pattern = sink.pattern(sketch, of: text, for: principal, under: session.value.path, at: now)
        // Mostly it is executed next.
        if result.effect.flags.contains(.setsPath) || sketch.kind == .discardAll {
            session.value.path = result.effect.path
        }
        return result
    }

    /// Whether a statement that begins with WITH writes in one of its queries: `AS [NOT MATERIALIZED] (INSERT …`.
    private static func modifies(_ sketch: StatementSketch, _ text: RawSpan) -> Bool {
        var words = WordReader(offset: sketch.range.lowerBound, end: min(sketch.range.upperBound, text.byteCount))
        guard words.take("with", text) else { return false }
        while let parenthesis = text.firstOffset(of: 0x28, from: words.offset), parenthesis < words.end {
            words.offset = parenthesis &+ 1
            if words.take("insert", text) || words.take("update", text) || words.take("delete", text)
                || words.take("merge", text)
            {
                return true
            }
        }
        return false
    }
}
