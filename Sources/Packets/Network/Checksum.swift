// SPDX-License-Identifier: Apache-2.0
import Domain

/// The checksum of TCP over IPv4 and IPv6 (RFC 9293 §3.1, RFC 8200 §8.1; computed as RFC 1071 says).
enum TCPChecksum {
    /// What the checksum of a whole TCP segment says.
    ///
    /// - Parameters:
    ///   - range: where the segment lies in `frame`, header and payload, which must be captured whole.
    ///   - addresses: the sum of both addresses as 32-bit numbers.
    @inline(never)
    static func check(_ frame: RawSpan, _ range: Range<Int>, addresses: UInt64) -> SegmentChecksum {
        guard range.lowerBound >= 0, range.upperBound <= frame.byteCount, range.count >= 20 else { return .unknown }
        let names = addresses &+ 6
        let pseudo = names &+ UInt64(range.count)
        if fold(pseudo &+ UInt64(sum(frame, range))) == 0xFFFF { return .whole }
        let field = frame.bigEndian16(at: range.lowerBound &+ 16)
        // Some drivers leave the length out where the card cuts segments.
        return field == fold(pseudo) || field == fold(names) ? .partial : .wrong
    }

    /// The sum of 16-bit numbers in one's complement.
    private static func sum(_ bytes: RawSpan, _ range: Range<Int>) -> UInt16 {
        var total: UInt64 = 0
        var offset = range.lowerBound
        // In bounds: `check` made sure of the range.
        while offset &+ 8 <= range.upperBound {
            let word = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self).littleEndian
            let (next, carries) = total.addingReportingOverflow(word)
            total = next &+ (carries ? 1 : 0)
            offset &+= 8
        }
        var last: UInt64 = 0
        var shift: UInt64 = 0
        while offset < range.upperBound {
            last |= UInt64(bytes.byte(at: offset)) &<< shift
            shift &+= 8
            offset &+= 1
        }
        let (next, carries) = total.addingReportingOverflow(last)
        // The sum of numbers in the other byte order is the sum in that order (RFC 1071 §2).
        return fold(next &+ (carries ? 1 : 0)).byteSwapped
    }

    /// The sum of the four 16-bit parts of a number, in one's complement.
    @inline(__always)
    private static func fold(_ sum: UInt64) -> UInt16 {
        var sum = (sum &>> 32) &+ (sum & 0xFFFF_FFFF)
        sum = (sum &>> 16) &+ (sum & 0xFFFF)
        sum = (sum &>> 16) &+ (sum & 0xFFFF)
        sum = (sum &>> 16) &+ (sum & 0xFFFF)
        return UInt16(truncatingIfNeeded: sum)
    }
}
