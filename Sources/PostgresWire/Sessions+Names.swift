// SPDX-License-Identifier: Apache-2.0
import Domain

extension Sessions {
    /// The key of a protocol-level name; 0 is the unnamed one.
    ///
    /// PostgreSQL compares 63 bytes (`NAMEDATALEN` - 1).
    mutating func nameKey(_ bytes: RawSpan) -> UInt64 {
        if bytes.byteCount == 0 { return 0 }
        let key = hash.hash(bytes.byteCount > 63 ? bytes.extracting(0..<63) : bytes).high
        return key == 0 ? 1 : key
    }

    /// The key of an SQL identifier: folded unless it is quoted (PostgreSQL documentation, 4.1.1).
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
        let span = folded.span
        let bytes = unsafe span.bytes
        return nameKey(bytes.extracting(0..<count))
    }

    mutating func statement(_ session: Slot<Session>, _ name: UInt64) -> (pattern: PatternHandle, kind: StatementKind)?
    {
        if name == 0 { return (session.value.unnamedStatement, session.value.unnamedStatementKind) }
        guard let entry = names.find(session.handle, name, isPortal: false) else { return nil }
        let portal = names[entry].portal
        return (portal.pattern, portal.kind)
    }

    mutating func setStatement(
        _ session: Slot<Session>,
        _ name: UInt64,
        _ pattern: PatternHandle,
        _ kind: StatementKind
    ) {
        if name == 0 {
            session.value.unnamedStatement = pattern
            session.value.unnamedStatementKind = kind
            return
        }
        var head = session.value.statements
        guard let entry = names.find(session.handle, name, isPortal: false) ?? addName(session, name, false, &head)
        else {
            counters.note(.overBudget)
            return
        }
        session.value.statements = head
        names[entry].portal.pattern = pattern
        names[entry].portal.kind = kind
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
        guard name != 0 else {
            session.value.unnamedStatement = 0
            session.value.unnamedStatementKind = .unknown
            return
        }
        guard let entry = names.find(session.handle, name, isPortal: false) else { return }
        var head = session.value.statements
        removeName(session, entry, &head)
        session.value.statements = head
    }

    mutating func forgetStatements(_ session: Slot<Session>) {
        var head = session.value.statements
        while head >= 0 { removeName(session, head, &head) }
        session.value.statements = -1
        session.value.unnamedStatement = 0
        session.value.unnamedStatementKind = .unknown
    }

    mutating func portal(_ session: Slot<Session>, _ name: UInt64) -> Portal? {
        if name == 0 { return session.value.unnamedPortal.state.contains(.exists) ? session.value.unnamedPortal : nil }
        guard let entry = names.find(session.handle, name, isPortal: true) else { return nil }
        return names[entry].portal
    }

    mutating func setPortal(_ session: Slot<Session>, _ name: UInt64, _ portal: Portal) {
        if name == 0 {
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
    ///
    /// A portal that was suspended is done when it commits.
    mutating func endPortals(
        _ session: Slot<Session>,
        finished: Bool,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        if session.value.unnamedPortal.state.contains(.exists) {
            endPortal(session, session.value.unnamedPortal, finished: finished, &sink)
            session.value.unnamedPortal = Portal()
        }
        var head = session.value.portals
        while head >= 0 {
            endPortal(session, names[head].portal, finished: finished, &sink)
            removeName(session, head, &head)
        }
        session.value.portals = -1
    }

    /// The session is gone, and with it portals that were completed but not ended.
    mutating func loseCompletedPortals(_ session: Slot<Session>, _ sink: inout some SessionSink & ~Copyable) {
        let principal = session.value.principal
        let unnamed = session.value.unnamedPortal
        if unnamed.state.contains(.completed) { sink.vanished(principal, unnamed.pattern, unnamed.kind) }
        var entry = session.value.portals
        while entry >= 0 {
            let portal = names[entry].portal
            if portal.state.contains(.completed) { sink.vanished(principal, portal.pattern, portal.kind) }
            entry = names[entry].next
        }
    }

    /// Reports the statement of a portal that ends while it is suspended.
    mutating func endPortal(
        _ session: Slot<Session>,
        _ portal: Portal,
        finished: Bool,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard portal.state.contains(.suspended) else { return }
        var event = StatementEvent()
        event.flow = session.handle
        event.principal = session.value.principal
        event.pattern = portal.pattern
        event.kind = portal.kind
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
