// SPDX-License-Identifier: Apache-2.0
import Domain

extension Sessions {
    /// ErrorResponse: what failed, what was never reached, and what is undone by it.
    mutating func errorResponse(
        _ flow: FlowHandle,
        _ body: RawSpan,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let fields = ErrorFields(body)
        table[flow].errorCode = fields.code
        if fields.isFatal { table[flow].flags.insert(.fatal) }
        guard table[flow].phase == .ready else {
            counters.authFailed &+= 1
            table[flow].phase = .opaque
            return
        }
        table[flow].flags.remove(.copyIn)
        table[flow].flags.insert(.rolledBack)
        let entry = front(flow)
        // Without a request it is the server's own: a timeout, an administrator.
        guard entry >= 0 else { return }
        let request = requests[entry]
        guard !request.flags.contains(.done) else { return }
        sink.reported(table[flow].principal)
        switch request.kind {
        case .statement:
            failQuery(flow, entry, fields, moment, &sink)
        case .functionCall:
            fail(flow, request, fields, moment, &sink)
            requests[entry].flags.formUnion([.done, .failed])
        case .sync:
            // The implicit commit failed (a deferred constraint): ReadyForQuery follows.
            break
        default:
            if request.kind == .execute {
                fail(flow, request, fields, moment, &sink)
                requests[entry].flags.insert(.done)
            }
            skipToSync(flow, moment, &sink)
        }
        endPortals(flow, finished: false, moment, &sink)
        noteCompletion(flow, moment)
    }

    /// One statement of a Query message failed; those behind it never run.
    private mutating func failQuery(
        _ flow: FlowHandle,
        _ first: Int32,
        _ fields: ErrorFields,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        // The whole text is parsed before any of it runs.
        let isUnparsed = fields.code == ErrorFields.syntaxError && requests[first].flags.contains(.beginsQuery)
        var isFailed = !isUnparsed
        while front(flow) >= 0 {
            let entry = front(flow)
            let request = requests[entry]
            guard request.kind == .statement else { return }
            if isFailed {
                fail(flow, request, fields, moment, &sink)
                isFailed = false
            } else if isMetered(request) {
                var event = event(flow, request, moment)
                event.outcome = request.flags.contains(.inDoubt) ? .uncertain : .skipped
                event.errorCode = isUnparsed ? fields.code : 0
                sink.ended(event)
            }
            undo(flow, request)
            if request.flags.contains(.endsQuery) {
                requests[entry].flags.formUnion([.done, .failed])
                return
            }
            pop(flow)
        }
    }

    private func fail(
        _ flow: FlowHandle,
        _ request: Request,
        _ fields: ErrorFields,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard isMetered(request) else { return }
        guard request.kind != .execute || request.flags.contains(.first) else { return }
        var event = event(flow, request, moment)
        event.outcome = request.flags.contains(.inDoubt) ? .uncertain : .failed
        event.errorCode = fields.code
        sink.ended(event)
    }
}
