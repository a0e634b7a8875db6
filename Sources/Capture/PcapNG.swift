// SPDX-License-Identifier: Apache-2.0
import Domain

/// The next-generation format (draft-ietf-opsawg-pcapng): sections of blocks, each with its interfaces.
struct PcapNG {
    private struct Interface {
        var linkType: UInt16
        var snapLength: Int
        /// Time stamps count `1 / 10^n` or `1 / 2^n` seconds.
        var isBinary = false
        var exponent: UInt8 = 6
        var offsetSeconds: Int64 = 0
    }

    /// More interfaces than any machine has are damage.
    private static let mostInterfaces = 65_536

    private var isBig = false
    private var interfaces: [Interface] = []
    private var lastTime = Timestamp.epoch

    private enum BlockType {
        static let section: UInt32 = 0x0A0D_0D0A
        static let interface: UInt32 = 1
        static let oldPacket: UInt32 = 2
        static let simplePacket: UInt32 = 3
        static let enhancedPacket: UInt32 = 6
    }

    private func number32(_ bytes: RawSpan, _ offset: Int) -> UInt32 {
        isBig ? bytes.bigEndian32(at: offset) : bytes.littleEndian32(at: offset)
    }

    private func number16(_ bytes: RawSpan, _ offset: Int) -> UInt16 {
        isBig ? bytes.bigEndian16(at: offset) : bytes.littleEndian16(at: offset)
    }

    func blockLength(_ bytes: RawSpan, at offset: Int) -> Int {
        guard bytes.byteCount - offset >= 12 else { return 12 }
        var big = isBig
        if bytes.bigEndian32(at: offset) == BlockType.section {
            // A section header says its own byte order.
            switch bytes.bigEndian32(at: offset + 8) {
            case 0x1A2B_3C4D: big = true
            case 0x4D3C_2B1A: big = false
            default: return 0
            }
        }
        let length = Int(big ? bytes.bigEndian32(at: offset + 4) : bytes.littleEndian32(at: offset + 4))
        return length < 12 ? 0 : (length + 3) & ~3
    }

    mutating func decode(_ bytes: RawSpan, at offset: Int, length: Int, _ record: inout CaptureRecord) -> RecordKind {
        if bytes.bigEndian32(at: offset) == BlockType.section {
            guard length >= 28 else { return .damaged }
            isBig = bytes.bigEndian32(at: offset + 8) == 0x1A2B_3C4D
            interfaces.removeAll()
            return .other
        }
        let body = offset + 8
        let end = offset + length - 4
        switch number32(bytes, offset) {
        case BlockType.interface:
            guard end - body >= 8, interfaces.count < Self.mostInterfaces else { return .damaged }
            interfaces.append(interface(bytes, body, end))
            return .other
        case BlockType.enhancedPacket:
            guard end - body >= 20 else { return .damaged }
            return packet(bytes, interface: Int(number32(bytes, body)), header: body + 4, end: end, &record)
        case BlockType.oldPacket:
            guard end - body >= 20 else { return .damaged }
            return packet(bytes, interface: Int(number16(bytes, body)), header: body + 4, end: end, &record)
        case BlockType.simplePacket:
            guard end - body >= 4, let first = interfaces.first else { return .damaged }
            record.length = Int(number32(bytes, body))
            let limit = first.snapLength == 0 ? record.length : min(first.snapLength, record.length)
            record.captured = min(limit, end - body - 4)
            record.offset = body + 4
            record.time = lastTime
            record.linkType = first.linkType
            return .packet
        default:
            return .other
        }
    }

    private func interface(_ bytes: RawSpan, _ body: Int, _ end: Int) -> Interface {
        var interface = Interface(linkType: number16(bytes, body), snapLength: Int(number32(bytes, body + 4)))
        var option = body + 8
        while option + 4 <= end {
            let code = number16(bytes, option)
            let length = Int(number16(bytes, option + 2))
            guard code != 0, option + 4 + length <= end else { break }
            if code == 9, length >= 1 {  // if_tsresol
                let value = bytes.byte(at: option + 4)
                interface.isBinary = value & 0x80 != 0
                interface.exponent = value & 0x7F
            } else if code == 14, length >= 8 {  // if_tsoffset
                let big = bytes.bigEndian64(at: option + 4)
                interface.offsetSeconds = Int64(bitPattern: isBig ? big : big.byteSwapped)
            }
            option += 4 + (length + 3) & ~3
        }
        return interface
    }

    private mutating func packet(
        _ bytes: RawSpan,
        interface index: Int,
        header: Int,
        end: Int,
        _ record: inout CaptureRecord
    ) -> RecordKind {
        guard index < interfaces.count else { return .damaged }
        let interface = interfaces[index]
        let ticks = UInt64(number32(bytes, header)) << 32 | UInt64(number32(bytes, header + 4))
        let captured = Int(number32(bytes, header + 8))
        guard captured <= end - header - 16 else { return .damaged }
        record.captured = captured
        record.length = max(Int(number32(bytes, header + 12)), captured)
        record.offset = header + 16
        record.time = Self.time(ticks, interface)
        record.linkType = interface.linkType
        lastTime = record.time
        return .packet
    }

    private static func time(_ ticks: UInt64, _ interface: Interface) -> Timestamp {
        var nanoseconds: UInt64
        if interface.isBinary {
            let shift = UInt64(min(interface.exponent, 63))
            let seconds = ticks >> shift
            let fraction = ticks & ((1 << shift) &- 1)
            let scaled = fraction.multipliedFullWidth(by: 1_000_000_000)
            let part = shift == 0 ? 0 : scaled.high << (64 - shift) | scaled.low >> shift
            nanoseconds = seconds &* 1_000_000_000 &+ part
        } else {
            nanoseconds = ticks
            var exponent = interface.exponent
            while exponent < 9 {
                nanoseconds = nanoseconds &* 10
                exponent += 1
            }
            while exponent > 9, nanoseconds > 0 {
                nanoseconds /= 10
                exponent -= 1
            }
        }
        let whole = Int64(truncatingIfNeeded: nanoseconds)
        return Timestamp(nanoseconds: whole &+ interface.offsetSeconds &* 1_000_000_000)
    }
}
