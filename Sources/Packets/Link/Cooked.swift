// SPDX-License-Identifier: Apache-2.0
import Domain

extension PacketDecoder {
    /// BSD and OpenBSD loopback.
    ///
    /// The address family's byte order and its number for IPv6 vary by system, so the version in the IP header decides.
    mutating func loopback(_ frame: RawSpan, wire: Int, _ segment: inout Segment) -> IgnoredReason? {
        guard frame.byteCount > 4 else { return .badHeader }
        let family = max(frame.bigEndian32(at: 0), frame.bigEndian32(at: 0).byteSwapped)
        guard family & 0x00FF_FFFF == 0 || family < 256 else { return .badHeader }
        return internet(frame, at: 4, wire: wire, depth: 0, &segment)
    }

    /// Linux cooked capture v1 (LINKTYPE_LINUX_SLL).
    mutating func linuxCooked(_ frame: RawSpan, wire: Int, _ segment: inout Segment) -> IgnoredReason? {
        guard frame.byteCount >= 16 else { return .badHeader }
        return payload(frame, type: frame.bigEndian16(at: 14), at: 16, wire: wire, depth: 0, &segment)
    }

    /// Linux cooked capture v2 (LINKTYPE_LINUX_SLL2).
    mutating func linuxCooked2(_ frame: RawSpan, wire: Int, _ segment: inout Segment) -> IgnoredReason? {
        guard frame.byteCount >= 20 else { return .badHeader }
        return payload(frame, type: frame.bigEndian16(at: 0), at: 20, wire: wire, depth: 0, &segment)
    }

    /// Netfilter log messages (LINKTYPE_NFLOG): a header of 4 bytes, then attributes in the byte order of the host,
    /// each padded to 4 bytes; attribute 9 is the packet.
    mutating func nflog(_ frame: RawSpan, wire: Int, _ segment: inout Segment) -> IgnoredReason? {
        guard frame.byteCount >= 8 else { return .badHeader }
        // The attributes carry no mark of their byte order: in the right one they chain to the packet.
        let isBig = !chains(frame, big: false) && chains(frame, big: true)
        var offset = 4
        while offset + 4 <= frame.byteCount {
            let length = Int(isBig ? frame.bigEndian16(at: offset) : frame.littleEndian16(at: offset))
            let type = isBig ? frame.bigEndian16(at: offset + 2) : frame.littleEndian16(at: offset + 2)
            guard length >= 4 else { return .badHeader }
            if type == 9 {
                return internet(frame, at: offset + 4, wire: max(wire, offset + length), depth: 0, &segment)
            }
            offset += (length + 3) & ~3
        }
        return .badHeader
    }

    private func chains(_ frame: RawSpan, big: Bool) -> Bool {
        var offset = 4
        while offset + 4 <= frame.byteCount {
            let length = Int(big ? frame.bigEndian16(at: offset) : frame.littleEndian16(at: offset))
            let type = big ? frame.bigEndian16(at: offset + 2) : frame.littleEndian16(at: offset + 2)
            guard length >= 4, type < 64 else { return false }
            if type == 9 { return true }
            offset += (length + 3) & ~3
        }
        return false
    }
}
