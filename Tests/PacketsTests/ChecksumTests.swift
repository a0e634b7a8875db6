// SPDX-License-Identifier: Apache-2.0
import Domain
import Packets
import TestKit
import Testing

struct ChecksumTests {
    /// The sum of 16-bit numbers as RFC 1071 defines it, word by word.
    static func sum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for place in stride(from: 0, to: bytes.count, by: 2) {
            sum += UInt32(bytes[place]) << 8 | (place + 1 < bytes.count ? UInt32(bytes[place + 1]) : 0)
            sum = (sum & 0xFFFF) + sum >> 16
        }
        return UInt16(sum)
    }

    /// A packet of a client with a checksum of its own, and how it lies in a frame.
    static func packet(
        _ isSix: Bool,
        _ payload: [UInt8],
        _ checksum: (_ pseudo: UInt16, _ whole: UInt16) -> UInt16
    )
        -> [UInt8]
    {
        var segment = Frames.tcp(40_000, 5432, 0xFEDC_BA98, 7, 0x18, payload)
        let addresses: [UInt8] =
            isSix
            ? [0xFD] + (1...30).map { UInt8(200 + $0) } + [1] : [10, 99, 255, 254, 10, 99, 0, 1]
        let pseudo = addresses + Frames.big(UInt32(segment.count)) + [0, 0, 0, 6]
        segment.replaceSubrange(16..<18, with: Frames.big(checksum(sum(pseudo), sum(pseudo + segment))))
        let head: [UInt8] =
            isSix
            ? [0x60, 0, 0, 0] + Frames.big(UInt16(segment.count)) + [6, 64]
            : [0x45, 0] + Frames.big(UInt16(20 + segment.count)) + [0, 1, 0, 0, 64, 6, 0, 0]
        return Frames.ethernet(isSix ? 0x86DD : 0x0800, head + addresses + segment)
    }

    @Test(arguments: [false, true], 1...70)
    func `checksums are read as they are meant`(_ isSix: Bool, _ count: Int) {
        var random = SplitMix64(seed: UInt64(count))
        let payload = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
        let whole = Self.packet(isSix, payload) { ~$1 }
        #expect(DecoderTests.decode(whole).1.checksum == .whole)
        #expect(DecoderTests.decode(Self.packet(isSix, payload) { pseudo, _ in pseudo }).1.checksum == .partial)
        #expect(DecoderTests.decode(Self.packet(isSix, payload) { ~$1 ^ 0x100 }).1.checksum == .wrong)
        // In any place one byte more or less shows, and what was cut tells nothing.
        var other = whole
        other[whole.count - 1 - count / 2] ^= 0x40
        #expect(DecoderTests.decode(other).1.checksum == .wrong)
        #expect(DecoderTests.decode(Array(whole.dropLast()), length: whole.count).1.checksum == .unknown)
        // Trailers are no part of it, and what servers send is not looked at.
        #expect(DecoderTests.decode(whole + [9, 9]).1.checksum == .whole)
        #expect(DecoderTests.decode(whole, ports: [40_000]).1.checksum == .unknown)
    }

    /// Every addition carries, and the last of several may carry twice.
    @Test(arguments: [UInt8(0xFF), 0xFE, 0x80, 0])
    func `no carry is lost`(_ byte: UInt8) {
        for count in [1, 7, 8, 20, 31, 32, 33, 44, 63, 64, 65, 1000, 1448, 9000, 65_400] {
            var payload = [UInt8](repeating: byte, count: count)
            for last: UInt8 in [byte, 1] {
                payload[count - 1] = last
                #expect(DecoderTests.decode(Self.packet(false, payload) { ~$1 }).1.checksum == .whole)
                #expect(DecoderTests.decode(Self.packet(false, payload) { ~$1 &- 1 }).1.checksum != .whole)
            }
        }
    }

    @Test func `options are found wherever they stand`() {
        func syn(_ options: [UInt8], cut: Int = 0) -> Segment {
            var tcp = Frames.tcp(40_000, 5432, 1, 0, 2, [])
            tcp[12] = UInt8((20 + options.count) / 4) << 4
            let length = UInt16(40 + options.count)
            let packet = [0x45, 0] + Frames.big(length) + [0, 1, 0, 0, 64, 6, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2]
            let frame = Frames.ethernet(packet + tcp + options)
            return DecoderTests.decode(Array(frame.dropLast(cut)), length: frame.count).1
        }
        let usual: [UInt8] = [2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7]
        #expect(syn(usual).windowShift == 7 && syn(usual).timestamp == 0x0102_0304)
        #expect(syn([]).windowShift == 0 && !syn([]).hasTimestamp)
        #expect(syn([3, 3, 200, 0]).windowShift == 14)
        #expect(syn(usual, cut: 1).windowShift == 14 && syn(usual, cut: 1).hasTimestamp)
        // Lengths that lie end the list.
        for broken: [UInt8] in [[8, 0, 3, 3], [8, 1, 3, 3], [3, 40, 1, 1], [8, 10, 1, 1], [0, 3, 3, 7]] {
            #expect(syn(broken).windowShift == 0 && !syn(broken).hasTimestamp)
        }
    }
}
