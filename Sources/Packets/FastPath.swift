// SPDX-License-Identifier: Apache-2.0
import Domain

extension PacketDecoder {
    /// Decodes the packet that nearly all packets are: Ethernet II, IPv4 without options or fragments, TCP.
    ///
    /// - Returns: false when it is anything else; then nothing was decided.
    ///
    /// The reads are not checked one by one: all lie in the first 54 bytes, and the first line makes sure of those.
    @inline(__always)
    func decodeUsual(_ frame: RawSpan, length: Int, _ segment: inout Segment) -> Bool {
        guard frame.byteCount >= 54 else { return false }
        let type = unsafe frame.unsafeLoadUnaligned(fromUncheckedByteOffset: 12, as: UInt32.self).bigEndian
        // EtherType 0x0800, version 4, five words of header.
        guard type &>> 8 == 0x08_0045 else { return false }
        let lengths = unsafe frame.unsafeLoadUnaligned(fromUncheckedByteOffset: 16, as: UInt64.self).bigEndian
        // Total length, identification, fragment, TTL, protocol.
        let totalLength = Int(lengths &>> 48)
        let isWhole = totalLength &+ 14 <= frame.byteCount
        guard lengths & 0x3FFF_00FF == 0x0000_0006, totalLength >= 40, isWhole || totalLength &+ 14 <= length else {
            return false
        }
        let addresses = unsafe frame.unsafeLoadUnaligned(fromUncheckedByteOffset: 26, as: UInt64.self).bigEndian
        let ports = unsafe frame.unsafeLoadUnaligned(fromUncheckedByteOffset: 34, as: UInt32.self).bigEndian
        guard self.ports.containsEither(of: ports) else { return false }
        let numbers = unsafe frame.unsafeLoadUnaligned(fromUncheckedByteOffset: 38, as: UInt64.self).bigEndian
        // Header length and flags, window, checksum, urgent pointer.
        let control = unsafe frame.unsafeLoadUnaligned(fromUncheckedByteOffset: 46, as: UInt64.self).bigEndian
        let headerLength = Int(control &>> 60) &* 4
        let announced = totalLength &- 20 &- headerLength
        guard headerLength >= 20, announced >= 0 else { return false }
        (segment.key, segment.fromLower) = FlowKey.make(ipv4: addresses, ports: ports)
        segment.hash = segment.key.hash(hash)
        segment.sequence = UInt32(truncatingIfNeeded: numbers &>> 32)
        segment.acknowledgment = UInt32(truncatingIfNeeded: numbers)
        let flags = UInt8(truncatingIfNeeded: control &>> 48)
        segment.flags = TCPFlags(rawValue: flags)
        segment.window = UInt16(truncatingIfNeeded: control &>> 32)
        let payload = 34 &+ headerLength
        segment.payloadOffset = payload
        segment.announced = Int32(truncatingIfNeeded: announced)
        segment.captured = segment.announced
        if !isWhole {
            segment.payloadOffset = min(payload, frame.byteCount)
            segment.captured = Int32(truncatingIfNeeded: min(announced, max(0, frame.byteCount &- payload)))
        }
        segment.isFromFragments = false
        segment.hasTimestamp = false
        segment.checksum = .unknown
        if flags & 0x22 != 0 {
            // SYN, URG.
            segment.urgent = UInt16(truncatingIfNeeded: control)
            let end = min(payload, frame.byteCount)
            readOptions(frame, 54..<end, isCut: end < payload, &segment)
        }
        // The rest matters only of clients.
        guard self.ports.isDestination(of: ports) else { return true }
        if headerLength == 32, isWhole || frame.byteCount >= 66,
            unsafe frame.unsafeLoadUnaligned(fromUncheckedByteOffset: 54, as: UInt32.self) == Self.timestampFirst
        {
            // In the place where all senders put it.
            segment.timestamp = unsafe frame.unsafeLoadUnaligned(fromUncheckedByteOffset: 58, as: UInt32.self).bigEndian
            segment.hasTimestamp = true
        } else if headerLength > 20 {
            let end = min(payload, frame.byteCount)
            readOptions(frame, 54..<end, isCut: end < payload, &segment)
        }
        // Of acknowledgments, too: a kernel learns nothing from one that it drops.
        if isWhole {
            segment.checksum = TCPChecksum.check(
                frame,
                34..<payload &+ announced,
                addresses: (addresses &>> 32) &+ (addresses & 0xFFFF_FFFF)
            )
        }
        return true
    }

    /// Two NOPs, the kind and length of the timestamp option (RFC 7323 appendix A), as they lie in memory.
    @inline(__always)
    private static var timestampFirst: UInt32 { UInt32(0x0101_080A).bigEndian }
}
