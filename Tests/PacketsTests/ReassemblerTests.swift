// SPDX-License-Identifier: Apache-2.0
import Domain
import Packets
import TestKit
import Testing

/// Keeps what a reassembler delivers.
struct Collector: StreamSink {
    /// Flows that carried bytes.
    var known: Set<FlowHandle> = []
    var closedKnown = 0
    var client: [UInt8] = []
    var server: [UInt8] = []
    var gaps: [Int] = []
    var opened = 0
    var closed = 0
    var order: [Direction] = []

    mutating func opened(_ flow: FlowHandle, client: Endpoint, server: Endpoint, isMidstream: Bool, at moment: Moment) {
        opened += 1
    }
    func sender(of bytes: RawSpan) -> Direction? { nil }
    mutating func bytes(_ flow: FlowHandle, from side: Direction, _ bytes: RawSpan, at moment: Moment) -> Interest {
        let new = (0..<bytes.byteCount).map { bytes.byte(at: $0) }
        if side == .client { client += new } else { server += new }
        order.append(side)
        known.insert(flow)
        return .keep
    }
    mutating func gap(_ flow: FlowHandle, from side: Direction, count: Int, at moment: Moment) -> Interest {
        gaps.append(count)
        return .keep
    }
    mutating func closed(_ flow: FlowHandle, at moment: Moment) {
        closed += 1
        if known.contains(flow) { closedKnown += 1 }
    }
    mutating func isBlank(_ flow: FlowHandle) -> Bool { !known.contains(flow) }
}

/// A conversation as segments.
struct Conversation {
    struct Item {
        var segment: Segment
        var payload: [UInt8]
    }

    static let client = Endpoint(ipv4: 0x0A00_0002, port: 40_000)
    static let server = Endpoint(ipv4: 0x0A00_0001, port: 5432)
    var items: [Item] = []
    var clientNext: UInt32 = 1000
    var serverNext: UInt32 = 5000
    var time: Int64 = 0

    mutating func send(_ side: Direction, _ payload: [UInt8], _ flags: TCPFlags = .ack) {
        items.append(make(side, payload, flags, sequence: side == .client ? clientNext : serverNext))
        let length = UInt32(payload.count) + (flags.isDisjoint(with: [.syn, .fin]) ? 0 : 1)
        if side == .client { clientNext &+= length } else { serverNext &+= length }
    }

    mutating func make(_ side: Direction, _ payload: [UInt8], _ flags: TCPFlags, sequence: UInt32) -> Item {
        var segment = Segment()
        let (source, destination) = side == .client ? (Self.client, Self.server) : (Self.server, Self.client)
        (segment.key, segment.fromLower) = FlowKey.make(source: source, destination: destination)
        segment.hash = segment.key.hash(.standard)
        segment.sequence = sequence
        segment.acknowledgment = side == .client ? serverNext : clientNext
        segment.flags = flags
        segment.captured = Int32(payload.count)
        segment.announced = Int32(payload.count)
        time += 1_000_000
        segment.time = Timestamp(nanoseconds: time)
        return Item(segment: segment, payload: payload)
    }

    mutating func open() {
        send(.client, [], .syn)
        send(.server, [], [.syn, .ack])
        send(.client, [])
    }

    static func run(_ items: [Item], patience: UInt16 = 1024) -> (Collector, ReassemblyCounters) {
        var limits = ReassemblyLimits()
        limits.flows = 64
        limits.patience = patience
        var reassembler = Reassembler(serverPorts: PortSet([5432]), limits: limits)
        var collector = Collector()
        var slots = SlotTable<Segment>(limit: 1, blank: Segment())
        _ = slots.take()
        for (index, item) in items.enumerated() {
            var segment = item.segment
            segment.ordinal = UInt64(index + 1)
            slots[0] = segment
            reassembler.process(slots.slot(0), item.payload.rawSpan, into: &collector)
        }
        let last = Timestamp(nanoseconds: 1 << 60)
        reassembler.finish(at: Moment(time: last, ordinal: UInt64(items.count + 1)), into: &collector)
        return (collector, reassembler.counters)
    }

    /// A dialogue of `turns` random messages.
    static func dialogue(_ turns: Int, start: UInt32, _ random: inout SplitMix64) -> (Conversation, [UInt8], [UInt8]) {
        var talk = Conversation()
        (talk.clientNext, talk.serverNext) = (start, start &+ 77)
        talk.open()
        var said: ([UInt8], [UInt8]) = ([], [])
        for turn in 0..<turns {
            let bytes = (0..<Int.random(in: 1...60, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            talk.send(turn % 2 == 0 ? .client : .server, bytes)
            if turn % 2 == 0 { said.0 += bytes } else { said.1 += bytes }
        }
        talk.send(.client, [], [.fin, .ack])
        talk.send(.server, [], [.fin, .ack])
        return (talk, said.0, said.1)
    }
}

struct ReassemblerTests {
    @Test(arguments: 0..<200)
    func `cutting, reordering, repeating and overlapping the same bytes changes nothing`(_ seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        let start: UInt32 = seed % 3 == 0 ? .max - 200 : UInt32(seed)
        let (talk, client, server) = Conversation.dialogue(40, start: start, &random)
        var items = Array(talk.items.prefix(3))
        for item in talk.items.dropFirst(3) {
            guard item.payload.count > 1 else {
                items.append(item)
                continue
            }
            // Two overlapping halves, sometimes twice.
            let cut = Int.random(in: 1..<item.payload.count, using: &random)
            let back = Int.random(in: 0...cut, using: &random)
            for range in [0..<cut, cut - back..<item.payload.count] {
                var part = item
                part.payload = Array(item.payload[range])
                part.segment.sequence &+= UInt32(range.lowerBound)
                part.segment.captured = Int32(range.count)
                part.segment.announced = Int32(range.count)
                items.append(part)
                if Bool.random(using: &random) { items.append(part) }
            }
        }
        var index = 3
        while index + 5 < items.count {
            if Int.random(in: 0..<3, using: &random) == 0 {
                items.swapAt(index, index + Int.random(in: 1...4, using: &random))
            }
            index += 1
        }
        let (collector, counters) = Conversation.run(items)
        #expect(collector.client == client, "seed \(seed)")
        #expect(collector.server == server, "seed \(seed)")
        #expect(collector.gaps.isEmpty && counters.gaps == 0)
        #expect(collector.opened == 1)
    }

    @Test func `a reply never overtakes its request`() {
        var random = SplitMix64(seed: 1)
        var (talk, _, _) = Conversation.dialogue(10, start: 9, &random)
        talk.items.swapAt(3, 4)
        let (collector, _) = Conversation.run(talk.items)
        #expect(collector.order.prefix(4) == [.client, .server, .client, .server])
    }

    @Test func `acknowledged bytes that never come are a gap of their size`() {
        var random = SplitMix64(seed: 2)
        let (talk, client, server) = Conversation.dialogue(400, start: 9, &random)
        var items = talk.items
        let lost = items.remove(at: 23)
        let (collector, counters) = Conversation.run(items)
        #expect(collector.gaps == [lost.payload.count])
        #expect(counters.gapBytes == UInt64(lost.payload.count))
        #expect(collector.client.count + collector.server.count == client.count + server.count - lost.payload.count)
    }

    @Test func `a segment cut by the snap length is a gap, not an end`() {
        var talk = Conversation()
        talk.open()
        talk.send(.client, Array("0123456789".utf8))
        talk.items[3].segment.captured = 4
        talk.items[3].payload = Array("0123".utf8)
        talk.send(.client, Array("abc".utf8))
        let (collector, counters) = Conversation.run(talk.items)
        #expect(collector.client == Array("0123abc".utf8))
        #expect(collector.gaps == [6])
        #expect(counters.truncated == 1)
    }

    @Test func `resets and data out of the window are noise`() {
        var random = SplitMix64(seed: 3)
        let (talk, client, server) = Conversation.dialogue(30, start: 5, &random)
        var items = talk.items
        var noise = Conversation()
        let reset = noise.make(.server, [], .rst, sequence: 0xDEAD_BEEF)
        let stray = noise.make(.client, [1, 2, 3], .ack, sequence: 0x7000_0000)
        items.insert(contentsOf: [reset, stray], at: 12)
        let (collector, counters) = Conversation.run(items)
        #expect(collector.client == client && collector.server == server)
        #expect(counters.outOfWindow == 2)
    }

    @Test func `keep-alive bytes are not delivered`() {
        var talk = Conversation()
        talk.open()
        talk.send(.client, [1, 2, 3])
        talk.items.append(talk.make(.client, [99], .ack, sequence: talk.clientNext &- 1))
        talk.send(.client, [4])
        let (collector, counters) = Conversation.run(talk.items)
        #expect(collector.client == [1, 2, 3, 4])
        #expect(counters.keepAlives == 1)
    }

    @Test func `the first copy of conflicting bytes wins and the conflict is counted`() {
        var talk = Conversation()
        talk.open()
        let start = talk.clientNext
        talk.items.append(talk.make(.client, [7, 8], .ack, sequence: start &+ 2))
        talk.items.append(talk.make(.client, [9, 9], .ack, sequence: start &+ 2))
        talk.items.append(talk.make(.client, [5, 6], .ack, sequence: start))
        let (collector, counters) = Conversation.run(talk.items)
        #expect(collector.client == [5, 6, 7, 8])
        #expect(counters.conflicts == 1)
    }

    @Test func `a whole connection that comes again, as a second tap saw it, is delivered once`() {
        var conversation = Conversation()
        conversation.open()
        for round in 0..<20 {
            conversation.send(.client, Array("question \(round)".utf8))
            conversation.send(.server, Array("answer \(round)".utf8))
        }
        conversation.send(.client, [], [.ack, .fin])
        conversation.send(.server, [], [.ack, .fin])
        conversation.send(.client, [])
        let (once, _) = Conversation.run(conversation.items)
        let (twice, _) = Conversation.run(conversation.items + conversation.items)
        #expect(once.opened == 1 && twice.opened == 1 && twice.closed == 1)
        #expect(twice.client == once.client && twice.server == once.server && twice.gaps.isEmpty)
    }

    @Test func `a new SYN on the same ports is a new connection`() {
        var talk = Conversation()
        talk.open()
        talk.send(.client, [1])
        (talk.clientNext, talk.serverNext) = (900_000, 800_000)
        talk.open()
        talk.send(.client, [2])
        let (collector, _) = Conversation.run(talk.items)
        #expect(collector.opened == 2)
        #expect(collector.closed == 2)
        #expect(collector.client == [1, 2])
    }

    @Test func `silent connections expire, empty ones soon, and speak again as ones joined mid-stream`() {
        var reassembler = Reassembler(serverPorts: PortSet([5432]), limits: ReassemblyLimits())
        var collector = Collector()
        var talk = Conversation()
        talk.send(.client, [], .syn)
        var slots = SlotTable<Segment>(limit: 1, blank: Segment())
        _ = slots.take()
        func play(_ item: Conversation.Item) {
            slots[0] = item.segment
            reassembler.process(slots.slot(0), item.payload.rawSpan, into: &collector)
        }
        func expire(after seconds: Int64) {
            let time = Timestamp(nanoseconds: seconds * 1_000_000_000)
            reassembler.expire(at: Moment(time: time, ordinal: 9), count: 8, into: &collector)
        }
        play(talk.items[0])
        expire(after: 59)
        #expect(collector.closed == 0)
        expire(after: 61)
        #expect(collector.closed == 1)
        talk.send(.client, [1])
        play(talk.items[1])
        expire(after: 3600)
        #expect(collector.closed == 1)
        // A clock that is set ahead by two days makes nobody silent.
        reassembler.shiftClock(by: 172_800_000_000_000)
        expire(after: 172_900)
        #expect(collector.closed == 1)
        reassembler.shiftClock(by: -172_800_000_000_000)
        expire(after: 86_500)
        #expect(collector.closed == 2)
        #expect(reassembler.counters.expired == 2)
        talk.send(.client, [2])
        play(talk.items[2])
        #expect(collector.opened == 3 && collector.client == [1, 2])
    }

    @Test func `a flood of half-open connections does not grow the table`() {
        var limits = ReassemblyLimits()
        limits.flows = 4096
        var reassembler = Reassembler(serverPorts: PortSet([5432]), limits: limits)
        var collector = Collector()
        var slots = SlotTable<Segment>(limit: 1, blank: Segment())
        _ = slots.take()
        // Sessions that were there before, and are the longest silent.
        for number in 0..<500 as Range<UInt32> {
            var segment = Segment()
            (segment.key, segment.fromLower) = FlowKey.make(
                source: Endpoint(ipv4: number, port: 2),
                destination: Conversation.server
            )
            segment.hash = segment.key.hash(.standard)
            segment.flags = .ack
            (segment.announced, segment.captured) = (1, 1)
            slots[0] = segment
            reassembler.process(slots.slot(0), [UInt8](arrayLiteral: 1).rawSpan, into: &collector)
        }
        #expect(collector.known.count == 500)
        for number in 0..<20_000 as Range<UInt32> {
            var segment = Segment()
            segment.time = Timestamp(nanoseconds: 1_000_000_000)
            (segment.key, segment.fromLower) = FlowKey.make(
                source: Endpoint(ipv4: number, port: 1),
                destination: Conversation.server
            )
            segment.hash = segment.key.hash(.standard)
            segment.flags = .syn
            slots[0] = segment
            reassembler.process(slots.slot(0), RawSpan(), into: &collector)
        }
        #expect(reassembler.flowCount <= 4096)
        #expect(reassembler.counters.evicted > 15_000)
        #expect(collector.closedKnown == 0)
    }
}
