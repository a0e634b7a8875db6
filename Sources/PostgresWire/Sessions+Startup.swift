// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Codes in the place of a protocol version (PostgreSQL documentation, "Message Formats").
enum StartupCode {
    static let cancel: UInt32 = 80_877_102
    static let tls: UInt32 = 80_877_103
    static let gssapi: UInt32 = 80_877_104
}

extension Sessions {
    /// The longest start-up packet that PostgreSQL accepts (`MAX_STARTUP_PACKET_LENGTH`).
    static var longestStartup: UInt32 { 10_000 }

    /// Bytes before the StartupMessage is complete.
    mutating func start(
        _ session: Slot<Session>,
        from side: Direction,
        _ bytes: RawSpan,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        if session.value.flags.contains(.midstream) {
            startMidstream(session, from: side, bytes, &sink)
        } else if side == .server {
            answerNegotiation(session, bytes, &sink)
        } else {
            startupPacket(session, bytes, &sink)
        }
    }

    /// A session joined after its start is ready once a message boundary is proven.
    private mutating func startMidstream(
        _ session: Slot<Session>,
        from side: Direction,
        _ bytes: RawSpan,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        if looksEncrypted(bytes), session.value.phase == .fresh {
            count(session)
            counters.encrypted += 1
            session.value.phase = .opaque
            return
        }
        if side == .client, isWholeStartup(bytes), session.value.phase == .fresh, session.value.serverBytes == 0 {
            // The SYN was missed, not the start of the session: so it seems, until the server answers.
            session.value = Session()
            session.value.flags = .assumedStart
            reset(session, isLost: false)
            startupPacket(session, bytes, &sink)
            return
        }
        if side == .server { session.value.serverBytes &+= UInt64(bytes.byteCount) }
        let isProven = side == .client ? FrontendShape.proves(bytes) : BackendShape.proof(bytes) != nil
        guard isProven else { return }
        count(session)
        session.value.phase = .ready
        session.value.principal = sink.joined(session.handle, at: now)
        read(session, side, bytes, &sink)
    }

    /// A StartupMessage that fills its packet and names a parameter that every client sends; the tail of a DataRow
    /// can look like the first eight bytes of one.
    private mutating func isWholeStartup(_ bytes: RawSpan) -> Bool {
        if ProxyHeader.begins(bytes) { return true }
        guard bytes.byteCount >= 8, bytes.bigEndian32(at: 0) == bytes.byteCount else { return false }
        let code = bytes.bigEndian32(at: 4)
        if bytes.byteCount == 8 { return code == StartupCode.tls || code == StartupCode.gssapi }
        if code == StartupCode.cancel { return bytes.byteCount >= 16 && bytes.byteCount <= 268 }
        return code &>> 16 == 3 && StartupParameters.find("user", in: bytes) != nil
    }

    /// The names of a StartupMessage are believed when AuthenticationOk follows.
    mutating func authentication(_ session: Slot<Session>, _ body: RawSpan) {
        guard session.value.phase == .authenticating, body.byteCount >= 4 else { return }
        session.value.flags.remove(.assumedStart)
        if body.bigEndian32(at: 0) == 0 { session.value.flags.insert(.authenticated) }
    }

    /// A session that is read already began before the capture, or nobody knows whose it is.
    mutating func joinInside(_ session: Slot<Session>, _ sink: inout some SessionSink & ~Copyable) {
        pool.give(session.value.startup)
        session.value.startup = .none
        session.value.startupLength = 0
        session.value.flags.subtract([.assumedStart, .replication])
        session.value.flags.formUnion([.midstream, .doubtful])
        counters.midstream += 1
        session.value.phase = .ready
        session.value.principal = sink.joined(session.handle, at: now)
        let client = reader(session, .client)
        pool.give(client.value.block)
        client.value = MessageReader()
        client.value.isLost = true
    }

    /// A TLS record (RFC 8446 §5.1), whole or cut.
    private mutating func looksEncrypted(_ bytes: RawSpan) -> Bool {
        guard bytes.byteCount >= 5 else { return false }
        let type = bytes.byte(at: 0)
        return type >= 0x14 && type <= 0x17 && bytes.byte(at: 1) == 3 && bytes.byte(at: 2) <= 4
    }

    /// The one byte that answers SSLRequest or GSSENCRequest.
    private mutating func answerNegotiation(
        _ session: Slot<Session>,
        _ bytes: RawSpan,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard session.value.phase == .negotiating else {
            if BackendShape.proof(bytes) == 0 {
                // The client's direction is not captured.
                join(session)
                startMidstream(session, from: .server, bytes, &sink)
            } else {
                // The server speaks first: MySQL, SSH, or nonsense.
                refuse(session)
            }
            return
        }
        guard bytes.byteCount > 0 else { return }
        if session.value.flags.contains(.assumedStart), bytes.byteCount != 1 {
            // No answer to SSLRequest: what looked like one were bytes of something else.
            join(session)
            startMidstream(session, from: .server, bytes, &sink)
            return
        }
        switch bytes.byte(at: 0) {
        case 0x53, 0x47:  // S, G
            counters.encrypted += 1
            session.value.phase = .opaque
        case 0x4E:  // N
            session.value.phase = .fresh
        default:
            // Servers before 7.0 answer with an error and close.
            counters.authFailed += 1
            session.value.phase = .opaque
        }
    }

    private mutating func refuse(_ session: Slot<Session>) {
        if !session.value.flags.contains(.counted) { counters.notPostgreSQL += 1 }
        reset(session, isLost: false)
        session.value.phase = .opaque
    }

    /// A start-up packet, perhaps in pieces, perhaps with the next message behind it.
    private mutating func startupPacket(
        _ session: Slot<Session>,
        _ bytes: RawSpan,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let reader = reader(session, .client)
        var offset = 0
        while offset < bytes.byteCount {
            guard session.value.phase == .fresh || session.value.phase == .negotiating else {
                let rest = bytes.extracting(offset..<bytes.byteCount)
                if session.value.phase != .opaque { read(session, .client, rest, &sink) }
                return
            }
            if reader.value.type != 0 {
                guard let used = proxyHeader(session, bytes, offset, &sink) else { return refuse(session) }
                offset &+= used
                continue
            }
            if reader.value.wanted == 0 {
                let first = bytes.byte(at: offset)
                if reader.value.headerCount == 0, first == 0x50 || first == 0x0D, session.value.phase == .fresh,
                    !session.value.flags.contains(.proxied)
                {
                    reader.value.collect(first, 0, ProxyHeader.fixedPart(first))
                    continue
                }
                if reader.value.headerCount == 0, first == 0x16 || (first == 0x80 && bytes.byteCount > 5) {
                    // Direct TLS: a ClientHello (RFC 8446 §5.1), or its SSLv2 form.
                    count(session)
                    counters.encrypted += 1
                    session.value.phase = .opaque
                    return
                }
                while reader.value.headerCount < 4, offset < bytes.byteCount {
                    reader.value.header = reader.value.header &<< 8 | UInt64(bytes.byte(at: offset))
                    reader.value.headerCount += 1
                    offset += 1
                }
                guard reader.value.headerCount == 4 else { return }
                let length = UInt32(truncatingIfNeeded: reader.value.header)
                reader.value.header = 0
                reader.value.headerCount = 0
                guard length >= 8, length <= Self.longestStartup else {
                    refuse(session)
                    return
                }
                reader.value.collect(0, length - 4, length - 4)
                continue
            }
            offset += keep(reader, bytes, offset)
            let packet = reader.value
            guard packet.filled == packet.wanted else {
                // The version is enough to know that this is something else.
                if packet.filled >= 4, !isKnown(packet.block.bytes(0..<4).bigEndian32(at: 0)) { refuse(session) }
                return
            }
            reader.value = MessageReader()
            startupComplete(session, packet, &sink)
        }
    }

    private mutating func isKnown(_ code: UInt32) -> Bool {
        code &>> 16 == 3 || code &>> 16 == 2 || code &>> 16 == 4
            || (code >= StartupCode.cancel && code <= StartupCode.gssapi)
    }

    private mutating func startupComplete(
        _ session: Slot<Session>,
        _ reader: MessageReader,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let code = reader.filled >= 4 ? reader.block.bytes(0..<4).bigEndian32(at: 0) : 0
        guard isKnown(code) else {
            pool.give(reader.block)
            refuse(session)
            return
        }
        count(session)
        switch code {
        case StartupCode.tls, StartupCode.gssapi:
            pool.give(reader.block)
            session.value.phase = .negotiating
        case StartupCode.cancel:
            pool.give(reader.block)
            counters.cancelRequests += 1
            // What only looks like one must not hide what follows.
            if session.value.flags.contains(.assumedStart) { join(session) } else { session.value.phase = .opaque }
        case let version where version &>> 16 == 2:
            // Protocol 2.0: refused by every server since 14, in a form of its own.
            pool.give(reader.block)
            counters.authFailed += 1
            session.value.phase = .opaque
        default:
            session.value.phase = .authenticating
            session.value.startup = reader.block
            session.value.startupLength = reader.filled
            let parameters = reader.block.bytes(0..<Int(reader.filled))
            startEncoding(session, parameters)
            if let value = StartupParameters.find("replication", in: parameters, from: 4) {
                let text = parameters.extracting(value)
                let first = text.byteCount > 0 ? text.byte(at: 0) | 0x20 : 0x66
                // true, on, yes, 1, database — and not false, off, no, 0.
                let isOff =
                    first == 0x66 || first == 0x30 || first == 0x6E
                    || (first == 0x6F && text.byteCount > 1 && text.byte(at: 1) | 0x20 == 0x66)
                if !isOff {
                    session.value.flags.insert(.replication)
                    counters.replication += 1
                }
            }
        }
    }

    /// Requests that a client sent without waiting for the server's consent are its own from now on.
    private mutating func attributeEarly(_ session: Slot<Session>, _ sink: inout some SessionSink & ~Copyable) {
        var next = session.value.firstRequest
        while let request = linked(next) {
            if request.value.flags.contains(.charged) {
                let (pattern, price, sent) = (request.value.statement.pattern, request.value.price, request.value.sent)
                request.value.statement.pattern = sink.reattribute(
                    pattern,
                    price,
                    sentAt: sent,
                    to: session.value.principal
                )
            }
            next = request.value.next
        }
    }

    /// The longest name of a role or database, in bytes (`NAMEDATALEN` - 1).
    static var longestName: Int { 63 }

    /// A name as the server takes it: what is longer is cut, wherever that is (ProcessStartupPacket, in PostgreSQL's
    /// backend_startup.c, all versions but 17.0 to 17.2, which find no such role).
    @_lifetime(copy bytes)
    private static func name(_ bytes: RawSpan) -> RawSpan {
        bytes.byteCount > longestName ? bytes.extracting(0..<longestName) : bytes
    }

    /// The server accepted the login: from here on the session's statements are somebody's.
    mutating func login(_ session: Slot<Session>, _ sink: inout some SessionSink & ~Copyable) {
        let isProven =
            session.value.flags.contains(.authenticated)
            || (session.value.flags.contains(.doubtful) && !session.value.flags.contains(.assumedStart))
        guard isProven else { return joinInside(session, &sink) }
        session.value.phase = .ready
        let block = session.value.startup
        let parameters = block.bytes(0..<Int(session.value.startupLength))
        if let user = StartupParameters.find("user", in: parameters, from: 4) {
            let database = StartupParameters.find("database", in: parameters, from: 4) ?? user
            let application = StartupParameters.find("application_name", in: parameters, from: 4) ?? 0..<0
            let login = Login(
                user: Self.name(parameters.extracting(user)),
                database: Self.name(parameters.extracting(database.isEmpty ? user : database)),
                application: parameters.extracting(application)
            )
            session.value.principal = sink.attribute(session.handle, login, at: now)
            session.value.flags.insert(.attributed)
            counters.attributed += 1
            attributeEarly(session, &sink)
            // What the server reported before is more right.
            if session.value.pathOfLogin == 0 {
                let path = pathOfLogin(parameters, session.value.principal, &sink)
                (session.value.pathOfLogin, session.value.pathOutside) = (path, path)
                (session.value.provenPath, session.value.path) = (path, path)
            }
        }
        pool.give(block)
        session.value.startup = .none
        session.value.startupLength = 0
        session.value.lastCompletion = now.time
        session.value.answerStart = session.value.serverBytes
    }
}

extension Sessions {
    /// Who sent `bytes`, the first that were seen of a connection on unknown ports; `nil` when it cannot be told.
    public static func sender(of bytes: RawSpan) -> Direction? {
        if ProxyHeader.begins(bytes) { return .client }
        if bytes.byteCount >= 8, Int(bytes.bigEndian32(at: 0)) == bytes.byteCount {
            let code = bytes.bigEndian32(at: 4)
            if code == StartupCode.tls || code == StartupCode.gssapi || code == StartupCode.cancel { return .client }
            if code &>> 16 == 3, StartupParameters.find("user", in: bytes) != nil { return .client }
        }
        if FrontendShape.proves(bytes) {
            // Some bytes would do for both, such as a lone CopyDone.
            return BackendShape.proof(bytes) == 0 ? nil : .client
        }
        return BackendShape.proof(bytes) == nil ? nil : .server
    }
}
