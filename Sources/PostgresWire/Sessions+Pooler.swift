// SPDX-License-Identifier: Apache-2.0
import Domain

/// What a connection from PgBouncer to a server tells of itself.
extension Sessions {
    /// A prepared statement that clients of a pooler share.
    struct SharedStatement: BitwiseCopyable {
        var pattern: PatternHandle
        var kind: StatementKind
    }

    /// More names than this are not shared.
    private static var mostShared: Int { 1 << 16 }

    /// Whether PgBouncer (1.21 and later) made this name: `PGBOUNCER_` and a number that means one text for as long as its
    /// process runs.
    @inline(__always)
    private static func isPoolerName(_ name: RawSpan) -> Bool {
        name.byteCount > 10 && name.bigEndian64(at: 0) == 0x5047_424F_554E_4345 && name.bigEndian16(at: 8) == 0x525F
    }

    /// A statement was prepared under a pooler's name: all connections of that pooler to that server know it, those too
    /// whose Parse was not seen.
    @inline(__always)
    mutating func share(
        _ session: Slot<Session>,
        _ name: RawSpan,
        _ statement: Prepared,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard Self.isPoolerName(name) else { return }
        let (pattern, kind) = (statement.pattern, statement.kind)
        let key = sharedKey(session, name, &sink)
        if let known = shared[key] {
            // Two processes behind one address: then the name tells nothing.
            if known.pattern != pattern { shared[key] = SharedStatement(pattern: 0, kind: .unknown) }
        } else if shared.count < Self.mostShared {
            shared[key] = SharedStatement(pattern: pattern, kind: kind)
        }
    }

    /// What a name stands for that this connection did not prepare within sight.
    @inline(never)
    mutating func sharedStatement(
        _ session: Slot<Session>,
        _ name: RawSpan,
        _ sink: inout some SessionSink & ~Copyable
    ) -> Prepared? {
        guard !shared.isEmpty, Self.isPoolerName(name) else { return nil }
        guard let known = shared[sharedKey(session, name, &sink)] else { return nil }
        sink.revived(known.pattern)
        return Prepared(effect: Effect(), pattern: known.pattern, kind: known.kind)
    }

    private mutating func sharedKey(
        _ session: Slot<Session>,
        _ name: RawSpan,
        _ sink: inout some SessionSink & ~Copyable
    ) -> UInt64 {
        hash.hash(nameKey(name), sink.route(of: session.handle, session.value.principal))
    }

    /// With `application_name_add_host` PgBouncer says whose client it serves from now on:
    /// `SET application_name='name - 192.0.2.1:50000'`; that statement is its own.
    ///
    /// - Returns: whether it is one.
    @inline(never)
    mutating func takePoolersWord(
        _ session: Slot<Session>,
        _ text: RawSpan,
        _ range: Range<Int>,
        _ sink: inout some SessionSink & ~Copyable
    ) -> Bool {
        let start: StaticString = "set application_name="
        // Only where nothing else is under way: that was sent for the client before.
        guard session.value.requestCount == 1, range.count > start.utf8CodeUnitCount + 2, range.count < 256,
            session.value.flags.contains(.attributed)
        else { return false }
        for index in 0..<start.utf8CodeUnitCount {
            let byte = text.byte(at: range.lowerBound + index)
            let folded = byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
            guard unsafe folded == start.utf8Start[index] else { return false }
        }
        let first = range.lowerBound + start.utf8CodeUnitCount
        guard text.byte(at: first) == 0x27, text.byte(at: range.upperBound - 1) == 0x27 else { return false }
        let value = String(
            decoding: (first + 1..<range.upperBound - 1).map { text.byte(at: $0) },
            as: UTF8.self
        )
        guard let space = value.lastIndex(of: " "), value[..<space].hasSuffix(" -"),
            let client = Endpoint(String(value[value.index(after: space)...]))
        else { return false }
        let name = Array(value[..<space].dropLast(2).utf8)
        let principal = session.value.principal
        session.value.principal = sink.serves(session.handle, client, name.rawSpan, principal, at: now)
        return true
    }
}
