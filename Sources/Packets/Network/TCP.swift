// SPDX-License-Identifier: Apache-2.0
import Domain

extension PacketDecoder {
    /// The TCP header (RFC 9293 §3.1); the payload ends where the IP header says, so trailers do not count.
    mutating func tcp(_ frame: RawSpan, _ datagram: Datagram, _ segment: inout Segment) -> IgnoredReason? {
        let offset = datagram.offset
        guard offset &+ 20 <= min(frame.byteCount, datagram.end) else { return .badHeader }
        let source = frame.bigEndian16(at: offset)
        let destination = frame.bigEndian16(at: offset &+ 2)
        guard ports.isEmpty || ports.contains(destination) || ports.contains(source) else {
            noteOther(frame, datagram, source, destination)
            return .otherPort
        }
        let headerLength = Int(frame.byte(at: offset &+ 12) &>> 4) &* 4
        let payload = offset &+ headerLength
        guard headerLength >= 20, payload <= datagram.end else { return .badHeader }
        (segment.key, segment.fromLower) = FlowKey.make(
            source: Endpoint(high: datagram.sourceHigh, low: datagram.sourceLow, port: source),
            destination: Endpoint(high: datagram.destinationHigh, low: datagram.destinationLow, port: destination)
        )
        segment.hash = segment.key.hash(hash)
        segment.sequence = frame.bigEndian32(at: offset &+ 4)
        segment.acknowledgment = frame.bigEndian32(at: offset &+ 8)
        segment.flags = TCPFlags(rawValue: frame.byte(at: offset &+ 13))
        segment.payloadOffset = min(payload, frame.byteCount)
        segment.announced = Int32(clamping: datagram.end &- payload)
        segment.captured = min(segment.announced, Int32(clamping: max(0, frame.byteCount &- payload)))
        segment.window = frame.bigEndian16(at: offset &+ 14)
        segment.urgent = frame.bigEndian16(at: offset &+ 18)
        segment.isFromFragments = isReassembled
        segment.hasTimestamp = false
        let end = segment.payloadOffset
        readOptions(frame, offset &+ 20..<max(offset &+ 20, end), isCut: end < payload, &segment)
        segment.checksum = .unknown
        let isWhole = datagram.end <= frame.byteCount
        if isWhole, ports.isEmpty || ports.contains(destination) {
            let addresses = datagram.addressSum
            segment.checksum = TCPChecksum.check(frame, offset..<datagram.end, addresses: addresses)
        }
        return nil
    }

    /// Takes note of what passes on a port that was not named, and of what it looks like.
    @inline(never)
    private mutating func noteOther(_ frame: RawSpan, _ datagram: Datagram, _ source: UInt16, _ destination: UInt16) {
        // In range: the caller looked.
        let flags = TCPFlags(rawValue: frame.byte(at: datagram.offset &+ 13))
        if flags.contains(.syn) { return otherPorts.note(flags.contains(.ack) ? source : destination) }
        let start = datagram.offset &+ Int(frame.byte(at: datagram.offset &+ 12) &>> 4) &* 4
        guard start &+ 8 <= min(frame.byteCount, datagram.end) else {
            return otherPorts.note(min(source, destination))
        }
        // Protocol 3.0 and 3.2, SSLRequest, GSSENCRequest (PostgreSQL documentation, "Message Formats"); a handshake record of
        // TLS (RFC 8446, 5.1).
        let (length, code) = (frame.bigEndian32(at: start), frame.bigEndian32(at: start &+ 4))
        let isRequest = length == 8 && (code == 80_877_103 || code == 80_877_104)
        let isStartup = length > 8 && length <= 10_000 && code &>> 16 == 3 && code & 0xFFFF <= 2
        guard !isRequest, !isStartup else { return otherPorts.note(destination, isPostgreSQL: true) }
        otherPorts.note(min(source, destination), isTLS: length &>> 16 == 0x1603)
    }

    /// The options that matter here: the timestamp, and in a SYN the shift of windows (RFC 9293 §3.2, RFC 7323).
    ///
    /// A SYN whose options were cut may have said anything.
    @inline(never)
    func readOptions(_ frame: RawSpan, _ range: Range<Int>, isCut: Bool, _ segment: inout Segment) {
        let isSYN = segment.flags.contains(.syn)
        if isSYN { segment.windowShift = isCut ? Segment.largestShift : 0 }
        var offset = range.lowerBound
        while offset < range.upperBound {
            let kind = frame.byte(at: offset)
            if kind == 0 { return }
            if kind == 1 {
                offset &+= 1
                continue
            }
            guard offset &+ 1 < range.upperBound else { return }
            let length = Int(frame.byte(at: offset &+ 1))
            guard length >= 2, offset &+ length <= range.upperBound else { return }
            if kind == 8, length == 10 {
                segment.timestamp = frame.bigEndian32(at: offset &+ 2)
                segment.hasTimestamp = true
            } else if kind == 3, length == 3, isSYN {
                segment.windowShift = min(Segment.largestShift, frame.byte(at: offset &+ 2))
            }
            offset &+= length
        }
    }
}
