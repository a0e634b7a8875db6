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
        let isLogin = table[flow].phase != .ready && !(table[flow].flags.contains(.doubtful) && front(flow) >= 0)
        guard !isLogin else {
            counters.authFailed &+= 1
            skipToSync(flow, moment, &sink)
            abandonRequests(flow, isKnown: true, moment, &sink)
            table[flow].phase = .opaque
            return
        }
        table[flow].flags.remove(.copyIn)
        table[flow].flags.insert(.rolledBack)
        let entry = front(flow)
        guard entry >= 0 else {
            // Of a Parse, Bind or Describe whose Sync is still to come; otherwise it is the server's own: a timeout,
            // an administrator.
            guard table[flow].flags.contains(.unsynced), !fields.isFatal else { return }
            sink.reported(table[flow].principal)
            skipToSync(flow, moment, &sink)
            endPortals(flow, finished: false, moment, &sink)
            return
        }
        let flags = requests[entry].flags
        guard !flags.contains(.done) || requests[entry].kind == .execute else { return }
        sink.reported(table[flow].principal)
        switch requests[entry].kind {
        case .statement where isBehindUnanswered(flow, entry):
            skipToSync(flow, moment, &sink)
        case .statement:
            failQuery(flow, entry, fields, moment, &sink)
        case .functionCall:
            fail(flow, entry, fields, moment, &sink)
            requests[entry].flags.formUnion([.done, .failed])
        case .sync:
            // A Parse, Bind or Describe before it failed, or the implicit commit: ReadyForQuery follows.
            forgetUnparsed(flow)
        case .execute where flags.contains(.done):
            // The implicit commit at its Sync failed, such as by a deferred constraint.
            break
        default:
            let isBound = Int32(bitPattern: requests[entry].serial &- table[flow].boundSerial) <= 0
            if requests[entry].kind == .execute, isBound || table[flow].flags.contains(.midstream) {
                fail(flow, entry, fields, moment, &sink)
                requests[entry].flags.insert(.done)
            }
            skipToSync(flow, moment, &sink)
        }
        endPortals(flow, finished: false, moment, &sink)
        noteCompletion(flow, moment)
    }

    /// Whether a Parse or Bind that was sent before a Query is still unanswered: then the error is its, and the
    /// Query is skipped too.
    private func isBehindUnanswered(_ flow: FlowHandle, _ entry: Int32) -> Bool {
        guard requests[entry].flags.contains(.beginsQuery), !table[flow].flags.contains(.midstream) else {
            return false
        }
        return Int32(bitPattern: requests[entry].serial &- table[flow].parsedSerial) > 0
            || Int32(bitPattern: requests[entry].syncSerial &- table[flow].boundSerial) > 0
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
            let flags = requests[entry].flags
            guard requests[entry].kind == .statement else { return }
            if isFailed {
                fail(flow, entry, fields, moment, &sink)
                isFailed = false
            } else if isMetered(entry) {
                var event = event(flow, entry, moment)
                event.outcome = flags.contains(.inDoubt) ? .uncertain : .skipped
                event.errorCode = isUnparsed ? fields.code : 0
                sink.ended(event)
            }
            undo(flow, requests[entry])
            if flags.contains(.endsQuery) {
                requests[entry].flags.formUnion([.done, .failed])
                return
            }
            pop(flow)
        }
    }

    private func fail(
        _ flow: FlowHandle,
        _ entry: Int32,
        _ fields: ErrorFields,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard isMetered(entry), requests[entry].kind != .execute || requests[entry].flags.contains(.first) else {
            return
        }
        var event = event(flow, entry, moment)
        event.outcome = requests[entry].flags.contains(.inDoubt) ? .uncertain : .failed
        event.errorCode = fields.code
        sink.ended(event)
    }
}
