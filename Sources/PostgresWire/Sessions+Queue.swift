// SPDX-License-Identifier: Apache-2.0
import Domain

extension Sessions {
    /// The request of a link; `nil` at the end of the queue.
    @inline(__always)
    mutating func linked(_ handle: Int32) -> Slot<Request>? { handle < 0 ? nil : requests.slot(handle) }

    /// Adds a blank request at the end of its session's queue; `nil` when there are too many: then it belongs in a summary.
    @inline(__always)
    mutating func push(_ session: Slot<Session>, _ kind: Request.Kind) -> Slot<Request>? {
        let isEasy = session.value.requestCount < easyRequests && !session.value.flags.contains(.summarizes)
        guard isEasy || mayPush(session) else { return nil }
        return append(session, kind)
    }

    /// Adds a blank request, whatever the session has.
    @inline(__always)
    mutating func append(_ session: Slot<Session>, _ kind: Request.Kind) -> Slot<Request>? {
        guard let request = requests.takeSlot() else {
            counters.note(.overBudget)
            return nil
        }
        let handle = request.handle
        request.value.kind = kind
        request.value.sent = now.time
        if let last = linked(session.value.lastRequest) {
            last.value.next = handle
        } else {
            session.value.firstRequest = handle
        }
        session.value.lastRequest = handle
        session.value.requestCount &+= 1
        if kind == .copyEnd { session.value.markerCount &+= 1 }
        if kind == .sync { noteSync(session) }
        return request
    }

    /// Whether a session with many requests may have one more: while there is room for others.
    @inline(never)
    private mutating func mayPush(_ session: Slot<Session>) -> Bool {
        guard session.value.requestCount < limits.requestsPerSession,
            Int(session.value.requestCount) < (limits.requests - requests.count) / 4
        else { return false }
        // Behind a summary that has no end yet, an answer could be either's.
        guard let last = linked(session.value.lastRequest), last.value.kind == .summary else { return true }
        return last.value.flags.contains(.endsQuery)
    }

    /// Removes the oldest request, which is `request`.
    @inline(__always)
    mutating func pop(_ session: Slot<Session>, _ request: Slot<Request>) {
        assert(request.handle == session.value.firstRequest)
        let next = request.value.next
        session.value.firstRequest = next
        if next < 0 { session.value.lastRequest = -1 }
        session.value.requestCount &-= 1
        if request.value.kind == .sync { session.value.syncCount &-= 1 }
        if request.value.kind == .copyEnd {
            session.value.markerCount &-= 1
            session.value.flags.remove(.freeOfSyncs)
        }
        requests.give(request.handle)
    }

    /// A request is a Sync from now on: the oldest or the newest one.
    mutating func noteSync(_ session: Slot<Session>) {
        session.value.syncCount &+= 1
        if session.value.markerCount == 0 { session.value.flags.remove(.freeOfSyncs) }
    }

    /// The oldest request that is no marker.
    @inline(__always)
    mutating func front(_ session: Slot<Session>) -> Slot<Request>? {
        let request = linked(session.value.firstRequest)
        if let request, request.value.kind == .copyEnd { return frontBehindMarkers(session) }
        return request
    }

    @inline(never)
    private mutating func frontBehindMarkers(_ session: Slot<Session>) -> Slot<Request>? {
        while let request = linked(session.value.firstRequest) {
            guard request.value.kind == .copyEnd else { return request }
            pop(session, request)
        }
        return nil
    }

    /// COPY data is awaited: every Sync sent up to the end of that data is ignored by the server.
    mutating func ignoreSyncs(_ session: Slot<Session>) {
        guard var previous = front(session) else { return }
        if previous.value.kind == .extended { previous.value.flags.remove(.endsQuery) }
        if session.value.markerCount == 0 { session.value.flags.insert(.copyIn) }
        // Each COPY of a long queue asks: it is walked only where there may be something to take out.
        guard session.value.syncCount > 0, !session.value.flags.contains(.freeOfSyncs) else { return }
        session.value.flags.insert(.freeOfSyncs)
        while let request = linked(previous.value.next), request.value.kind != .copyEnd {
            walked &+= 1
            guard request.value.kind == .sync else {
                previous = request
                continue
            }
            previous.value.next = request.value.next
            if request.value.next < 0 { session.value.lastRequest = previous.handle }
            session.value.requestCount &-= 1
            session.value.syncCount &-= 1
            requests.give(request.handle)
        }
    }
}
