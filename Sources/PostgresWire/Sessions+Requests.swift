// SPDX-License-Identifier: Apache-2.0
import Domain

extension Sessions {
    /// Adds a blank request at the end of its session's queue; `nil` when there are too many.
    mutating func push(_ flow: FlowHandle, _ kind: Request.Kind, sent time: Timestamp) -> Int32? {
        guard table[flow].requestCount < limits.requestsPerSession, let entry = requests.take() else {
            counters.note(.overBudget)
            return nil
        }
        requests[entry].kind = kind
        requests[entry].sent = time
        let last = table[flow].lastRequest
        if last >= 0 { requests[last].next = entry } else { table[flow].firstRequest = entry }
        table[flow].lastRequest = entry
        table[flow].requestCount &+= 1
        return entry
    }

    /// Removes the oldest request.
    mutating func pop(_ flow: FlowHandle) {
        let entry = table[flow].firstRequest
        guard entry >= 0 else { return }
        let next = requests[entry].next
        table[flow].firstRequest = next
        if next < 0 { table[flow].lastRequest = -1 }
        table[flow].requestCount &-= 1
        requests.give(entry)
    }

    /// The oldest request that is no marker; -1 when there is none.
    @inline(__always)
    mutating func front(_ flow: FlowHandle) -> Int32 {
        let entry = table[flow].firstRequest
        if entry >= 0, requests[entry].kind == .copyEnd { return frontBehindMarkers(flow) }
        return entry
    }

    private mutating func frontBehindMarkers(_ flow: FlowHandle) -> Int32 {
        while table[flow].firstRequest >= 0, requests[table[flow].firstRequest].kind == .copyEnd { pop(flow) }
        return table[flow].firstRequest
    }

    /// COPY data is awaited: every Sync sent up to the end of that data is ignored by the server.
    mutating func ignoreSyncs(_ flow: FlowHandle) {
        var previous = front(flow)
        guard previous >= 0 else { return }
        if requests[previous].kind == .execute { requests[previous].flags.remove(.endsQuery) }
        var entry = requests[previous].next
        while entry >= 0 {
            let next = requests[entry].next
            if requests[entry].kind == .copyEnd { return }
            if requests[entry].kind == .sync {
                requests[previous].next = next
                if next < 0 { table[flow].lastRequest = previous }
                table[flow].requestCount &-= 1
                requests.give(entry)
            } else {
                previous = entry
            }
            entry = next
        }
        table[flow].flags.insert(.copyIn)
    }

    /// Takes back everything from the front up to the next Sync, the last first: the server skips it.
    mutating func skipToSync(
        _ flow: FlowHandle,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        var reversed: Int32 = -1
        var entry = table[flow].firstRequest
        var hasSync = false
        while entry >= 0, requests[entry].kind != .sync {
            let next = requests[entry].next
            endSkipped(flow, entry, moment, &sink)
            if requests[entry].kind == .execute, requests[entry].flags.contains(.endsQuery) {
                // Of an Execute with its Sync the Sync is left.
                requests[entry].kind = .sync
                requests[entry].flags = .endsQuery
                hasSync = true
                break
            }
            requests[entry].next = reversed
            reversed = entry
            table[flow].requestCount &-= 1
            entry = next
        }
        table[flow].firstRequest = entry
        if entry < 0 {
            table[flow].lastRequest = -1
            if !hasSync { table[flow].flags.insert(.skipping) }
        }
        while reversed >= 0 {
            undo(flow, requests[reversed])
            let next = requests[reversed].next
            requests.give(reversed)
            reversed = next
        }
        forgetUnparsed(flow)
    }

    /// A Parse of the unnamed statement may have been skipped: what stands there now is not known.
    mutating func forgetUnparsed(_ flow: FlowHandle) {
        guard table[flow].parsedSerial != table[flow].parseSerial else { return }
        removeStatement(flow, 0)
        table[flow].parsedSerial = table[flow].parseSerial
    }

    /// What a request assumed about names is not so.
    mutating func undo(_ flow: FlowHandle, _ request: Request) {
        switch request.kind {
        case .parse, .close:
            restoreStatement(flow, request)
        case .statement where request.statementKind == .prepare || request.statementKind == .deallocate:
            restoreStatement(flow, request)
        default:
            break
        }
    }

    private mutating func restoreStatement(_ flow: FlowHandle, _ request: Request) {
        if request.flags.contains(.hadName) {
            setStatement(flow, request.name, request.previousPattern, request.previousKind)
        } else if request.kind != .close {
            removeStatement(flow, request.name)
        }
    }

    /// The session is over: what ran last may have run, what stood behind it did not.
    mutating func abandonRequests(
        _ flow: FlowHandle,
        isKnown: Bool,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        var isFirst = true
        while front(flow) >= 0 {
            let entry = front(flow)
            let flags = requests[entry].flags
            if isMetered(entry), !flags.contains(.done) {
                let mayHaveRun = isFirst || !isKnown || flags.contains(.inDoubt)
                var event = event(flow, entry, moment)
                event.outcome = mayHaveRun ? .uncertain : .skipped
                if requests[entry].kind != .execute || flags.contains(.first) { sink.ended(event) }
                isFirst = false
            }
            pop(flow)
        }
    }

    func isMetered(_ entry: Int32) -> Bool {
        switch requests[entry].kind {
        case .statement, .execute, .functionCall: !requests[entry].flags.contains(.unmetered)
        default: false
        }
    }

    private func endSkipped(
        _ flow: FlowHandle,
        _ entry: Int32,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let flags = requests[entry].flags
        guard isMetered(entry), !flags.contains(.done) else { return }
        guard requests[entry].kind != .execute || flags.contains(.first) else { return }
        var event = event(flow, entry, moment)
        event.outcome = flags.contains(.inDoubt) ? .uncertain : .skipped
        sink.ended(event)
    }

    /// What is known of a request at its end.
    func event(_ flow: FlowHandle, _ entry: Int32, _ moment: Moment) -> StatementEvent {
        var event = StatementEvent()
        event.flow = flow
        event.principal = table[flow].principal
        event.pattern = requests[entry].pattern
        event.kind = requests[entry].statementKind
        switch requests[entry].kind {
        case .statement: event.wire = .simple
        case .functionCall: event.wire = .functionCall
        default: event.wire = .extended
        }
        event.price = requests[entry].price
        event.started = requests[entry].sent
        event.ended = moment
        event.duration = duration(flow, since: event.started, moment)
        event.bytesSent = requests[entry].bytes
        event.bytesReceived = table[flow].serverBytes &- table[flow].answerStart
        return event
    }

    /// Server time: from the request, or from the end of the answer before it where requests are pipelined.
    func duration(_ flow: FlowHandle, since sent: Timestamp, _ moment: Moment) -> Int64 {
        moment.time.nanoseconds(since: max(sent, table[flow].lastCompletion))
    }

    /// An answer ended: the next one begins here.
    func noteCompletion(_ flow: FlowHandle, _ moment: Moment) {
        table[flow].lastCompletion = moment.time
        table[flow].answerStart = table[flow].serverBytes
    }
}
