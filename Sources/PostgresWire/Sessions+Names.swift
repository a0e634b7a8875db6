// SPDX-License-Identifier: Apache-2.0
public import Domain

extension Sessions {
    /// The key of a protocol-level name; 0 is the unnamed one.
    ///
    /// PostgreSQL compares 63 bytes (`NAMEDATALEN` - 1).
    mutating func nameKey(_ bytes: RawSpan) -> UInt64 {
        if bytes.byteCount == 0 { return 0 }
        let key = hash.hash(bytes.byteCount > 63 ? bytes.extracting(0..<63) : bytes).high
        return key == 0 ? 1 : key
    }

    /// The key of an SQL identifier: folded unless it is quoted (PostgreSQL documentation, 4.1.1), and cut at 63 bytes but in no
    /// character (`truncate_identifier`; of encodings only UTF-8 is known here).
    mutating func identifierKey(_ text: RawSpan) -> UInt64 {
        var folded = [63 of UInt8](repeating: 0)
        var count = 0
        let isQuoted = text.byteCount >= 2 && text.byte(at: 0) == 0x22
        var offset = isQuoted ? 1 : 0
        let end = isQuoted ? text.byteCount - 1 : text.byteCount
        while offset < end, count < 63 {
            var byte = text.byte(at: offset)
            if isQuoted, byte == 0x22 { offset += 1 }
            if !isQuoted, byte >= 0x41, byte <= 0x5A { byte |= 0x20 }
            folded[count] = byte
            count += 1
            offset += 1
        }
        if offset < end, Self.isContinuation(text.byte(at: offset)) {
            while count > 1, Self.isContinuation(folded[count - 1]) { count -= 1 }
            count -= 1
        }
        let span = folded.span
        let bytes = unsafe span.bytes
        return nameKey(bytes.extracting(0..<count))
    }

    private static func isContinuation(_ byte: UInt8) -> Bool { byte & 0xC0 == 0x80 }

    /// What a name stands for, by what the server has answered so far.
    mutating func statement(_ session: Slot<Session>, _ name: UInt64) -> Prepared? {
        if name == 0 { return session.value.unnamedStatement }
        guard let entry = names.find(session.handle, name, isPortal: false) else { return nil }
        return names.slot(entry).value.portal.statement
    }

    mutating func setStatement(_ session: Slot<Session>, _ name: UInt64, _ statement: Prepared) {
        session.value.generation &+= 1
        if name == 0 {
            session.value.flags.insert(.unnamed)
            session.value.unnamedStatement = statement
            return
        }
        var head = session.value.statements
        guard let entry = names.find(session.handle, name, isPortal: false) ?? addName(session, name, false, &head)
        else {
            counters.note(.overBudget)
            return
        }
        session.value.statements = head
        names.slot(entry).value.portal.statement = statement
    }

    private mutating func addName(
        _ session: Slot<Session>,
        _ name: UInt64,
        _ isPortal: Bool,
        _ head: inout Int32
    ) -> Int32? {
        guard names.hasRoom(session.value.nameCount),
            let entry = names.add(session.handle, name, isPortal: isPortal, head: &head)
        else { return nil }
        session.value.nameCount &+= 1
        return entry
    }

    private mutating func removeName(_ session: Slot<Session>, _ entry: Int32, _ head: inout Int32) {
        names.remove(entry, head: &head)
        session.value.nameCount &-= 1
    }

    mutating func removeStatement(_ session: Slot<Session>, _ name: UInt64) {
        session.value.generation &+= 1
        guard name != 0 else {
            session.value.unnamedStatement = Prepared()
            return
        }
        guard let entry = names.find(session.handle, name, isPortal: false) else { return }
        var head = session.value.statements
        removeName(session, entry, &head)
        session.value.statements = head
    }

    mutating func forgetNamedStatements(_ session: Slot<Session>) {
        session.value.generation &+= 1
        var head = session.value.statements
        while head >= 0 { removeName(session, head, &head) }
        session.value.statements = -1
    }

    mutating func portal(_ session: Slot<Session>, _ name: UInt64) -> Portal? {
        if name == 0 { return session.value.unnamedPortal.state.contains(.exists) ? session.value.unnamedPortal : nil }
        guard let entry = names.find(session.handle, name, isPortal: true) else { return nil }
        return names[entry].portal
    }

    mutating func setPortal(_ session: Slot<Session>, _ name: UInt64, _ portal: Portal) {
        if name == 0 {
            session.value.flags.insert(.unnamed)
            session.value.unnamedPortal = portal
        } else if let entry = namedPortal(session, name) {
            entry.value.portal = portal
        }
    }

    /// The entry of a portal that has a name, made if there is none; `nil` when the table is full.
    mutating func namedPortal(_ session: Slot<Session>, _ name: UInt64) -> Slot<NamedEntry>? {
        if let known = names.find(session.handle, name, isPortal: true) { return names.slot(known) }
        var head = session.value.portals
        guard let entry = addName(session, name, true, &head) else {
            counters.note(.overBudget)
            return nil
        }
        session.value.portals = head
        return names.slot(entry)
    }

    mutating func removePortal(_ session: Slot<Session>, _ name: UInt64) {
        if name == 0 {
            session.value.unnamedPortal = Portal()
            return
        }
        guard let entry = names.find(session.handle, name, isPortal: true) else { return }
        var head = session.value.portals
        removeName(session, entry, &head)
        session.value.portals = head
    }

    /// The transaction is over, and with it every portal.
    mutating func endPortals(
        _ session: Slot<Session>,
        _ end: PortalEnd,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        if session.value.unnamedPortal.state.contains(.exists) {
            endPortal(session, session.value.unnamedPortal, end, &sink)
            session.value.unnamedPortal = Portal()
        }
        var head = session.value.portals
        while head >= 0 {
            endPortal(session, names[head].portal, end, &sink)
            removeName(session, head, &head)
        }
        session.value.portals = -1
    }

    /// Queries of a connection that finished and whose portals are open, and who runs them: PostgreSQL counts them when
    /// their portals end, unless by an error (`PortalCleanup`).
    public mutating func openQueries(_ flow: FlowHandle) -> (principal: PrincipalHandle, count: UInt64) {
        guard table.contains(flow) else { return (0, 0) }
        let session = table.slot(flow)
        var count: UInt64 = session.value.unnamedPortal.isOpenQuery ? 1 : 0
        var place = session.value.portals
        while place >= 0 {
            if names[place].portal.isOpenQuery { count &+= 1 }
            place = names[place].next
        }
        return (session.value.principal, count)
    }

    /// Reports what the end of a portal makes of its statement.
    mutating func endPortal(
        _ session: Slot<Session>,
        _ portal: Portal,
        _ end: PortalEnd,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        if portal.state.contains(.completed) {
            // PostgreSQL counts a query when its portal ends, unless that is by an error.
            if end == .aborted, portal.statement.isSelect {
                sink.vanished(session.value.principal, portal.statement.pattern, portal.statement.kind)
            }
            return
        }
        guard portal.state.contains(.suspended) else { return }
        let finished = end == .finished
        var event = StatementEvent()
        event.flow = session.handle
        event.principal = session.value.principal
        event.pattern = portal.statement.pattern
        event.kind = portal.statement.kind
        event.wire = .extended
        event.price = portal.price
        event.outcome = finished ? .completed : .failed
        event.started = portal.started
        event.ended = now
        event.duration = portal.elapsed
        event.rows = finished ? UInt64(portal.rowLimit) : 0
        sink.ended(event)
    }
}

/// How a portal ends.
enum PortalEnd {
    /// It was closed or replaced, or its transaction was committed.
    case finished
    /// Its transaction or session ended otherwise.
    case aborted
    /// It is out of sight.
    case lost
}

extension Portal {
    /// Whether a query finished in it that PostgreSQL has not counted yet.
    var isOpenQuery: Bool { state.contains(.exists) && state.contains(.completed) && statement.isSelect }

    /// Begins anew with what a Bind names; what belongs to a suspended portal is set when it is suspended.
    @inline(__always)
    mutating func bind(_ request: Slot<Request>) {
        statement = request.value.statement
        state = request.value.flags.contains(.executes) ? [.exists, .charged] : .exists
        bytes = request.value.bytes
    }
}
