// SPDX-License-Identifier: Apache-2.0
import Domain

extension PacketDecoder {
    /// The TCP header (RFC 9293 §3.1); the payload ends where the IP header says, so trailers do not count.
    mutating func tcp(_ frame: RawSpan, _ datagram: Datagram, _ segment: inout Segment) -> IgnoredReason? {
        let offset = datagram.offset
        guard offset &+ 20 <= min(frame.byteCount, datagram.end) else { return .badHeader }
        let source = frame.bigEndian16(at: offset)
        let destination = frame.bigEndian16(at: offset &+ 2)
        guard ports.isEmpty || ports.contains(destination) || ports.contains(source) else { return .otherPort }
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
        segment.isFromFragments = isReassembled
        return nil
    }
}
