// SPDX-License-Identifier: Apache-2.0
import CVector
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
        let count = range.upperBound &- range.lowerBound
        guard range.lowerBound >= 0, range.upperBound <= frame.byteCount, count >= 20 else { return .unknown }
        let names = addresses &+ 6
        let pseudo = names &+ UInt64(truncatingIfNeeded: count)
        // In bounds, and more than the eight bytes that it wants.
        let sum = unsafe frame.withUnsafeBytes { bytes in
            unsafe bytes.baseAddress.map {
                unsafe pgweir_ones_sum($0 + range.lowerBound, count, pseudo.byteSwapped)
            }
        }
        // The same in both byte orders.
        if sum == 0xFFFF { return .whole }
        let field = frame.bigEndian16(at: range.lowerBound &+ 16)
        // Some drivers leave the length out where the card cuts segments.
        return field == fold(pseudo) || field == fold(names) ? .partial : .wrong
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
