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
        _ flow: FlowHandle,
        from side: Direction,
        _ bytes: RawSpan,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        if table[flow].flags.contains(.midstream) {
            startMidstream(flow, from: side, bytes, moment, &sink)
        } else if side == .server {
            answerNegotiation(flow, bytes, moment, &sink)
        } else {
            startupPacket(flow, bytes, moment, &sink)
        }
    }

    /// A session joined after its start is ready once a message boundary is proven.
    private mutating func startMidstream(
        _ flow: FlowHandle,
        from side: Direction,
        _ bytes: RawSpan,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        if looksEncrypted(bytes), table[flow].phase == .fresh {
            count(flow)
            counters.encrypted += 1
            table[flow].phase = .opaque
            return
        }
        if side == .client, isWholeStartup(bytes), table[flow].phase == .fresh {
            // The SYN was missed, not the start of the session.
            table[flow] = Session()
            startupPacket(flow, bytes, moment, &sink)
            return
        }
        let isProven = side == .client ? FrontendShape.proves(bytes) : BackendShape.proof(bytes) != nil
        guard isProven else { return }
        count(flow)
        table[flow].phase = .ready
        if side == .client {
            readClient(flow, bytes, moment, &sink)
        } else {
            table[flow].serverBytes &+= UInt64(bytes.byteCount)
            readServer(flow, bytes, moment, &sink)
        }
    }

    /// A StartupMessage that fills its packet and names a parameter that every client sends; the tail of a DataRow
    /// can look like the first eight bytes of one.
    private func isWholeStartup(_ bytes: RawSpan) -> Bool {
        guard bytes.byteCount >= 8, bytes.bigEndian32(at: 0) == bytes.byteCount else { return false }
        let code = bytes.bigEndian32(at: 4)
        if bytes.byteCount == 8 { return code == StartupCode.tls || code == StartupCode.gssapi }
        if code == StartupCode.cancel { return bytes.byteCount >= 16 && bytes.byteCount <= 268 }
        return code &>> 16 == 3 && StartupParameters.find("user", in: bytes) != nil
    }

    /// A TLS record (RFC 8446 §5.1), whole or cut.
    private func looksEncrypted(_ bytes: RawSpan) -> Bool {
        guard bytes.byteCount >= 5 else { return false }
        let type = bytes.byte(at: 0)
        return type >= 0x14 && type <= 0x17 && bytes.byte(at: 1) == 3 && bytes.byte(at: 2) <= 4
    }

    /// The one byte that answers SSLRequest or GSSENCRequest.
    private mutating func answerNegotiation(
        _ flow: FlowHandle,
        _ bytes: RawSpan,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard table[flow].phase == .negotiating else {
            if BackendShape.proof(bytes) == 0 {
                // The client's direction is not captured.
                join(flow)
                startMidstream(flow, from: .server, bytes, moment, &sink)
            } else {
                // The server speaks first: MySQL, SSH, or nonsense.
                refuse(flow)
            }
            return
        }
        guard bytes.byteCount > 0 else { return }
        switch bytes.byte(at: 0) {
        case 0x53, 0x47:  // S, G
            counters.encrypted += 1
            table[flow].phase = .opaque
        case 0x4E:  // N
            table[flow].phase = .fresh
        default:
            // Servers before 7.0 answer with an error and close.
            counters.authFailed += 1
            table[flow].phase = .opaque
        }
    }

    private mutating func refuse(_ flow: FlowHandle) {
        if !table[flow].flags.contains(.counted) { counters.notPostgreSQL += 1 }
        pool.give(table[flow].client.block)
        table[flow].client = MessageReader()
        table[flow].phase = .opaque
    }

    /// A start-up packet, perhaps in pieces, perhaps with the next message behind it.
    private mutating func startupPacket(
        _ flow: FlowHandle,
        _ bytes: RawSpan,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        var offset = 0
        while offset < bytes.byteCount {
            guard table[flow].phase == .fresh || table[flow].phase == .negotiating else {
                let rest = bytes.extracting(offset..<bytes.byteCount)
                if table[flow].phase != .opaque { readClient(flow, rest, moment, &sink) }
                return
            }
            if table[flow].client.wanted == 0 {
                let first = bytes.byte(at: offset)
                if table[flow].client.headerCount == 0, first == 0x16 || (first == 0x80 && bytes.byteCount > 5) {
                    // Direct TLS: a ClientHello (RFC 8446 §5.1), or its SSLv2 form.
                    count(flow)
                    counters.encrypted += 1
                    table[flow].phase = .opaque
                    return
                }
                while table[flow].client.headerCount < 4, offset < bytes.byteCount {
                    table[flow].client.header = table[flow].client.header &<< 8 | UInt64(bytes.byte(at: offset))
                    table[flow].client.headerCount += 1
                    offset += 1
                }
                guard table[flow].client.headerCount == 4 else { return }
                let length = UInt32(truncatingIfNeeded: table[flow].client.header)
                table[flow].client.header = 0
                table[flow].client.headerCount = 0
                guard length >= 8, length <= Self.longestStartup else {
                    refuse(flow)
                    return
                }
                table[flow].client.collect(0, length - 4, length - 4)
                continue
            }
            offset += keep(flow, .client, bytes, offset)
            let reader = table[flow].client
            guard reader.filled == reader.wanted else {
                // The version is enough to know that this is something else.
                if reader.filled >= 4, !isKnown(reader.block.bytes(0..<4).bigEndian32(at: 0)) { refuse(flow) }
                return
            }
            table[flow].client = MessageReader()
            startupComplete(flow, reader, moment, &sink)
        }
    }

    private func isKnown(_ code: UInt32) -> Bool {
        code &>> 16 == 3 || code &>> 16 == 2 || code &>> 16 == 4
            || (code >= StartupCode.cancel && code <= StartupCode.gssapi)
    }

    private mutating func startupComplete(
        _ flow: FlowHandle,
        _ reader: MessageReader,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let code = reader.filled >= 4 ? reader.block.bytes(0..<4).bigEndian32(at: 0) : 0
        guard isKnown(code) else {
            pool.give(reader.block)
            refuse(flow)
            return
        }
        count(flow)
        switch code {
        case StartupCode.tls, StartupCode.gssapi:
            pool.give(reader.block)
            table[flow].phase = .negotiating
        case StartupCode.cancel:
            pool.give(reader.block)
            counters.cancelRequests += 1
            table[flow].phase = .opaque
        case let version where version &>> 16 == 2:
            // Protocol 2.0: refused by every server since 14, in a form of its own.
            pool.give(reader.block)
            counters.authFailed += 1
            table[flow].phase = .opaque
        default:
            table[flow].phase = .authenticating
            table[flow].startup = reader.block
            table[flow].startupLength = reader.filled
            let parameters = reader.block.bytes(0..<Int(reader.filled))
            if let value = StartupParameters.find("replication", in: parameters, from: 4) {
                let text = parameters.extracting(value)
                let first = text.byteCount > 0 ? text.byte(at: 0) | 0x20 : 0x66
                // true, on, yes, 1, database — and not false, off, no, 0.
                let isOff =
                    first == 0x66 || first == 0x30 || first == 0x6E
                    || (first == 0x6F && text.byteCount > 1 && text.byte(at: 1) | 0x20 == 0x66)
                if !isOff {
                    table[flow].flags.insert(.replication)
                    counters.replication += 1
                }
            }
        }
    }

    /// Requests that a client sent without waiting for the server's consent are its own from now on.
    private func attributeEarly(_ flow: FlowHandle, _ sink: inout some SessionSink & ~Copyable) {
        var entry = table[flow].firstRequest
        while entry >= 0 {
            if isMetered(entry) {
                let (pattern, price, sent) = (requests[entry].pattern, requests[entry].price, requests[entry].sent)
                requests[entry].pattern = sink.reattribute(pattern, price, sentAt: sent, to: table[flow].principal)
            }
            entry = requests[entry].next
        }
    }

    /// The server accepted the login: from here on the session's statements are somebody's.
    mutating func login(_ flow: FlowHandle, _ moment: Moment, _ sink: inout some SessionSink & ~Copyable) {
        table[flow].phase = .ready
        let block = table[flow].startup
        let parameters = block.bytes(0..<Int(table[flow].startupLength))
        if let user = StartupParameters.find("user", in: parameters, from: 4) {
            let database = StartupParameters.find("database", in: parameters, from: 4) ?? user
            let application = StartupParameters.find("application_name", in: parameters, from: 4) ?? 0..<0
            let login = Login(
                user: parameters.extracting(user),
                database: parameters.extracting(database.isEmpty ? user : database),
                application: parameters.extracting(application)
            )
            table[flow].principal = sink.attribute(flow, login, at: moment)
            table[flow].flags.insert(.attributed)
            counters.attributed += 1
            attributeEarly(flow, &sink)
        }
        pool.give(block)
        table[flow].startup = .none
        table[flow].startupLength = 0
        table[flow].lastCompletion = moment.time
        table[flow].answerStart = table[flow].serverBytes
    }
}

/// The name/value pairs of a StartupMessage.
enum StartupParameters {
    /// Where the value of `name` stands, or `nil`.
    static func find(_ name: StaticString, in bytes: RawSpan, from start: Int = 8) -> Range<Int>? {
        var offset = start
        while offset < bytes.byteCount, bytes.byte(at: offset) != 0 {
            guard let nameEnd = bytes.firstOffset(of: 0, from: offset),
                let valueEnd = bytes.firstOffset(of: 0, from: nameEnd + 1)
            else { return nil }
            if nameEnd - offset == name.utf8CodeUnitCount {
                let isSame = (0..<nameEnd - offset).allSatisfy { index in
                    unsafe bytes.byte(at: offset + index) == name.utf8Start[index]
                }
                if isSame { return nameEnd + 1..<valueEnd }
            }
            offset = valueEnd + 1
        }
        return nil
    }
}

extension Sessions {
    /// Who sent `bytes`, the first that were seen of a connection on unknown ports; `nil` when it cannot be told.
    public static func sender(of bytes: RawSpan) -> Direction? {
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
