// SPDX-License-Identifier: Apache-2.0
import Domain

extension Sessions {
    /// No message is longer (PostgreSQL's `PQ_LARGE_MESSAGE_LIMIT` is 1 GiB less one).
    static var longestMessage: UInt32 { 0x3FFF_FFFF }
    /// How much of a message with names is looked at; names longer than that are as good as unknown.
    static var namePrefix: UInt32 { 2048 }

    /// Reads what the client sent: whole messages where they lie, the rest by collecting what is needed of it.
    mutating func readClient(
        _ session: Slot<Session>,
        _ bytes: RawSpan,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let count = bytes.byteCount
        var offset = 0
        if session.value.client.isLost {
            guard findClient(session, bytes) else { return }
        }
        while offset < count {
            if session.value.client.isCollecting {
                offset &+= continueClient(session, bytes, offset, moment, &sink)
                if session.value.client.isLost || session.value.phase == .opaque { return }
                continue
            }
            guard offset &+ 5 <= count else {
                session.value.client.addHeader(bytes, offset)
                return
            }
            let type = bytes.byte(at: offset)
            let length = bytes.bigEndian32(at: offset &+ 1)
            guard isClientMessage(type, length) else {
                lose(session, .client, length < 4 || length > Self.longestMessage ? .impossibleLength : .unknownType)
                return
            }
            let body = offset &+ 5
            let end = body &+ Int(length &- 4)
            if end <= count {
                clientMessage(session, type, bytes.extracting(body..<end), length &- 4, moment, &sink)
                offset = end
            } else {
                beginClient(session, type, length &- 4, moment, &sink)
                offset = body
            }
        }
    }

    /// Reads what the server sent.
    mutating func readServer(
        _ session: Slot<Session>,
        _ bytes: RawSpan,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let count = bytes.byteCount
        var offset = 0
        if session.value.server.isLost {
            guard let found = findServer(session, bytes) else { return }
            offset = found
        }
        while offset < count {
            if session.value.server.isCollecting {
                offset &+= continueServer(session, bytes, offset, moment, &sink)
                if session.value.server.isLost || session.value.phase == .opaque { return }
                continue
            }
            guard offset &+ 5 <= count else {
                session.value.server.addHeader(bytes, offset)
                return
            }
            let type = bytes.byte(at: offset)
            let length = bytes.bigEndian32(at: offset &+ 1)
            guard isServerMessage(type, length) else {
                lose(session, .server, length < 4 || length > Self.longestMessage ? .impossibleLength : .unknownType)
                return
            }
            let body = offset &+ 5
            let end = body &+ Int(length &- 4)
            if type == 0x44 {  // DataRow: the bulk of all bytes
                counters.messages &+= 1
                if end > count { session.value.server.skip = UInt32(end &- count) }
                offset = end
                continue
            }
            if end <= count {
                serverMessage(session, type, bytes.extracting(body..<end), moment, &sink)
                if session.value.phase == .opaque { return }
                offset = end
            } else {
                beginServer(session, type, length &- 4, moment, &sink)
                offset = body
            }
        }
    }

    /// A message that goes on in a later packet: decides how much of it must be kept.
    private mutating func beginClient(
        _ session: Slot<Session>,
        _ type: UInt8,
        _ length: UInt32,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let wanted: UInt32 =
            switch type {
            case 0x51, 0x50: min(length, UInt32(limits.text))  // Query, Parse
            case 0x42, 0x44, 0x45, 0x43: min(length, Self.namePrefix)  // Bind, Describe, Execute, Close
            case 0x46: min(length, 4)  // FunctionCall
            default: 0
            }
        if wanted == 0 {
            clientMessage(session, type, RawSpan(), length, moment, &sink)
            session.value.client.skip = length
        } else {
            session.value.client.collect(type, length, wanted)
        }
    }

    private mutating func beginServer(
        _ session: Slot<Session>,
        _ type: UInt8,
        _ length: UInt32,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let wanted: UInt32 =
            switch type {
            case 0x43: min(length, 128)  // CommandComplete
            case 0x45: min(length, 512)  // ErrorResponse
            case 0x53: min(length, 256)  // ParameterStatus
            case 0x52: min(length, 4)  // Authentication
            case 0x5A: min(length, 1)  // ReadyForQuery
            default: 0
            }
        if wanted == 0 {
            serverMessage(session, type, RawSpan(), moment, &sink)
            session.value.server.skip = length
        } else {
            session.value.server.collect(type, length, wanted)
        }
    }

    /// Takes up a message or header that an earlier packet began; returns the number of bytes consumed.
    private mutating func continueClient(
        _ session: Slot<Session>,
        _ bytes: RawSpan,
        _ offset: Int,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) -> Int {
        if let passed = session.value.client.pass(bytes, offset) { return passed }
        if session.value.client.wanted == 0 {
            let (used, complete) = session.value.client.completeHeader(bytes, offset)
            guard complete else { return used }
            let (type, length) = session.value.client.takeHeader()
            guard isClientMessage(type, length) else {
                lose(session, .client, length < 4 || length > Self.longestMessage ? .impossibleLength : .unknownType)
                return used
            }
            beginClient(session, type, length &- 4, moment, &sink)
            if length == 4 { session.value.client.skip = 0 }
            return used
        }
        let used = keep(session, .client, bytes, offset)
        let reader = session.value.client
        if reader.filled == reader.wanted {
            session.value.client.endCollecting()
            clientMessage(session, reader.type, reader.block.bytes(0..<Int(reader.filled)), reader.length, moment, &sink)
            pool.give(reader.block)
        }
        return used
    }

    private mutating func continueServer(
        _ session: Slot<Session>,
        _ bytes: RawSpan,
        _ offset: Int,
        _ moment: Moment,
        _ sink: inout some SessionSink & ~Copyable
    ) -> Int {
        if let passed = session.value.server.pass(bytes, offset) { return passed }
        if session.value.server.wanted == 0 {
            let (used, complete) = session.value.server.completeHeader(bytes, offset)
            guard complete else { return used }
            let (type, length) = session.value.server.takeHeader()
            guard isServerMessage(type, length) else {
                lose(session, .server, length < 4 || length > Self.longestMessage ? .impossibleLength : .unknownType)
                return used
            }
            beginServer(session, type, length &- 4, moment, &sink)
            return used
        }
        let used = keep(session, .server, bytes, offset)
        let reader = session.value.server
        if reader.filled == reader.wanted {
            session.value.server.endCollecting()
            serverMessage(session, reader.type, reader.block.bytes(0..<Int(reader.filled)), moment, &sink)
            pool.give(reader.block)
        }
        return used
    }

    /// Copies what is wanted of a message into its block, which grows with what has really come.
    mutating func keep(_ session: Slot<Session>, _ side: Direction, _ bytes: RawSpan, _ offset: Int) -> Int {
        var reader = side == .client ? session.value.client : session.value.server
        let count = min(Int(reader.wanted &- reader.filled), bytes.byteCount &- offset)
        let needed = Int(reader.filled) + count
        if needed > reader.block.capacity {
            let size = min(Int(reader.wanted), max(needed, reader.block.capacity * 2))
            guard let larger = pool.take(size) else {
                // No room: the message is known by what is kept of it.
                counters.note(.textCut)
                reader.skip = reader.length &- reader.filled
                reader.wanted = reader.filled
                if side == .client { session.value.client = reader } else { session.value.server = reader }
                return 0
            }
            larger.store(reader.block.bytes(0..<Int(reader.filled)), at: 0)
            pool.give(reader.block)
            reader.block = larger
        }
        reader.block.store(bytes.extracting(offset..<offset + count), at: Int(reader.filled))
        reader.filled &+= UInt32(count)
        if side == .client { session.value.client = reader } else { session.value.server = reader }
        return count
    }
}

extension MessageReader {
    /// Whether the next byte belongs to something begun earlier.
    @inline(__always)
    var isCollecting: Bool { skip | wanted | UInt32(headerCount) != 0 }

    mutating func collect(_ type: UInt8, _ length: UInt32, _ wanted: UInt32) {
        (self.type, self.length, self.wanted, filled, block) = (type, length, wanted, 0, .none)
    }

    /// The message is collected: what follows of it is passed over.
    mutating func endCollecting() {
        skip = length &- wanted
        (wanted, filled, length, block) = (0, 0, 0, .none)
    }

    /// Passes over bytes of no interest; `nil` when there are none.
    mutating func pass(_ bytes: RawSpan, _ offset: Int) -> Int? {
        guard skip > 0, wanted == 0 else { return nil }
        let count = min(Int(skip), bytes.byteCount &- offset)
        skip &-= UInt32(count)
        return count
    }

    /// Keeps the beginning of a header.
    mutating func addHeader(_ bytes: RawSpan, _ start: Int) {
        for offset in start..<bytes.byteCount {
            header = header &<< 8 | UInt64(bytes.byte(at: offset))
            headerCount &+= 1
        }
    }

    /// Adds bytes to a begun header; says how many it took and whether the header is whole.
    mutating func completeHeader(_ bytes: RawSpan, _ start: Int) -> (Int, Bool) {
        var offset = start
        while headerCount < 5, offset < bytes.byteCount {
            header = header &<< 8 | UInt64(bytes.byte(at: offset))
            headerCount &+= 1
            offset &+= 1
        }
        return (offset &- start, headerCount == 5)
    }

    mutating func takeHeader() -> (UInt8, UInt32) {
        let result = (UInt8(truncatingIfNeeded: header &>> 32), UInt32(truncatingIfNeeded: header))
        header = 0
        headerCount = 0
        return result
    }
}
