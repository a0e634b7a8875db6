// SPDX-License-Identifier: Apache-2.0
import Domain

/// What the client's messages look like: used to tell message boundaries where they are not known.
enum FrontendShape {
    static func isType(_ type: UInt8) -> Bool {
        switch type {
        case 0x42, 0x43, 0x44, 0x45, 0x46, 0x48, 0x50, 0x51, 0x53, 0x58, 0x63, 0x64, 0x66, 0x70: true
        default: false
        }
    }

    /// Whether `bytes` are messages from their first byte to their last, one of them of a shape that does not come
    /// about by chance.
    ///
    /// The last one may go on behind the end.
    static func proves(_ bytes: RawSpan) -> Bool {
        var offset = 0
        var isStrong = false
        while offset < bytes.byteCount {
            guard offset + 5 <= bytes.byteCount else { return isStrong }
            let type = bytes.byte(at: offset)
            let length = bytes.bigEndian32(at: offset + 1)
            guard isType(type), length >= 4, length <= Sessions.longestMessage else { return false }
            let end = offset + 1 + Int(length)
            guard end <= bytes.byteCount else {
                return isStrong || (offset == 0 && isLongText(type, bytes.extracting(5..<bytes.byteCount), length))
            }
            guard fits(type, bytes.extracting(offset + 5..<end)) else { return false }
            if type != 0x64, type != 0x70 { isStrong = true }
            offset = end
        }
        return isStrong
    }

    /// A Query or unnamed Parse that fills more than its packet: a text of at least 64 printable characters.
    private static func isLongText(_ type: UInt8, _ body: RawSpan, _ length: UInt32) -> Bool {
        guard type == 0x51 || type == 0x50, length < 64 << 20 else { return false }
        let start = type == 0x51 ? 0 : (body.firstOffset(of: 0, from: 0) ?? body.byteCount) + 1
        guard body.byteCount - start >= 64 else { return false }
        return (start..<start + 64).allSatisfy { offset in
            let byte = body.byte(at: offset)
            return byte >= 0x20 || (byte >= 9 && byte <= 13)
        }
    }

    /// Whether a message's inside fits its type to the byte.
    static func fits(_ type: UInt8, _ body: RawSpan) -> Bool {
        let count = body.byteCount
        switch type {
        case 0x51:  // Query
            return count >= 1 && body.firstOffset(of: 0, from: 0) == count - 1
        case 0x50:  // Parse
            guard let name = body.firstOffset(of: 0, from: 0), let text = body.firstOffset(of: 0, from: name + 1),
                text + 3 <= count
            else { return false }
            return text + 3 + 4 * Int(body.bigEndian16(at: text + 1)) == count
        case 0x42: return fitsBind(body)
        case 0x44, 0x43:  // Describe, Close
            guard count >= 2, body.byte(at: 0) == 0x53 || body.byte(at: 0) == 0x50 else { return false }
            return body.firstOffset(of: 0, from: 1) == count - 1
        case 0x45:  // Execute
            guard let name = body.firstOffset(of: 0, from: 0) else { return false }
            return name + 5 == count
        case 0x53, 0x48, 0x58, 0x63: return count == 0  // Sync, Flush, Terminate, CopyDone
        case 0x66: return count >= 1 && body.byte(at: count - 1) == 0  // CopyFail
        case 0x46: return count >= 10  // FunctionCall
        default: return true
        }
    }

    private static func fitsBind(_ body: RawSpan) -> Bool {
        let count = body.byteCount
        guard let portal = body.firstOffset(of: 0, from: 0), let name = body.firstOffset(of: 0, from: portal + 1) else {
            return false
        }
        var offset = name + 1
        guard offset + 2 <= count else { return false }
        offset += 2 + 2 * Int(body.bigEndian16(at: offset))
        guard offset + 2 <= count else { return false }
        let parameters = Int(body.bigEndian16(at: offset))
        offset += 2
        for _ in 0..<parameters {
            guard offset + 4 <= count else { return false }
            let length = Int32(bitPattern: body.bigEndian32(at: offset))
            offset += 4 + max(0, Int(length))
        }
        guard offset + 2 <= count else { return false }
        return offset + 2 + 2 * Int(body.bigEndian16(at: offset)) == count
    }
}

/// What the server's messages look like.
enum BackendShape {
    static func isType(_ type: UInt8) -> Bool {
        switch type {
        case 0x31, 0x32, 0x33, 0x41, 0x43, 0x44, 0x45, 0x47, 0x48, 0x49, 0x4B, 0x4E, 0x52, 0x53, 0x54, 0x56, 0x57, 0x5A,
            0x63, 0x64, 0x6E, 0x73, 0x74, 0x76:
            true
        default: false
        }
    }

    /// Whether a message of this type may be this long; most types fix or bound it.
    @inline(__always)
    static func fits(_ type: UInt8, _ length: UInt32) -> Bool {
        switch type {
        case 0x44, 0x64: length >= 4  // DataRow (6, but harmless), CopyData
        case 0x5A: length == 5
        case 0x49, 0x6E, 0x31, 0x32, 0x33, 0x73, 0x63: length == 4
        case 0x52: length >= 8 && length < 1 << 20
        case 0x4B: length >= 12 && length <= 264
        case 0x43: length >= 5 && length < 1 << 16
        case 0x47, 0x48, 0x57: length >= 7 && length < 1 << 20
        case 0x53: length >= 6 && length < 1 << 20
        case 0x54, 0x74, 0x45, 0x4E, 0x41, 0x76, 0x56: length >= 4
        default: false
        }
    }

    /// Where reading can begin in `bytes`: at their start when they are messages throughout, or at a ReadyForQuery
    /// that ends them; `nil` when neither can be told.
    static func proof(_ bytes: RawSpan) -> Int? {
        if isChain(bytes) { return 0 }
        let count = bytes.byteCount
        guard count >= 6, bytes.byte(at: count - 6) == 0x5A, bytes.bigEndian32(at: count - 5) == 5 else { return nil }
        return isStatus(bytes.byte(at: count - 1)) ? count - 6 : nil
    }

    static func isStatus(_ byte: UInt8) -> Bool { byte == 0x49 || byte == 0x54 || byte == 0x45 }

    private static func isChain(_ bytes: RawSpan) -> Bool {
        var offset = 0
        var isStrong = false
        while offset < bytes.byteCount {
            guard offset + 5 <= bytes.byteCount else { return isStrong }
            let type = bytes.byte(at: offset)
            let length = bytes.bigEndian32(at: offset + 1)
            guard isType(type), fits(type, length), length <= Sessions.longestMessage else { return false }
            let end = offset + 1 + Int(length)
            guard end <= bytes.byteCount else { return isStrong }
            if !isInside(type, bytes.extracting(offset + 5..<end)) { return false }
            // A row may hold anything, also whole fake messages: it proves nothing by itself.
            if type != 0x44, type != 0x64 { isStrong = true }
            offset = end
        }
        return isStrong
    }

    private static func isInside(_ type: UInt8, _ body: RawSpan) -> Bool {
        let count = body.byteCount
        switch type {
        case 0x5A: return isStatus(body.byte(at: 0))
        case 0x43: return body.firstOffset(of: 0, from: 0) == count - 1
        case 0x44: return count >= 2
        case 0x45, 0x4E: return count >= 2 && body.byte(at: count - 1) == 0
        case 0x54: return count >= 2
        default: return true
        }
    }
}
