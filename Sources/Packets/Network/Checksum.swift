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
        guard range.lowerBound >= 0, range.upperBound <= frame.byteCount, range.count >= 20, range.count < 1 << 19
        else { return .unknown }
        let names = addresses &+ 6
        let pseudo = names &+ UInt64(range.count)
        if fold(pseudo &+ UInt64(sum(frame, range))) == 0xFFFF { return .whole }
        let field = frame.bigEndian16(at: range.lowerBound &+ 16)
        // Some drivers leave the length out where the card cuts segments.
        return field == fold(pseudo) || field == fold(names) ? .partial : .wrong
    }

    /// The sum of 16-bit numbers in one's complement.
    @inline(__always)
    private static func sum(_ bytes: RawSpan, _ range: Range<Int>) -> UInt16 {
        // Sixteen bytes at a time: even and odd numbers in lanes of 32 bits, which hold the sums of 500 KB.
        var lanes = SIMD4<UInt32>()
        var offset = range.lowerBound
        let end = range.upperBound
        // In bounds, all of these: `check` made sure of the range.
        while offset &+ 16 <= end {
            let words = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: SIMD4<UInt32>.self)
            lanes &+= (words & 0xFFFF) &+ (words &>> 16)
            offset &+= 16
        }
        var total = (UInt64(lanes[0]) &+ UInt64(lanes[1])) &+ (UInt64(lanes[2]) &+ UInt64(lanes[3]))
        if offset &+ 8 <= end {
            let word = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self)
            total &+= (word & 0xFFFF_FFFF) &+ (word &>> 32)
            offset &+= 8
        }
        if offset &+ 4 <= end {
            total &+= UInt64(unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt32.self))
            offset &+= 4
        }
        if offset &+ 2 <= end {
            total &+= UInt64(unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt16.self))
            offset &+= 2
        }
        // The last of an odd number of bytes stands before a zero.
        if offset < end { total &+= UInt64(UInt16(bytes.byte(at: offset)).littleEndian) }
        // The sum of numbers in the other byte order is the sum in that order (RFC 1071 §2).
        return fold(total).bigEndian
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
