// SPDX-License-Identifier: Apache-2.0
import Domain
import Packets

/// Counts what it gets; what was delivered and lost can never be more than what was announced.
private struct Counter: StreamSink {
    var delivered = 0
    mutating func opened(_ flow: FlowHandle, client: Endpoint, server: Endpoint, isMidstream: Bool, at moment: Moment) {
    }
    func sender(of bytes: RawSpan) -> Direction? { bytes.byteCount % 2 == 0 ? .client : nil }
    mutating func bytes(_ flow: FlowHandle, from side: Direction, _ bytes: RawSpan, at moment: Moment) -> Interest {
        delivered += bytes.byteCount
        return bytes.byteCount == 13 ? .drop : .keep
    }
    mutating func gap(_ flow: FlowHandle, from side: Direction, count: Int, at moment: Moment) -> Interest {
        precondition(count > 0)
        return .keep
    }
    mutating func closed(_ flow: FlowHandle, at moment: Moment) {}
}

/// Eight bytes a segment: which flow and direction, flags, sequence, acknowledgment, length, time.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let data = unsafe data else { return 0 }
    let bytes = unsafe Array(UnsafeBufferPointer(start: data, count: count))
    var limits = ReassemblyLimits()
    limits.flows = 4
    limits.heldBytes = 4096
    limits.heldBytesPerStream = 512
    limits.patience = 12
    var reassembler = Reassembler(serverPorts: PortSet([5432]), limits: limits)
    var counter = Counter()
    var slots = SlotTable<Segment>(limit: 1, blank: Segment())
    _ = slots.take()
    let payload = [UInt8](repeating: 7, count: 64)
    var (announced, time) = (0, Int64(0))
    for start in stride(from: 0, to: bytes.count - 7, by: 8) {
        var segment = Segment()
        let client = Endpoint(ipv4: UInt32(bytes[start] >> 1 & 7), port: 40_000)
        let server = Endpoint(ipv4: 99, port: bytes[start] & 0x80 == 0 ? 5432 : 9)
        (segment.key, segment.fromLower) =
            bytes[start] & 1 == 0
            ? FlowKey.make(source: client, destination: server) : FlowKey.make(source: server, destination: client)
        segment.hash = segment.key.hash(.standard)
        segment.flags = TCPFlags(rawValue: bytes[start + 1] & 0x17)
        segment.sequence = UInt32(bytes[start + 2]) &+ (bytes[start] & 0x40 == 0 ? 0 : .max - 100)
        segment.acknowledgment = UInt32(bytes[start + 3]) &+ (bytes[start] & 0x40 == 0 ? 0 : .max - 100)
        segment.announced = Int32(bytes[start + 4] & 63)
        segment.captured = min(segment.announced, Int32(bytes[start + 5] & 63))
        time += Int64(bytes[start + 6]) << (bytes[start + 7] & 31)
        segment.time = Timestamp(nanoseconds: time)
        segment.ordinal = UInt64(start / 8 + 1)
        announced += Int(segment.announced)
        slots[0] = segment
        reassembler.process(slots.slot(0), payload.rawSpan.extracting(0..<Int(segment.captured)), into: &counter)
    }
    reassembler.finish(at: Moment(time: Timestamp(nanoseconds: time), ordinal: .max), into: &counter)
    precondition(counter.delivered <= announced)
    return 0
}
