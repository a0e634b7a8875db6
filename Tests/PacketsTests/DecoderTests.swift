// SPDX-License-Identifier: Apache-2.0
import Domain
import Packets
import TestKit
import Testing

struct DecoderTests {
    static let packet = Frames.ipv4(from: (0x0A00_0001, 40_000), to: (0x0A00_0002, 5432), payload: Array("hello".utf8))

    static func decode(
        _ frame: [UInt8],
        _ link: LinkType = .ethernet,
        ports: [UInt16] = [5432],
        length: Int? = nil,
        senders: [String]? = nil
    ) -> (IgnoredReason?, Segment) {
        let named = senders.map { AddressRanges($0.compactMap { AddressRange($0) }) }
        var decoder = PacketDecoder(ports: PortSet(ports), hash: .standard, tunnelSenders: named)
        var segment = Segment()
        let reason = decoder.decode(
            frame.rawSpan,
            link: link,
            length: length ?? frame.count,
            at: .epoch,
            into: &segment
        )
        return (reason, segment)
    }

    static let wrapped: [(String, LinkType, [UInt8])] = [
        ("Ethernet", .ethernet, Frames.ethernet(packet)),
        ("a VLAN tag", .ethernet, Frames.ethernet(0x8100, [0, 7, 8, 0] + packet)),
        ("QinQ", .ethernet, Frames.ethernet(0x88A8, [0, 1, 0x81, 0, 0, 7, 8, 0] + packet)),
        ("MPLS", .ethernet, Frames.ethernet(0x8847, [0, 1, 0, 64, 0, 2, 1, 64] + packet)),
        ("PPPoE", .ethernet, Frames.ethernet(0x8864, [0x11, 0, 0, 1, 0, 60, 0, 0x21] + packet)),
        ("raw IP", .raw, packet), ("null", .null, [2, 0, 0, 0] + packet), ("loop", .loop, [0, 0, 0, 2] + packet),
        ("cooked", .linuxCooked, [UInt8](repeating: 0, count: 14) + [8, 0] + packet),
        ("cooked v2", .linuxCooked2, [8, 0] + [UInt8](repeating: 0, count: 18) + packet),
        (
            "NFLOG", .nflog,
            [2, 0, 0, 5, 8, 0, 1, 0, 8, 0, 3, 0, 4, 0, 9, 0].dropLast(4) + [UInt8(packet.count + 4), 0, 9, 0] + packet
        ),
        ("IPIP", .raw, Frames.ipv4(protocol: 4, packet)),
        ("GRE", .raw, Frames.ipv4(protocol: 47, [0, 0, 8, 0] + packet)),
        (
            "GRE with key and sequence", .raw,
            Frames.ipv4(protocol: 47, [0x30, 0, 8, 0, 0, 0, 0, 1, 0, 0, 0, 2] + packet)
        ),
        (
            "ERSPAN II", .raw,
            Frames.ipv4(
                protocol: 47,
                [0x10, 0, 0x88, 0xBE, 0, 0, 0, 1] + [UInt8](repeating: 0x10, count: 8) + Frames.ethernet(packet)
            )
        ),
        (
            "VXLAN", .raw,
            Frames.ipv4(
                protocol: 17,
                [0x99, 0x99, 0x12, 0xB5, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 9, 0] + Frames.ethernet(packet)
            )
        ),
        (
            "GENEVE", .raw,
            Frames.ipv4(
                protocol: 17,
                [0x99, 0x99, 0x17, 0xC1, 0, 0, 0, 0, 1, 0, 0x65, 0x58, 0, 0, 9, 0, 1, 2, 3, 4] + Frames.ethernet(packet)
            )
        ),
        ("two tunnels", .raw, Frames.ipv4(protocol: 47, [0, 0, 8, 0] + Frames.ipv4(protocol: 4, packet))),
    ]

    @Test(arguments: wrapped)
    func `finds the segment inside`(_ name: String, _ link: LinkType, _ frame: [UInt8]) {
        let (reason, segment) = Self.decode(frame, link)
        #expect(reason == nil, "\(name)")
        #expect(segment.announced == 5)
        let start = segment.payloadOffset
        #expect(Array(frame[start..<min(frame.count, start + 5)]) == Array("hello".utf8), "\(name)")
    }

    @Test(arguments: wrapped)
    func `a frame cut anywhere is survived and never invents bytes`(_ name: String, _ link: LinkType, _ frame: [UInt8])
    {
        for count in 0..<frame.count {
            let (reason, segment) = Self.decode(Array(frame.prefix(count)), link, length: frame.count)
            guard reason == nil else { continue }
            #expect(segment.announced == 5)
            #expect(segment.payloadOffset + Int(segment.captured) <= count)
        }
    }

    @Test func `trailers behind the IP length are no payload`() {
        #expect(Self.decode(Frames.ethernet(Self.packet + [1, 2, 3])).1.announced == 5)
    }

    @Test func `an IP length of 0 reaches to the end of the frame`() {
        let frame = Frames.ethernet(
            Frames.ipv4(from: (1, 9), to: (2, 5432), payload: [UInt8](repeating: 1, count: 99), totalLength: 0)
        )
        #expect(Self.decode(frame).1.announced == 99)
    }

    @Test func `IPv6 with extension headers is read`() {
        let segment = Frames.tcp(40_000, 5432, 1, 0, 0x18, Array("hello".utf8))
        let extensions: [UInt8] = [60, 0, 0, 0, 0, 0, 0, 0, 6, 1] + [UInt8](repeating: 0, count: 14)
        let header = [0x60, 0, 0, 0] + Frames.big(UInt16(segment.count + extensions.count)) + [0, 64]
        let addresses = [UInt8](repeating: 0xFD, count: 16) + [UInt8](repeating: 0xFE, count: 16)
        #expect(Self.decode(header + addresses + extensions + segment, .raw).0 == nil)
    }

    @Test func `other ports and protocols are told apart`() {
        #expect(Self.decode(Frames.ethernet(Self.packet), ports: [80]).0 == .otherPort)
        #expect(Self.decode(Frames.ethernet(Frames.ipv4(protocol: 1, [8, 0, 0, 0]))).0 == .notTCP)
        #expect(Self.decode(Frames.ethernet(0x0806, [0, 1])).0 == .notIP)
        var nested = Self.packet
        for _ in 0..<6 { nested = Frames.ipv4(protocol: 4, nested) }
        #expect(Self.decode(nested, .raw).0 == .tunnelDepth)
    }

    @Test func `fragments in any order become the datagram`() {
        let whole = Frames.ipv4(from: (1, 9), to: (2, 5432), payload: (0..<100).map { UInt8($0) })
        let body = Array(whole.dropFirst(20))
        let cuts = [0..<48, 48..<96, 96..<body.count]
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            var decoder = PacketDecoder(ports: PortSet([5432]), hash: .standard)
            var segment = Segment()
            var reasons: [IgnoredReason?] = []
            for index in order {
                let more: UInt16 = index == 2 ? 0 : 0x2000
                let header =
                    [0x45, 0] + Frames.big(UInt16(20 + cuts[index].count)) + [0, 7]
                    + Frames.big(more | UInt16(cuts[index].lowerBound / 8)) + [64, 6, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2]
                let frame = header + body[cuts[index]]
                reasons.append(
                    decoder.decode(frame.rawSpan, link: .raw, length: frame.count, at: .epoch, into: &segment)
                )
            }
            #expect(reasons == [.fragment, .fragment, nil])
            #expect(segment.isFromFragments)
            #expect(segment.announced == 100)
            #expect(decoder.reassembled.byte(at: segment.payloadOffset + 99) == 99)
        }
    }
}
