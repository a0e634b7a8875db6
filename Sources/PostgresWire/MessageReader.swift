// SPDX-License-Identifier: Apache-2.0
import Domain

/// How far one direction of a session is read.
struct MessageReader: BitwiseCopyable {
    // In this order there is no padding: every connection has two.
    /// Bytes of a message header seen so far, and below how many.
    var header: UInt64 = 0
    /// What of the message being collected is kept.
    var block = Block.none
    /// Bytes of the current message still to pass over.
    var skip: UInt32 = 0
    /// The message being collected: its whole body length, how much of it is kept, and how much is wanted.
    var length: UInt32 = 0
    var filled: UInt32 = 0
    var wanted: UInt32 = 0
    var headerCount: UInt8 = 0
    /// Set while the place of message boundaries is unknown.
    var isLost = false
    /// Whether the message being collected has lost bytes.
    var isHoled = false
    /// The type of the message being collected.
    var type: UInt8 = 0
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
