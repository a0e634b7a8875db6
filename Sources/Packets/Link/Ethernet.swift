// SPDX-License-Identifier: Apache-2.0
import Domain

/// Numbers of the protocols above the link layer (IEEE 802 numbers registry, IANA).
enum EtherType {
    static let ipv4: UInt16 = 0x0800
    static let vlan: UInt16 = 0x8100
    static let serviceVLAN: UInt16 = 0x88A8
    static let oldServiceVLAN: UInt16 = 0x9100
    static let ipv6: UInt16 = 0x86DD
    static let mpls: UInt16 = 0x8847
    static let mplsMulticast: UInt16 = 0x8848
    static let pppoe: UInt16 = 0x8864
    static let ethernet: UInt16 = 0x6558
    static let erspan2: UInt16 = 0x88BE
    static let erspan3: UInt16 = 0x22EB
}

extension PacketDecoder {
    /// Ethernet II (RFC 894) and whatever tags stand before the payload.
    mutating func ethernet(
        _ frame: RawSpan,
        at offset: Int,
        wire: Int,
        depth: Int,
        _ segment: inout Segment
    ) -> IgnoredReason? {
        guard offset &+ 14 <= frame.byteCount else { return .badHeader }
        let type = frame.bigEndian16(at: offset &+ 12)
        if type == EtherType.ipv4 {
            return ipv4(frame, at: offset &+ 14, wire: wire, depth: depth, &segment)
        }
        return payload(frame, type: type, at: offset &+ 14, wire: wire, depth: depth, &segment)
    }

    /// What follows an EtherType: VLAN tags (IEEE 802.1Q, 802.1ad), MPLS labels (RFC 3032), PPPoE (RFC 2516), IP.
    mutating func payload(
        _ frame: RawSpan,
        type: UInt16,
        at start: Int,
        wire: Int,
        depth: Int,
        _ segment: inout Segment
    ) -> IgnoredReason? {
        var type = type
        var offset = start
        // Each round consumes at least two bytes, so the loop is bounded by the frame.
        while true {
            switch type {
            case EtherType.ipv4, EtherType.ipv6:
                return internet(frame, at: offset, wire: wire, depth: depth, &segment)
            case EtherType.vlan, EtherType.serviceVLAN, EtherType.oldServiceVLAN:
                guard offset + 4 <= frame.byteCount else { return .badHeader }
                type = frame.bigEndian16(at: offset + 2)
                offset += 4
            case EtherType.mpls, EtherType.mplsMulticast:
                guard offset + 4 <= frame.byteCount else { return .badHeader }
                let isBottom = frame.byte(at: offset + 2) & 1 != 0
                offset += 4
                if isBottom { return internet(frame, at: offset, wire: wire, depth: depth, &segment) }
            case EtherType.pppoe:
                guard offset + 8 <= frame.byteCount else { return .badHeader }
                let ppp = frame.bigEndian16(at: offset + 6)
                guard ppp == 0x21 || ppp == 0x57 else { return .notIP }
                return internet(frame, at: offset + 8, wire: wire, depth: depth, &segment)
            default:
                return .notIP
            }
        }
    }
}
