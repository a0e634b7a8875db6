// SPDX-License-Identifier: Apache-2.0
import Domain

extension Sessions {
    /// No message is longer (PostgreSQL's `PQ_LARGE_MESSAGE_LIMIT` is 1 GiB less one).
    static var longestMessage: UInt32 { 0x3FFF_FFFF }
    /// How much of a message with names is looked at; names longer than that are as good as unknown.
    static var namePrefix: UInt32 { 2048 }

    /// How far one direction of a session is read.
    @inline(__always)
    mutating func reader(_ session: Slot<Session>, _ side: Direction) -> Slot<MessageReader> {
        readers.slot(session.place &* 2 &+ Int32(side.rawValue))
    }

    /// Reads what one side sent: whole messages where they lie, the rest by collecting what is needed of it.
    @inline(__always)
    mutating func read(
        _ session: Slot<Session>,
        _ side: Direction,
        _ bytes: RawSpan,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        if side == .client { readClient(session, bytes, &sink) } else { readServer(session, bytes, &sink) }
    }

    // One code for both, compiled for each by itself.

    @inline(never)
    private mutating func readClient(
        _ session: Slot<Session>,
        _ bytes: RawSpan,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        readMessages(session, .client, bytes, &sink)
    }

    @inline(never)
    private mutating func readServer(
        _ session: Slot<Session>,
        _ bytes: RawSpan,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        readMessages(session, .server, bytes, &sink)
    }

    @inline(__always)
    private mutating func readMessages(
        _ session: Slot<Session>,
        _ side: Direction,
        _ bytes: RawSpan,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let reader = reader(session, side)
        let count = bytes.byteCount
        var offset = 0
        if reader.value.isLost {
            guard let found = find(session, side, bytes) else { return hide(session, side, count, &sink) }
            offset = found
        }
        if reader.value.isCollecting {
            guard let next = resume(session, side, bytes, offset, &sink) else { return }
            offset = next
        }
        while offset < count {
            guard count &- offset >= 5 else {
                reader.value.addHeader(bytes, offset)
                return
            }
            // The five bytes of the header are there.
            let type = unsafe bytes.unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self)
            let length = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset &+ 1, as: UInt32.self)
                .bigEndian
            let end = offset &+ 1 &+ Int(length)
            // At least 4: one comparison tells both.
            let isPossible = length &- 4 <= Self.longestMessage &- 4
            // DataRow, RowDescription, the bulk of all bytes: before anything else is asked.
            if side == .server, type == 0x44 || type == 0x54, isPossible {
                counters.messages &+= 1
                if type == 0x54 { describedBy(session, type) }
                if end > count { reader.value.skip = UInt32(end &- count) }
                offset = end
                continue
            }
            if side == .server, isPossible, end <= count,
                usualMessage(session, type, length, unsafe bytes.extracting(unchecked: offset &+ 5..<end), &sink)
            {
                if session.value.phase == .opaque { return }
                offset = end
                continue
            }
            // Spelled out: a call of ``isMessage(_:_:_:)`` is not always inlined here, whatever it says.
            guard isPossible, side == .client ? FrontendShape.isType(type) : BackendShape.fits(type, length) else {
                lose(session, side, isPossible ? .unknownType : .impossibleLength)
                return
            }
            // ParameterDescription, NoData, CopyData.
            if side == .server, type == 0x74 || type == 0x6E || type == 0x64 {
                counters.messages &+= 1
                if type != 0x64 { describedBy(session, type) }
                if end > count { reader.value.skip = UInt32(end &- count) }
                offset = end
                continue
            }
            guard end <= count else {
                begin(session, side, type, length &- 4, &sink)
                _ = resume(session, side, bytes, offset &+ 5, &sink)
                return
            }
            // In range: `end` is at most `count`, and no message is shorter than its header.
            let body = unsafe bytes.extracting(unchecked: offset &+ 5..<end)
            // Spelled out as well.
            if side == .client {
                clientMessage(session, type, body, length &- 4, &sink)
            } else {
                serverMessage(session, type, body, &sink)
                if session.value.phase == .opaque { return }
            }
            offset = end
        }
    }

    /// What is about to come was described.
    @inline(__always)
    mutating func describedBy(_ session: Slot<Session>, _ type: UInt8) {
        if type == 0x54 { session.value.flags.insert(.answering) }
        if session.value.flags.contains(.describes), type != 0x74 { described(session) }
    }

    @inline(__always)
    private static func isMessage(_ side: Direction, _ type: UInt8, _ length: UInt32) -> Bool {
        guard length <= Self.longestMessage else { return false }
        return side == .client ? FrontendShape.isType(type) && length >= 4 : BackendShape.fits(type, length)
    }

    /// A message that came in parts, or goes on behind its first part.
    @inline(never)
    private mutating func message(
        _ session: Slot<Session>,
        _ side: Direction,
        _ type: UInt8,
        _ body: RawSpan,
        _ length: UInt32,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        if side == .client {
            clientMessage(session, type, body, length, &sink)
        } else {
            serverMessage(session, type, body, &sink)
        }
    }

    /// A message that goes on in a later packet: decides how much of it must be kept.
    @inline(never)
    private mutating func begin(
        _ session: Slot<Session>,
        _ side: Direction,
        _ type: UInt8,
        _ length: UInt32,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let reader = reader(session, side)
        let wanted = side == .client ? wantedOfClient(type, length) : wantedOfServer(type, length)
        if wanted == 0 {
            message(session, side, type, RawSpan(), length, &sink)
            reader.value.skip = length
        } else {
            reader.value.collect(type, length, wanted)
        }
    }

    private func wantedOfClient(_ type: UInt8, _ length: UInt32) -> UInt32 {
        switch type {
        case 0x51, 0x50: min(length, UInt32(limits.text))  // Query, Parse
        case 0x42, 0x44, 0x45, 0x43: min(length, Self.namePrefix)  // Bind, Describe, Execute, Close
        case 0x46: min(length, 4)  // FunctionCall
        default: 0
        }
    }

    private func wantedOfServer(_ type: UInt8, _ length: UInt32) -> UInt32 {
        switch type {
        case 0x43: min(length, 128)  // CommandComplete
        case 0x45: min(length, 512)  // ErrorResponse
        case 0x53: min(length, 256)  // ParameterStatus
        case 0x52: min(length, 4)  // Authentication
        case 0x5A: min(length, 1)  // ReadyForQuery
        default: 0
        }
    }

    /// Takes up what an earlier packet began; returns where the next message begins, `nil` when the bytes are used up.
    @inline(never)
    private mutating func resume(
        _ session: Slot<Session>,
        _ side: Direction,
        _ bytes: RawSpan,
        _ start: Int,
        _ sink: inout some SessionSink & ~Copyable
    ) -> Int? {
        let reader = reader(session, side)
        var offset = start
        while reader.value.isCollecting {
            guard offset < bytes.byteCount else { return nil }
            if let passed = reader.value.pass(bytes, offset) {
                offset &+= passed
            } else if reader.value.wanted == 0 {
                offset &+= resumeHeader(session, side, bytes, offset, &sink)
            } else {
                offset &+= keep(reader, bytes, offset)
                complete(session, side, &sink)
            }
            if reader.value.isLost || session.value.phase == .opaque { return nil }
        }
        return offset < bytes.byteCount ? offset : nil
    }

    /// Takes up a header that an earlier packet began; returns the number of bytes consumed.
    private mutating func resumeHeader(
        _ session: Slot<Session>,
        _ side: Direction,
        _ bytes: RawSpan,
        _ offset: Int,
        _ sink: inout some SessionSink & ~Copyable
    ) -> Int {
        let reader = reader(session, side)
        let (used, isWhole) = reader.value.completeHeader(bytes, offset)
        guard isWhole else { return used }
        let (type, length) = reader.value.takeHeader()
        guard Self.isMessage(side, type, length) else {
            lose(session, side, length < 4 || length > Self.longestMessage ? .impossibleLength : .unknownType)
            return used
        }
        begin(session, side, type, length &- 4, &sink)
        return used
    }

    /// Handles the message being collected once all that is wanted of it is there.
    private mutating func complete(
        _ session: Slot<Session>,
        _ side: Direction,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        let reader = reader(session, side)
        guard reader.value.filled == reader.value.wanted else { return }
        let whole = reader.value
        reader.value.endCollecting()
        message(session, side, whole.type, whole.block.bytes(0..<Int(whole.filled)), whole.length, &sink)
        pool.give(whole.block)
    }

    /// Copies what is wanted of a message into its block, which grows with what has really come.
    mutating func keep(_ reader: Slot<MessageReader>, _ bytes: RawSpan, _ offset: Int) -> Int {
        let filled = Int(reader.value.filled)
        let count = min(Int(reader.value.wanted) - filled, bytes.byteCount &- offset)
        let needed = filled + count
        if needed > reader.value.block.capacity {
            let size = min(Int(reader.value.wanted), max(needed, reader.value.block.capacity * 2))
            guard let larger = pool.take(size) else {
                // No room: the message is known by what is kept of it.
                counters.note(.textCut)
                reader.value.skip = reader.value.length &- reader.value.filled
                reader.value.wanted = reader.value.filled
                return 0
            }
            larger.store(reader.value.block.bytes(0..<filled), at: 0)
            pool.give(reader.value.block)
            reader.value.block = larger
        }
        reader.value.block.store(bytes.extracting(offset..<offset + count), at: filled)
        reader.value.filled &+= UInt32(count)
        return count
    }
}
