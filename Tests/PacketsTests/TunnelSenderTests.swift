// SPDX-License-Identifier: Apache-2.0
import Domain
import Packets
import TestKit
import Testing

/// Anybody who can send a packet can put another one into it: only named senders' are looked into.
struct TunnelSenderTests {
    /// All ways to wrap a packet that the decoder knows, by the protocol of IP, whatever their network's number.
    static func inner(_ packet: [UInt8], number: UInt8) -> [(name: String, protocol: UInt8, payload: [UInt8])] {
        let frame = Frames.ethernet(packet)
        let udp = { (port: UInt16) in [0x99, 0x99] + Frames.big(port) + [0, 0, 0, 0] }
        return [
            ("VXLAN", 17, udp(4789) + [8, 0, 0, 0, 0, number, 9, 0] + frame),
            ("VXLAN on the kernel's old port", 17, udp(8472) + [8, 0, 0, 0, 0, number, 9, 0] + frame),
            ("VXLAN with more flags", 17, udp(4789) + [0x88, 0x40, 0, number, number, number, 9, 0] + frame),
            ("GENEVE", 17, udp(6081) + [0, 0, 0x65, 0x58, 0, number, 9, 0] + frame),
            ("GENEVE with options and IP", 17, udp(6081) + [1, 0, 8, 0, 0, number, 9, 0, 1, 2, 3, 4] + packet),
            ("GRE", 47, [0, 0, 8, 0] + packet),
            ("GRE with a key", 47, [0x20, 0, 8, 0, 0, 0, 0, number] + packet),
            ("GRE with Ethernet", 47, [0, 0, 0x65, 0x58] + frame),
            ("ERSPAN I", 47, [0, 0, 0x88, 0xBE] + frame),
            ("ERSPAN II", 47, [0x10, 0, 0x88, 0xBE, 0, 0, 0, number] + [UInt8](repeating: 0, count: 8) + frame),
            ("ERSPAN III", 47, [0x10, 0, 0x22, 0xEB, 0, 0, 0, number] + [UInt8](repeating: 0, count: 12) + frame),
            ("IP in IP", 4, packet),
        ]
    }

    static func ipv6(_ next: UInt8, _ payload: [UInt8], from last: UInt8) -> [UInt8] {
        let address = { (last: UInt8) in [0x20, 1, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [last] }
        return [0x60, 0, 0, 0] + Frames.big(UInt16(payload.count)) + [next, 64] + address(last) + address(1) + payload
    }

    /// Every wrapping around another one or a packet, over IPv4 (10.9.9.9) and IPv6 (2001:db8::9).
    static var outer: [(name: String, frame: [UInt8], isIPv6: Bool)] {
        inner(DecoderTests.packet, number: 7).flatMap { one in
            [
                (one.name, Frames.ipv4(protocol: one.protocol, one.payload), false),
                (one.name + " over IPv6", ipv6(one.protocol, one.payload, from: 9), true),
            ]
        }
    }

    @Test func `a tunnel is looked into if its sender was named`() {
        for (name, frame, isIPv6) in Self.outer {
            let (own, other) = isIPv6 ? ("2001:db8::9", "10.9.9.9") : ("10.9.9.9", "2001:db8::9")
            #expect(DecoderTests.decode(frame, .raw).0 == nil, "\(name)")
            #expect(DecoderTests.decode(frame, .raw, senders: []).0 == .tunnelSender, "\(name)")
            #expect(
                DecoderTests.decode(frame, .raw, senders: [other, "10.9.9.8", "10.0.0.1"]).0 == .tunnelSender,
                "\(name)"
            )
            let (reason, segment) = DecoderTests.decode(frame, .raw, senders: ["192.0.2.1", own])
            #expect(reason == nil && segment.key.upper.port == 5432, "\(name)")
            #expect(
                DecoderTests.decode(frame, .raw, senders: [isIPv6 ? "2001:db8::/64" : "10.9.0.0/16"]).0 == nil,
                "\(name)"
            )
        }
    }

    @Test func `a mirror's copy of somebody else's tunnel is not looked into`() {
        for (name, frame, isIPv6) in Self.outer where isIPv6 {
            for wrapping in Self.inner(frame, number: 1) where wrapping.protocol != 4 {
                // A frame of Ethernet here says IPv4, and some wrappings too; the version in the header decides.
                let nested = Frames.ipv4(protocol: wrapping.protocol, wrapping.payload)
                #expect(DecoderTests.decode(nested, .raw).0 != .tunnelSender, "\(name) in \(wrapping.name)")
                #expect(
                    DecoderTests.decode(nested, .raw, senders: ["10.9.9.9"]).0 != nil,
                    "\(name) in \(wrapping.name)"
                )
            }
            let nested = Frames.ipv4(protocol: 41, frame)
            #expect(DecoderTests.decode(nested, .raw).0 == nil, "\(name)")
            #expect(DecoderTests.decode(nested, .raw, senders: ["10.9.9.9"]).0 == .tunnelSender, "\(name)")
            #expect(DecoderTests.decode(nested, .raw, senders: ["10.9.9.9", "2001:db8::9"]).0 == nil, "\(name)")
        }
    }

    @Test func `packets without a tunnel need no name, and other datagrams stay what they are`() {
        #expect(DecoderTests.decode(Frames.ethernet(DecoderTests.packet), senders: []).0 == nil)
        #expect(DecoderTests.decode(DecoderTests.packet, .raw, senders: []).0 == nil)
        let other = Frames.ipv4(protocol: 17, [0, 53, 0, 53] + [UInt8](repeating: 0, count: 20))
        #expect(DecoderTests.decode(other, .raw, senders: []).0 == .notTCP)
        #expect(DecoderTests.decode(Frames.ipv4(protocol: 1, [8, 0, 0, 0]), .raw, senders: []).0 == .notTCP)
    }

    @Test func `fragments of others take no room from those that are looked into`() {
        let named = AddressRanges([AddressRange("10.9.9.9")].compactMap { $0 })
        var decoder = PacketDecoder(ports: PortSet([5432]), hash: .standard, tunnelSenders: named)
        func take(
            _ sender: UInt32,
            _ identity: UInt16,
            _ place: UInt16,
            _ isLast: Bool,
            _ payload: ArraySlice<UInt8>
        ) -> IgnoredReason? {
            let header =
                [0x45, 0] + Frames.big(UInt16(20 + payload.count)) + Frames.big(identity)
                + Frames.big((isLast ? 0 : 0x2000) | place / 8) + [64, 17, 0, 0] + Frames.big(sender) + [10, 0, 0, 1]
            let frame = header + payload
            var segment = Segment()
            return decoder.decode(frame.rawSpan, link: .raw, length: frame.count, at: .epoch, into: &segment)
        }
        let whole = Self.inner(DecoderTests.packet, number: 7)[0].payload
        #expect(take(0x0A09_0909, 1, 0, false, whole[..<48]) == .fragment)
        // More datagrams than there is room for.
        for identity in 0..<1000 as Range<UInt16> {
            #expect(take(0x0A09_0942, identity, 0, false, whole[..<48]) == .fragment)
        }
        #expect(take(0x0A09_0909, 1, 48, true, whole[48...]) == nil)
        #expect(decoder.fragmentCounts.abandoned == 0)
    }
}
