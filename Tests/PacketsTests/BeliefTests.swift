// SPDX-License-Identifier: Apache-2.0
import Domain
import Packets
import TestKit
import Testing

/// What a server's kernel refuses is not read, and what it takes is, whatever stands beside it.
struct BeliefTests {
    /// Sequence numbers at which connections begin: some wrap soon.
    static let starts: [UInt32] = [1000, .max - 3, .max - 20, .max - 60, 1 << 31 - 20]

    /// A connection with timestamps, windows of 1000 bytes and right checksums of the client.
    static func connection(_ start: UInt32, _ checksum: SegmentChecksum = .whole) -> Conversation {
        var talk = Conversation()
        (talk.clientNext, talk.serverNext) = (start, start &+ 5)
        talk.open()
        for index in 0..<3 { equip(&talk.items[index].segment, checksum) }
        return talk
    }

    static func equip(_ segment: inout Segment, _ checksum: SegmentChecksum = .whole) {
        (segment.window, segment.windowShift) = (1000, 0)
        segment.hasTimestamp = true
        // That of a client that was up for long, and grows with time.
        segment.timestamp = .max - 4 &+ UInt32(truncatingIfNeeded: segment.time.nanoseconds / 1_000_000)
        let isClient = (segment.key.lower == Conversation.client) == segment.fromLower
        if isClient, segment.announced > 0 || !segment.flags.isDisjoint(with: [.syn, .fin, .rst]) {
            segment.checksum = checksum
        }
    }

    /// Ways to make a segment that a kernel refuses, of one that it takes.
    static let refusals: [(String, @Sendable (inout Segment) -> Void)] = [
        ("a wrong checksum", { $0.checksum = .wrong }),
        ("the checksum of the pseudo header", { $0.checksum = .partial }),
        ("no ACK flag", { $0.flags.remove(.ack) }),
        ("an old timestamp", { $0.timestamp &-= 1000 }),
        ("a very old timestamp", { $0.timestamp &-= 1 << 31 - 1 }),
        ("an acknowledgment of what was never sent", { $0.acknowledgment &+= 1 }),
        ("one of far more", { $0.acknowledgment &+= 8_000_000 }),
        ("one of 1 GiB more", { $0.acknowledgment &+= 1 << 30 }),
        ("an old acknowledgment", { $0.acknowledgment &-= 1 << 30 + 1000 }),
    ]

    static func add(_ talk: inout Conversation, _ side: Direction, _ payload: String, _ flags: TCPFlags = .ack) {
        talk.send(side, Array(payload.utf8), flags)
        equip(&talk.items[talk.items.count - 1].segment)
    }

    static func slip(_ talk: inout Conversation, _ payload: String, at: UInt32, _ spoil: (inout Segment) -> Void) {
        var item = talk.make(.client, Array(payload.utf8), .ack, sequence: at)
        equip(&item.segment)
        spoil(&item.segment)
        talk.items.append(item)
    }

    @Test(arguments: starts, refusals.indices)
    func `bytes that come first in a segment that is refused are not read`(_ start: UInt32, _ way: Int) {
        let (name, spoil) = Self.refusals[way]
        var talk = Self.connection(start)
        for round in 0..<4 {
            Self.slip(&talk, "fake \(round)", at: talk.clientNext, spoil)
            if round == 2 { Self.slip(&talk, "fakes", at: talk.clientNext &+ 3, spoil) }
            Self.add(&talk, .client, "real \(round)")
            Self.add(&talk, .server, "done \(round)")
        }
        let (collector, counters) = Conversation.run(talk.items)
        #expect(collector.client == Array("real 0real 1real 2real 3".utf8), "\(name) at \(start)")
        #expect(collector.server == Array("done 0done 1done 2done 3".utf8), "\(name) at \(start)")
        #expect(collector.gaps.isEmpty && collector.opened == 1, "\(name) at \(start)")
        #expect(counters.badChecksums + counters.refused + counters.outOfOrder > 0, "\(name) at \(start)")
    }

    @Test(arguments: starts, refusals.indices.filter { refusals[$0].0 != "no ACK flag" })
    func `what seemed refused but is acknowledged comes, and before its answer`(_ start: UInt32, _ way: Int) {
        let (name, spoil) = Self.refusals[way]
        // What acknowledges bytes never sent cannot be acknowledged itself, but if those were lost.
        guard !name.contains("more"), !name.contains("never") else { return }
        var talk = Self.connection(start)
        Self.add(&talk, .client, "first")
        Self.add(&talk, .server, "one")
        Self.slip(&talk, "second", at: talk.clientNext, spoil)
        talk.clientNext &+= 6
        Self.add(&talk, .server, "two")
        let (collector, _) = Conversation.run(talk.items)
        #expect(collector.client == Array("firstsecond".utf8), "\(name) at \(start)")
        #expect(collector.order == [.client, .server, .client, .server], "\(name) at \(start)")
        #expect(collector.gaps.isEmpty)
    }

    @Test(arguments: starts, [SegmentChecksum.whole, .partial, .wrong, .unknown])
    func `whatever all checksums of a client look like, its segments are read`(
        _ start: UInt32,
        _ checksum: SegmentChecksum
    ) {
        var talk = Self.connection(start, checksum)
        for round in 0..<4 {
            talk.send(.client, Array("ask \(round)".utf8))
            Self.equip(&talk.items[talk.items.count - 1].segment, checksum)
            Self.add(&talk, .server, "done")
        }
        let (collector, counters) = Conversation.run(talk.items)
        #expect(collector.client == Array("ask 0ask 1ask 2ask 3".utf8))
        #expect(counters.badChecksums == 0 && counters.gaps == 0)
    }

    @Test(arguments: starts)
    func `resets, FINs and SYNs that no kernel believes end nothing`(_ start: UInt32) {
        let ways: [(String, TCPFlags, UInt32, (inout Segment) -> Void)] = [
            ("RST, wrong checksum", .rst, 0, { $0.checksum = .wrong }),
            ("RST, partial checksum", [.rst, .ack], 0, { $0.checksum = .partial }),
            ("RST ahead", .rst, 1, { _ in }), ("RST behind", [.rst, .ack], 0 &- 1, { _ in }),
            ("FIN, wrong checksum", [.fin, .ack], 0, { $0.checksum = .wrong }),
            ("FIN, partial checksum", [.fin, .ack], 0, { $0.checksum = .partial }),
            ("FIN without ACK", .fin, 0, { _ in }),
            ("FIN with an old timestamp", [.fin, .ack], 0, { $0.timestamp &-= 99 }),
            ("SYN", .syn, 0, { _ in }), ("SYN behind", .syn, 0 &- 6, { _ in }),
            ("SYN far off", .syn, 1 << 30, { _ in }),
            ("SYN-ACK of the client", [.syn, .ack], 0 &- 1, { _ in }), ("SYN and FIN", [.syn, .fin], 0, { _ in }),
        ]
        for (name, flags, offset, spoil) in ways {
            var talk = Self.connection(start)
            Self.add(&talk, .client, "first")
            Self.add(&talk, .server, "one")
            var item = talk.make(.client, [], flags, sequence: talk.clientNext &+ offset)
            Self.equip(&item.segment)
            spoil(&item.segment)
            talk.items.append(item)
            // Behind the SYN a stranger's bytes, where its connection would begin.
            if flags.contains(.syn) {
                Self.slip(&talk, "other", at: talk.clientNext &+ offset &+ 1) { $0.checksum = .wrong }
            }
            Self.add(&talk, .client, "second")
            Self.add(&talk, .server, "two")
            let (collector, _) = Conversation.run(talk.items)
            #expect(collector.client == Array("firstsecond".utf8), "\(name) at \(start)")
            #expect(collector.server == Array("onetwo".utf8) && collector.opened == 1, "\(name) at \(start)")
            #expect(collector.gaps.isEmpty, "\(name) at \(start)")
        }
    }

    @Test(arguments: starts, [UInt32(0), 0 &- 50, 0 &- 1, 1, 0 &- (1 << 19), 1 << 30])
    func `ports used again begin a connection, wherever its numbers begin, once the server says so`(
        _ start: UInt32,
        _ offset: UInt32
    ) {
        for isEnded in [true, false] {
            var talk = Self.connection(start)
            Self.add(&talk, .client, "first")
            if isEnded {
                Self.add(&talk, .client, "", [.fin, .ack])
                Self.add(&talk, .server, "", [.fin, .ack])
            }
            talk.clientNext &+= offset
            talk.serverNext &+= 900_000
            let place = talk.items.count
            talk.open()
            for index in place..<place + 3 { Self.equip(&talk.items[index].segment) }
            Self.add(&talk, .client, "second")
            Self.add(&talk, .server, "done")
            // The same once more, as a second tap saw it: its numbers are those of a connection that is known.
            talk.items += talk.items[place..<place + 4]
            Self.add(&talk, .client, "third")
            let (collector, _) = Conversation.run(talk.items)
            #expect(collector.client == Array("firstsecondthird".utf8), "\(start) + \(offset)")
            #expect(collector.opened == 2 && collector.closed == 2 && collector.gaps.isEmpty, "\(start) + \(offset)")
        }
    }

    /// Acknowledgments from which a kernel learns nothing.
    static let deaf: [(String, @Sendable (inout Segment) -> Void)] = [
        ("a wrong checksum", { $0.checksum = .wrong }),
        ("bytes that were acknowledged", { $0.sequence &-= 1 }),
        ("no ACK flag", { $0.flags.remove(.ack) }),
    ]

    @Test(arguments: starts, deaf.indices)
    func `an acknowledgment that is dropped moves no clock and no number`(_ start: UInt32, _ way: Int) {
        let (name, spoil) = Self.deaf[way]
        for step in [2, 1000, 1 << 20, 1 << 30] as [UInt32] {
            var talk = Self.connection(start)
            Self.add(&talk, .client, "first")
            Self.add(&talk, .server, "one")
            Self.slip(&talk, "", at: talk.clientNext) { segment in
                segment.timestamp &+= step
                spoil(&segment)
            }
            // Older than the last one by more than half of all, seen from the one that was dropped.
            Self.slip(&talk, "fake", at: talk.clientNext) { $0.timestamp &-= 1 << 31 - 9 }
            Self.add(&talk, .client, "real")
            Self.add(&talk, .server, "two")
            let (collector, counters) = Conversation.run(talk.items)
            #expect(collector.client == Array("firstreal".utf8), "\(name), \(step)")
            #expect(counters.refused <= 2 && collector.gaps.isEmpty, "\(name), \(step)")
        }
    }

    @Test(arguments: starts)
    func `a window's end is kept, and probes behind it are read once they are acknowledged`(_ start: UInt32) {
        var talk = Self.connection(start)
        Self.add(&talk, .client, String(repeating: "a", count: 600))
        Self.add(&talk, .server, "one")
        talk.items[talk.items.count - 1].segment.window = 0
        // Out of order and in order, behind the end of 1000 bytes from the start.
        Self.slip(&talk, "fake", at: talk.clientNext &+ 500) { _ in }
        Self.add(&talk, .client, String(repeating: "b", count: 400))
        Self.slip(&talk, "z", at: talk.clientNext) { _ in }
        Self.add(&talk, .server, "two")
        Self.add(&talk, .client, "real")
        Self.add(&talk, .server, "three")
        let (collector, counters) = Conversation.run(talk.items)
        #expect(collector.client.suffix(4) == Array("real".utf8), "\(start)")
        #expect(collector.client.count == 1004 && collector.gaps.isEmpty && counters.outOfWindow == 2, "\(start)")
    }

    @Test(arguments: starts)
    func `a connection that goes on after its end was seen is opened again, and what was lost is told`(_ start: UInt32)
    {
        var talk = Self.connection(start)
        Self.add(&talk, .client, "first")
        Self.add(&talk, .client, "", .rst)
        talk.clientNext &+= 100
        Self.add(&talk, .server, "alive")
        Self.add(&talk, .client, "second")
        let (collector, counters) = Conversation.run(talk.items)
        #expect(collector.opened == 2 && counters.reopened == 1 && collector.gaps == [100])
        #expect(collector.client == Array("firstsecond".utf8) && collector.server == Array("alive".utf8))
    }

    @Test(arguments: starts)
    func `what stands beside urgent data is missing, and the urgent byte is no part of the stream`(_ start: UInt32) {
        for place in 1...6 as ClosedRange<UInt16> {
            var talk = Self.connection(start)
            Self.add(&talk, .client, "first")
            talk.send(.client, Array("hel!lo".utf8), [.ack, .urg])
            Self.equip(&talk.items[talk.items.count - 1].segment)
            talk.items[talk.items.count - 1].segment.urgent = place
            Self.add(&talk, .server, "done")
            Self.add(&talk, .client, "third")
            let (collector, counters) = Conversation.run(talk.items)
            #expect(collector.client == Array("firstthird".utf8) && counters.gapBytes == 5 && counters.conflicts == 1)
        }
    }

    @Test(arguments: starts)
    func `behind a hole a FIN ends the stream, and the answers come too`(_ start: UInt32) {
        var talk = Self.connection(start)
        Self.add(&talk, .client, "first")
        let hole = talk.items.count
        Self.add(&talk, .client, String(repeating: "x", count: 500))
        Self.add(&talk, .client, "third", [.fin, .ack])
        Self.add(&talk, .server, "one")
        Self.add(&talk, .server, "two", [.fin, .ack])
        talk.items.remove(at: hole)
        let (collector, counters) = Conversation.run(talk.items)
        #expect(collector.client == Array("firstthird".utf8) && collector.server == Array("onetwo".utf8))
        #expect(counters.gapBytes == 500 && collector.gaps == [500])
    }

    @Test func `of different bytes for one place, those of the segment that begins first are taken`() {
        var talk = Self.connection(7)
        Self.slip(&talk, "FAKE", at: talk.clientNext &+ 2) { _ in }
        Self.add(&talk, .client, "realreal")
        // A part of what is held; and what is held, as a part.
        Self.slip(&talk, "held", at: talk.clientNext &+ 4) { _ in }
        Self.slip(&talk, "XX", at: talk.clientNext &+ 5) { _ in }
        Self.slip(&talk, "YY", at: talk.clientNext &+ 10) { _ in }
        Self.slip(&talk, "Xmore", at: talk.clientNext &+ 9) { _ in }
        Self.add(&talk, .client, "real")
        let (collector, counters) = Conversation.run(talk.items)
        #expect(collector.client == Array("realrealrealheldXmore".utf8) && counters.conflicts == 3)
        #expect(collector.gaps == [1])
    }

    @Test func `where nobody can tell which of two bytes a kernel took, they are missing`() {
        var talk = Self.connection(7)
        Self.slip(&talk, "ab", at: talk.clientNext &+ 2) { _ in }
        Self.slip(&talk, "cd", at: talk.clientNext &+ 4) { _ in }
        Self.slip(&talk, "xyzw", at: talk.clientNext &+ 3) { _ in }
        Self.slip(&talk, "re", at: talk.clientNext) { _ in }
        talk.clientNext &+= 7
        Self.add(&talk, .server, "done")
        let (collector, counters) = Conversation.run(talk.items)
        #expect(collector.client == Array("reabw".utf8) && counters.gapBytes == 2 && counters.conflicts == 1)
    }
}
