// SPDX-License-Identifier: Apache-2.0
import Domain

/// Numbers of the protocols above IP (IANA protocol numbers).
enum IPProtocol {
    static let hopByHop: UInt8 = 0
    static let ipv4: UInt8 = 4
    static let tcp: UInt8 = 6
    static let udp: UInt8 = 17
    static let ipv6: UInt8 = 41
    static let routing: UInt8 = 43
    static let fragment: UInt8 = 44
    static let gre: UInt8 = 47
    static let esp: UInt8 = 50
    static let authentication: UInt8 = 51
    static let destinationOptions: UInt8 = 60
    static let mobility: UInt8 = 135
}

/// What an IP header says about what it carries.
struct Datagram {
    var sourceHigh: UInt64 = 0
    var sourceLow: UInt64 = 0
    var destinationHigh: UInt64 = 0
    var destinationLow: UInt64 = 0
    /// The protocol of the payload.
    var next: UInt8 = 0
    /// Where the payload begins.
    var offset = 0
    /// Where the payload ends on the wire; the snap length may end the frame earlier.
    var end = 0

    /// The sum of both addresses as 32-bit numbers, for checksums; an IPv4 address counts as itself.
    var addressSum: UInt64 {
        let isFour =
            sourceHigh == 0 && destinationHigh == 0 && sourceLow &>> 32 == 0xFFFF
            && destinationLow &>> 32 == 0xFFFF
        let low = (sourceLow & 0xFFFF_FFFF) &+ (destinationLow & 0xFFFF_FFFF)
        guard !isFour else { return low }
        let middle = (sourceLow &>> 32) &+ (destinationLow &>> 32)
        let high = (sourceHigh &>> 32) &+ (sourceHigh & 0xFFFF_FFFF)
        return low &+ middle &+ high &+ (destinationHigh &>> 32) &+ (destinationHigh & 0xFFFF_FFFF)
    }
}

extension PacketDecoder {
    /// An IP packet of whichever version its first byte says.
    mutating func internet(
        _ frame: RawSpan,
        at offset: Int,
        wire: Int,
        depth: Int,
        _ segment: inout Segment
    ) -> IgnoredReason? {
        guard offset < frame.byteCount else { return .badHeader }
        switch frame.byte(at: offset) &>> 4 {
        case 4: return ipv4(frame, at: offset, wire: wire, depth: depth, &segment)
        case 6: return ipv6(frame, at: offset, wire: wire, depth: depth, &segment)
        default: return .notIP
        }
    }

    /// IPv4 (RFC 791).
    ///
    /// A total length of 0 means "up to the end of the frame": segmentation offload leaves it so.
    mutating func ipv4(
        _ frame: RawSpan,
        at offset: Int,
        wire: Int,
        depth: Int,
        _ segment: inout Segment
    ) -> IgnoredReason? {
        guard offset &+ 20 <= frame.byteCount else { return .badHeader }
        let version = frame.byte(at: offset)
        let headerLength = Int(version & 15) &* 4
        guard version &>> 4 == 4, headerLength >= 20 else { return .badHeader }
        let totalLength = Int(frame.bigEndian16(at: offset &+ 2))
        guard totalLength == 0 || totalLength >= headerLength else { return .badHeader }
        var datagram = Datagram()
        datagram.sourceLow = 0xFFFF_0000_0000 | UInt64(frame.bigEndian32(at: offset &+ 12))
        datagram.destinationLow = 0xFFFF_0000_0000 | UInt64(frame.bigEndian32(at: offset &+ 16))
        datagram.next = frame.byte(at: offset &+ 9)
        datagram.offset = offset &+ headerLength
        datagram.end = totalLength == 0 ? wire : min(offset &+ totalLength, max(wire, offset &+ headerLength))
        let fragment = frame.bigEndian16(at: offset &+ 6)
        if fragment & 0x3FFF != 0 {
            let identity = UInt32(frame.bigEndian16(at: offset &+ 4))
            let place = Int(fragment & 0x1FFF) &* 8
            let isLast = fragment & 0x2000 == 0
            return fragmented(frame, datagram, identity, place, isLast, depth, &segment)
        }
        return transport(frame, datagram, depth: depth, &segment)
    }

    /// IPv6 and its extension headers (RFC 8200 §4).
    mutating func ipv6(
        _ frame: RawSpan,
        at offset: Int,
        wire: Int,
        depth: Int,
        _ segment: inout Segment
    ) -> IgnoredReason? {
        guard offset &+ 40 <= frame.byteCount, frame.byte(at: offset) &>> 4 == 6 else { return .badHeader }
        let length = Int(frame.bigEndian16(at: offset &+ 4))
        var datagram = Datagram()
        datagram.sourceHigh = frame.bigEndian64(at: offset &+ 8)
        datagram.sourceLow = frame.bigEndian64(at: offset &+ 16)
        datagram.destinationHigh = frame.bigEndian64(at: offset &+ 24)
        datagram.destinationLow = frame.bigEndian64(at: offset &+ 32)
        datagram.next = frame.byte(at: offset &+ 6)
        datagram.offset = offset &+ 40
        datagram.end = length == 0 ? wire : min(offset &+ 40 &+ length, max(wire, offset &+ 40))
        // Every extension header is at least 8 bytes long, so the loop is bounded by the frame.
        while true {
            switch datagram.next {
            case IPProtocol.hopByHop, IPProtocol.routing, IPProtocol.destinationOptions, IPProtocol.mobility:
                guard datagram.offset + 8 <= frame.byteCount else { return .badHeader }
                datagram.next = frame.byte(at: datagram.offset)
                datagram.offset += 8 + Int(frame.byte(at: datagram.offset + 1)) * 8
            case IPProtocol.authentication:
                guard datagram.offset + 8 <= frame.byteCount else { return .badHeader }
                datagram.next = frame.byte(at: datagram.offset)
                datagram.offset += 8 + Int(frame.byte(at: datagram.offset + 1)) * 4
            case IPProtocol.fragment:
                guard datagram.offset + 8 <= frame.byteCount else { return .badHeader }
                let place = frame.bigEndian16(at: datagram.offset + 2)
                let identity = frame.bigEndian32(at: datagram.offset + 4)
                datagram.next = frame.byte(at: datagram.offset)
                datagram.offset += 8
                if place & 0xFFF9 != 0 {
                    let isLast = place & 1 == 0
                    return fragmented(frame, datagram, identity, Int(place & 0xFFF8), isLast, depth, &segment)
                }
            default:
                return transport(frame, datagram, depth: depth, &segment)
            }
        }
    }

    /// What an unfragmented datagram carries.
    mutating func transport(
        _ frame: RawSpan,
        _ datagram: Datagram,
        depth: Int,
        _ segment: inout Segment
    ) -> IgnoredReason? {
        if datagram.next == IPProtocol.tcp { return tcp(frame, datagram, &segment) }
        return tunnel(frame, datagram, depth: depth, &segment)
    }
}
