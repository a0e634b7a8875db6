// SPDX-License-Identifier: Apache-2.0
import Domain

/// Requests beyond the limits of a session, and text beyond what is kept, are counted in one request at the end of the queue.
///
/// Answers then prove them one by one; what an error makes of them is not known, so they stay in the upper bound.
extension Sessions {
    /// The summary at the end of the queue, made if there is none; `nil` where no slot is left at all.
    private mutating func summary(_ session: Slot<Session>) -> Slot<Request>? {
        counters.note(.overBudget)
        if let last = linked(session.value.lastRequest), last.value.kind == .summary { return last }
        guard let request = append(session, .summary) else { return nil }
        session.value.flags.insert(.summarizes)
        return request
    }

    /// Adds statements of which nothing but their number is kept; none: a message that leads to one.
    mutating func summarize(
        _ session: Slot<Session>,
        statements: Int,
        bytes: UInt32,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard let summary = summary(session) else {
            // Nobody will know their answers: what comes next may be theirs.
            session.value.flags.insert(.doubtful)
            sink.missed(session.value.principal, count: Int(bytes), at: now.time)
            return
        }
        summary.value.flags.remove(.endsQuery)
        for _ in 0..<statements {
            summary.value.count &+= 1
            summary.value.price &+= sink.started(session.value.principal, 0, at: now.time)
        }
    }

    /// Adds the end of a Query, FunctionCall or Sync.
    mutating func summarize(_ session: Slot<Session>, ends: UInt32) {
        guard let summary = summary(session) else {
            session.value.flags.insert(.doubtful)
            return
        }
        summary.value.ends &+= ends
        summary.value.flags.insert(.endsQuery)
    }

    /// The statements of a Query message from `start` on.
    mutating func summarizeRest(
        _ session: Slot<Session>,
        _ text: RawSpan,
        from start: Int,
        bytes: UInt32,
        _ isWhole: Bool,
        isOpen: Bool,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        if isOpen { counters.note(.textCut) }
        let isNew = linked(session.value.lastRequest).map { $0.value.kind != .summary } ?? true
        guard let summary = summary(session) else {
            session.value.flags.insert(.doubtful)
            sink.missed(session.value.principal, count: Int(bytes), at: now.time)
            return
        }
        let escapes = session.value.flags.contains(.backslashEscapes)
        let (principal, path) = (session.value.principal, session.value.path)
        var start = start
        while let sketch = sink.sketch(text, from: start, backslashEscapes: escapes) {
            start = max(start &+ 1, sketch.range.upperBound)
            let pattern = sink.pattern(sketch, of: text, for: principal, under: path, at: now)
            // One text over and over keeps its pattern.
            if summary.value.count == 0, isNew { summary.value.statement.pattern = pattern }
            if summary.value.statement.pattern != pattern { summary.value.statement.pattern = 0 }
            summary.value.statement.kind = summary.value.statement.pattern == 0 ? .unknown : sketch.kind
            summary.value.count &+= 1
            summary.value.price &+= sink.started(principal, pattern, at: now.time)
        }
        if isOpen {
            // There is a statement at least, or nobody would send so much.
            summary.value.statement = Prepared()
            summary.value.flags.insert(.isOpen)
            summary.value.count &+= 1
            summary.value.price &+= sink.started(principal, 0, at: now.time)
        }
        if isNew, !isWhole {
            summary.value.flags.insert(.continuesQuery)
            summary.value.first = summary.value.count
        }
        summary.value.ends &+= 1
        summary.value.flags.insert(.endsQuery)
    }

    /// One statement of a summary is answered, or given up.
    mutating func endOne(
        _ session: Slot<Session>,
        _ summary: Slot<Request>,
        _ outcome: StatementOutcome,
        rows: UInt64,
        code: UInt64,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        if summary.value.count == 0 {
            // The text was longer than what was kept of it: here is one more.
            summary.value.count = 1
            summary.value.price = sink.started(session.value.principal, 0, at: now.time)
        }
        var event = event(session, summary)
        event.wire = .simple
        event.price =
            summary.value.count > 1 ? summary.value.price / Int64(clamping: summary.value.count) : summary.value.price
        event.outcome = summary.value.flags.contains(.inDoubt) ? .uncertain : outcome
        event.rows = rows
        event.errorCode = code
        sink.ended(event)
        summary.value.price &-= event.price
        summary.value.count &-= 1
        if summary.value.first > 0 { summary.value.first &-= 1 }
    }

    /// `count` of its statements, or all that are left, are not going to be answered.
    mutating func endRest(
        _ session: Slot<Session>,
        _ summary: Slot<Request>,
        _ outcome: StatementOutcome,
        most count: UInt64 = .max,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        var left = min(count, summary.value.count)
        while left > 0 {
            endOne(session, summary, outcome, rows: 0, code: 0, &sink)
            left &-= 1
        }
    }
}
