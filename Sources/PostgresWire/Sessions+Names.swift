// SPDX-License-Identifier: Apache-2.0
import Domain

extension Sessions {
    /// The key of a protocol-level name; 0 is the unnamed one.
    ///
    /// PostgreSQL compares 63 bytes (`NAMEDATALEN` - 1).
    func nameKey(_ bytes: RawSpan) -> UInt64 {
        if bytes.byteCount == 0 { return 0 }
        let key = hash.hash(bytes.byteCount > 63 ? bytes.extracting(0..<63) : bytes).high
        return key == 0 ? 1 : key
    }

    /// The key of an SQL identifier: folded unless it is quoted (PostgreSQL documentation, 4.1.1).
    func identifierKey(_ text: RawSpan) -> UInt64 {
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

    func statement(_ flow: FlowHandle, _ name: UInt64) -> (pattern: PatternHandle, kind: StatementKind)? {
        if name == 0 { return (table[flow].unnamedStatement, table[flow].unnamedStatementKind) }
        guard let entry = names.find(flow, name, isPortal: false) else { return nil }
        let portal = names[entry].portal
        return (portal.pattern, portal.kind)
    }

    mutating func setStatement(_ flow: FlowHandle, _ name: UInt64, _ pattern: PatternHandle, _ kind: StatementKind) {
        if name == 0 {
            table[flow].unnamedStatement = pattern
            table[flow].unnamedStatementKind = kind
            return
        }
        var head = table[flow].statements
        guard
            let entry = names.find(flow, name, isPortal: false)
                ?? names.add(flow, name, isPortal: false, head: &head)
        else {
            counters.note(.overBudget)
            return
        }
        table[flow].statements = head
        names[entry].portal.pattern = pattern
        names[entry].portal.kind = kind
    }

    mutating func removeStatement(_ flow: FlowHandle, _ name: UInt64) {
        guard name != 0 else {
            table[flow].unnamedStatement = 0
            table[flow].unnamedStatementKind = .unknown
            return
        }
        guard let entry = names.find(flow, name, isPortal: false) else { return }
        var head = table[flow].statements
        names.remove(entry, head: &head)
        table[flow].statements = head
    }

    mutating func forgetStatements(_ flow: FlowHandle) {
        var head = table[flow].statements
        while head >= 0 { names.remove(head, head: &head) }
        table[flow].statements = -1
        table[flow].unnamedStatement = 0
        table[flow].unnamedStatementKind = .unknown
    }

    func portal(_ flow: FlowHandle, _ name: UInt64) -> Portal? {
        if name == 0 { return table[flow].unnamedPortal.state.contains(.exists) ? table[flow].unnamedPortal : nil }
        guard let entry = names.find(flow, name, isPortal: true) else { return nil }
        return names[entry].portal
    }

    mutating func setPortal(_ flow: FlowHandle, _ name: UInt64, _ portal: Portal) {
        if name == 0 {
            table[flow].unnamedPortal = portal
            return
        }
        var head = table[flow].portals
        guard let entry = names.find(flow, name, isPortal: true) ?? names.add(flow, name, isPortal: true, head: &head)
        else {
            counters.note(.overBudget)
            return
        }
        table[flow].portals = head
        names[entry].portal = portal
    }

    mutating func removePortal(_ flow: FlowHandle, _ name: UInt64) {
        if name == 0 {
            table[flow].unnamedPortal = Portal()
            return
        }
        guard let entry = names.find(flow, name, isPortal: true) else { return }
        var head = table[flow].portals
        names.remove(entry, head: &head)
        table[flow].portals = head
    }

    /// The transaction is over, and with it every portal.
    ///
    /// A portal that was suspended is done when it commits.
    mutating func endPortals(
        _ flow: FlowHandle,
        finished: Bool,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        if table[flow].unnamedPortal.state.contains(.exists) {
            endPortal(flow, table[flow].unnamedPortal, finished: finished, moment, &sink)
            table[flow].unnamedPortal = Portal()
        }
        var head = table[flow].portals
        while head >= 0 {
            endPortal(flow, names[head].portal, finished: finished, moment, &sink)
            names.remove(head, head: &head)
        }
        table[flow].portals = -1
    }

    /// The session is gone, and with it portals that were completed but not ended.
    func loseCompletedPortals(_ flow: FlowHandle, _ sink: inout some SessionSink & ~Copyable) {
        let principal = table[flow].principal
        let unnamed = table[flow].unnamedPortal
        if unnamed.state.contains(.completed) { sink.vanished(principal, unnamed.pattern, unnamed.kind) }
        var entry = table[flow].portals
        while entry >= 0 {
            let portal = names[entry].portal
            if portal.state.contains(.completed) { sink.vanished(principal, portal.pattern, portal.kind) }
            entry = names[entry].next
        }
    }

    /// Reports the statement of a portal that ends while it is suspended.
    mutating func endPortal(
        _ flow: FlowHandle,
        _ portal: Portal,
        finished: Bool,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard portal.state.contains(.suspended) else { return }
        var event = StatementEvent()
        event.flow = flow
        event.principal = table[flow].principal
        event.pattern = portal.pattern
        event.kind = portal.kind
        event.wire = .extended
        event.price = portal.price
        event.outcome = finished ? .completed : .failed
        event.started = portal.started
        event.ended = moment
        event.duration = portal.elapsed
        event.rows = finished ? UInt64(portal.rowLimit) : 0
        sink.ended(event)
    }
}
