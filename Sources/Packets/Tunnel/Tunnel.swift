// SPDX-License-Identifier: Apache-2.0
import Domain

extension PacketDecoder {
    /// Follows a tunnel inwards; anything that is neither TCP nor a known tunnel is `notTCP`.
    mutating func tunnel(
        _ frame: RawSpan,
        _ datagram: Datagram,
        depth: Int,
        _ segment: inout Segment
    ) -> IgnoredReason? {
        let wire = datagram.end
        switch datagram.next {
        case IPProtocol.udp: return udp(frame, datagram, depth: depth, &segment)
        case IPProtocol.gre: return gre(frame, datagram, depth: depth, &segment)
        case IPProtocol.ipv4, IPProtocol.ipv6:  // RFC 2003, RFC 4213
            guard isNamed(datagram) else { return .tunnelSender }
            guard depth < Self.deepestTunnel else { return .tunnelDepth }
            return internet(frame, at: datagram.offset, wire: wire, depth: depth + 1, &segment)
        case IPProtocol.esp: return .encrypted
        default: return .notTCP
        }
    }

    /// Whether this sender's tunnels are looked into.
    ///
    /// Asked at each depth: a mirror also copies the tunnels of those whom it watches.
    func isNamed(_ datagram: Datagram) -> Bool {
        tunnelSenders?.contains(high: datagram.sourceHigh, low: datagram.sourceLow) ?? true
    }

    /// UDP to the ports of VXLAN (RFC 7348; 8472 is the Linux kernel's old default) and GENEVE (RFC 8926).
    private mutating func udp(
        _ frame: RawSpan,
        _ datagram: Datagram,
        depth: Int,
        _ segment: inout Segment
    ) -> IgnoredReason? {
        let offset = datagram.offset
        guard offset + 16 <= frame.byteCount else { return .notTCP }
        switch frame.bigEndian16(at: offset + 2) {
        case 4789, 8472:
            guard frame.byte(at: offset + 8) & 0x08 != 0 else { return .notTCP }
            guard isNamed(datagram) else { return .tunnelSender }
            guard depth < Self.deepestTunnel else { return .tunnelDepth }
            return ethernet(frame, at: offset + 16, wire: datagram.end, depth: depth + 1, &segment)
        case 6081:
            let first = frame.byte(at: offset + 8)
            guard first >> 6 == 0 else { return .notTCP }
            guard isNamed(datagram) else { return .tunnelSender }
            guard depth < Self.deepestTunnel else { return .tunnelDepth }
            let inner = offset + 16 + Int(first & 0x3F) * 4
            let type = frame.bigEndian16(at: offset + 10)
            if type == EtherType.ethernet {
                return ethernet(frame, at: inner, wire: datagram.end, depth: depth + 1, &segment)
            }
            return payload(frame, type: type, at: inner, wire: datagram.end, depth: depth + 1, &segment)
        default:
            return .notTCP
        }
    }

    /// GRE (RFC 2784, RFC 2890) with IP, Ethernet or ERSPAN (draft-foschiano-erspan) inside.
    private mutating func gre(
        _ frame: RawSpan,
        _ datagram: Datagram,
        depth: Int,
        _ segment: inout Segment
    ) -> IgnoredReason? {
        let offset = datagram.offset
        guard offset + 4 <= frame.byteCount else { return .badHeader }
        let flags = frame.bigEndian16(at: offset)
        let type = frame.bigEndian16(at: offset + 2)
        guard flags & 7 == 0 else { return .notTCP }  // version 1 is PPTP
        guard isNamed(datagram) else { return .tunnelSender }
        guard depth < Self.deepestTunnel else { return .tunnelDepth }
        let hasSequence = flags & 0x1000 != 0
        var inner = offset + 4
        if flags & 0xC000 != 0 { inner += 4 }  // checksum or routing: one word holds both
        if flags & 0x2000 != 0 { inner += 4 }  // key
        if hasSequence { inner += 4 }
        switch type {
        case EtherType.ethernet:
            return ethernet(frame, at: inner, wire: datagram.end, depth: depth + 1, &segment)
        case EtherType.erspan2:
            // Type I has neither a sequence number nor a header of its own.
            let header = hasSequence ? 8 : 0
            return ethernet(frame, at: inner + header, wire: datagram.end, depth: depth + 1, &segment)
        case EtherType.erspan3:
            guard inner + 12 <= frame.byteCount else { return .badHeader }
            let hasSubheader = frame.byte(at: inner + 11) & 1 != 0
            let header = hasSubheader ? 20 : 12
            return ethernet(frame, at: inner + header, wire: datagram.end, depth: depth + 1, &segment)
        default:
            return payload(frame, type: type, at: inner, wire: datagram.end, depth: depth + 1, &segment)
        }
    }
}
