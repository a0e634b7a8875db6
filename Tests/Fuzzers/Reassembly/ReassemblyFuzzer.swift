// SPDX-License-Identifier: Apache-2.0
import Domain
import Packets

/// Counts what it gets; what was delivered and lost can never be more than what was announced, and every connection
/// begins and ends once.
private struct Counter: StreamSink {
    var delivered = 0
    var open: Set<FlowHandle> = []
    var carriers: Set<FlowHandle> = []
    mutating func opened(_ flow: FlowHandle, client: Endpoint, server: Endpoint, isMidstream: Bool, at moment: Moment) {
        precondition(open.insert(flow).inserted)
    }
    func sender(of bytes: RawSpan) -> Direction? { bytes.byteCount % 2 == 0 ? .client : nil }
    mutating func bytes(_ flow: FlowHandle, from side: Direction, _ bytes: RawSpan, at moment: Moment) -> Interest {
        precondition(open.contains(flow))
        delivered += bytes.byteCount
        carriers.insert(flow)
        return bytes.byteCount == 13 ? .drop : .keep
    }
    mutating func gap(_ flow: FlowHandle, from side: Direction, count: Int, at moment: Moment) -> Interest {
        precondition(count > 0 && open.contains(flow))
        return .keep
    }
    mutating func closed(_ flow: FlowHandle, at moment: Moment) {
        precondition(open.remove(flow) != nil)
        carriers.remove(flow)
    }
    mutating func isBlank(_ flow: FlowHandle) -> Bool { !carriers.contains(flow) }
}

/// A reassembler, what feeds it, and relayed connections by a number of two bits.
private struct Bench: ~Copyable {
    var reassembler: Reassembler
    var counter = Counter()
    var slots = SlotTable<Segment>(limit: 1, blank: Segment())
    var relayed = [(flow: FlowHandle, number: UInt64)](repeating: (-1, 0), count: 4)
    var lastNumber: UInt64 = 0
    var (announced, time, ordinal) = (0, Int64(0), UInt64(0))
    let payload = [UInt8](repeating: 7, count: 64)

    init(flows: Int) {
        var limits = ReassemblyLimits()
        limits.flows = flows
        limits.heldBytes = 4096
        limits.heldBytesPerStream = 512
        limits.patience = 12
        (limits.idle, limits.blankIdle) = (1 << 36, 1 << 30)
        reassembler = Reassembler(serverPorts: PortSet([5432]), limits: limits)
        _ = slots.take()
    }

    var moment: Moment { Moment(time: Timestamp(nanoseconds: time), ordinal: ordinal) }

    /// Which flow and direction, flags, sequence, acknowledgment, lengths.
    mutating func segment(_ bytes: ArraySlice<UInt8>, client address: UInt32) {
        let first = bytes.startIndex
        var segment = Segment()
        let client = Endpoint(ipv4: address, port: 40_000)
        let server = Endpoint(ipv4: 0xFFFF_FFFF, port: bytes[first] & 0x80 == 0 ? 5432 : 9)
        (segment.key, segment.fromLower) =
            bytes[first] & 1 == 0
            ? FlowKey.make(source: client, destination: server) : FlowKey.make(source: server, destination: client)
        segment.hash = segment.key.hash(.standard)
        segment.flags = TCPFlags(rawValue: bytes[first + 1] & 0x17)
        segment.sequence = UInt32(bytes[first + 2]) &+ (bytes[first] & 0x40 == 0 ? 0 : .max - 100)
        segment.acknowledgment = UInt32(bytes[first + 3]) &+ (bytes[first] & 0x40 == 0 ? 0 : .max - 100)
        segment.announced = Int32(bytes[first + 4] & 63)
        segment.captured = min(segment.announced, Int32(bytes[first + 5] & 63))
        segment.checksum = SegmentChecksum(rawValue: bytes[first + 4] >> 6) ?? .unknown
        if bytes[first + 5] & 0x80 != 0 {
            segment.flags.insert(.urg)
            segment.urgent = UInt16(bytes[first + 3])
        }
        if bytes[first + 5] & 0x40 != 0 { (segment.hasTimestamp, segment.timestamp) = (true, UInt32(bytes[first + 6])) }
        if bytes[first] & 0x10 != 0 { (segment.window, segment.windowShift) = (UInt16(bytes[first + 2]), 0) }
        (segment.time, segment.ordinal) = (Timestamp(nanoseconds: time), ordinal)
        announced += Int(segment.announced)
        slots[0] = segment
        let (slot, payload) = (slots.slot(0), payload)
        reassembler.process(slot, payload.rawSpan.extracting(0..<Int(segment.captured)), into: &counter)
    }

    mutating func expire(_ count: Int) {
        let moment = moment
        reassembler.expire(at: moment, count: count, into: &counter)
    }

    mutating func finish() {
        let moment = moment
        reassembler.finish(at: moment, into: &counter)
    }

    /// A SYN from each of many clients.
    mutating func flood(_ count: Int, from address: UInt32) {
        for number in 0..<UInt32(count) {
            ordinal += 1
            segment([0, 2, 0, 0, 0, 0], client: address &+ number)
        }
    }

    /// Connections that a relay tells of, each closed at once.
    mutating func passBy(_ count: Int) {
        for _ in 0..<count {
            open(at: 0)
            close(at: 0)
        }
    }

    /// Relayed connections stay known when they are over: whatever is said of one then must touch no other.
    mutating func open(at place: Int) {
        lastNumber += 1
        let client = Endpoint(ipv4: UInt32(truncatingIfNeeded: lastNumber), port: 50_000)
        let server = Endpoint(ipv4: 0xFFFF_FFFF, port: 5432)
        let flow = RelayedFlow(client: client, server: server, number: lastNumber, isMidstream: lastNumber % 3 == 0)
        let moment = moment
        relayed[place] = (reassembler.open(flow, at: moment, into: &counter) ?? -1, lastNumber)
    }

    mutating func close(at place: Int) {
        let ((flow, number), moment) = (relayed[place], moment)
        reassembler.close(flow, number, at: moment, into: &counter)
    }

    mutating func deliver(_ count: Int, at place: Int, from side: Direction) {
        announced += count
        let ((flow, number), moment, payload) = (relayed[place], moment, payload)
        let bytes = payload.rawSpan.extracting(0..<count)
        reassembler.deliver(flow, number, from: side, bytes, at: moment, into: &counter)
    }

    mutating func skip(_ count: Int, at place: Int, from side: Direction) {
        let ((flow, number), moment) = (relayed[place], moment)
        reassembler.skip(flow, number, from: side, count, at: moment, into: &counter)
    }
}

/// Eight bytes a step: flags with URG are something else than a segment, the last two are the time that passes.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let data = unsafe data else { return 0 }
    let bytes = unsafe Array(UnsafeBufferPointer(start: data, count: count))
    // A small table pushes connections out; a large one comes to forget those that ended first.
    var bench = Bench(flows: (bytes.first ?? 0) & 0x20 == 0 ? 4 : 1 << 14)
    // Connections made by the hundred, in all: more than are remembered when they end, but not so many that runs get slow.
    var budget = 5000
    for start in stride(from: 0, to: bytes.count - 7, by: 8) {
        let step = bytes[start..<start + 8]
        bench.time += Int64(bytes[start + 6]) << (bytes[start + 7] & 31)
        bench.ordinal += 1
        guard bytes[start + 1] & 0x20 != 0 else {
            bench.segment(step, client: UInt32(bytes[start] >> 1 & 7))
            continue
        }
        let (place, number) = (Int(bytes[start] & 3), Int(bytes[start + 2]))
        let side: Direction = bytes[start] & 4 == 0 ? .client : .server
        let many = number < 240 ? number : (number - 239) * 300
        switch bytes[start + 1] & 7 {
        case 0: bench.open(at: place)
        case 1: bench.close(at: place)
        case 2: bench.deliver(number & 63, at: place, from: side)
        case 3: bench.skip(number, at: place, from: side)
        case 4: bench.expire(number * 64)
        case 5: bench.reassembler.shiftClock(by: Int64(number) << 24)
        case 6 where budget > many:
            budget -= many
            bench.flood(many, from: 0x100 &+ UInt32(bytes[start + 3]) << 8)
        case 7 where budget > many:
            budget -= many
            bench.passBy(many)
        default: break
        }
    }
    bench.finish()
    precondition(bench.counter.delivered <= bench.announced)
    precondition(bench.counter.open.isEmpty && bench.reassembler.openFlowCount == 0)
    return 0
}

#if UNGUIDED
import Unguided

@main struct Main {
    static func main() { unsafe runUnguided { unsafe fuzz($0, $1) } }
}
#endif
