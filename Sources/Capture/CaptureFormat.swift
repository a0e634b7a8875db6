// SPDX-License-Identifier: Apache-2.0
import Domain

/// What a record of a capture file is.
enum RecordKind {
    case packet
    /// A block without a packet: comments, statistics, names.
    case other
    case damaged
}

/// The two file formats.
///
/// Both tell a record's length from its first bytes.
enum CaptureFormat {
    case pcap(Pcap)
    case pcapng(PcapNG)

    /// Tells the format from the first 24 bytes of a file; `nil` when it is none.
    init?(header: RawSpan) {
        if header.byteCount >= 12, header.bigEndian32(at: 0) == 0x0A0D_0D0A {
            let order = header.bigEndian32(at: 8)
            guard order == 0x1A2B_3C4D || order == 0x4D3C_2B1A else { return nil }
            self = .pcapng(PcapNG())
            return
        }
        guard let pcap = Pcap(header: header) else { return nil }
        self = .pcap(pcap)
    }

    /// Bytes of the file header that are no record; pcapng has none.
    var headerLength: Int {
        if case .pcap = self { return 24 }
        return 0
    }

    /// How many bytes the record at `offset` takes, as far as can be told: never more than is needed to tell more.
    ///
    /// 0 or less: it cannot be a record.
    func recordLength(_ bytes: RawSpan, at offset: Int) -> Int {
        switch self {
        case .pcap(let format): format.recordLength(bytes, at: offset)
        case .pcapng(let format): format.blockLength(bytes, at: offset)
        }
    }

    mutating func decode(_ bytes: RawSpan, at offset: Int, length: Int, _ record: inout CaptureRecord) -> RecordKind {
        switch self {
        case .pcap(let format):
            return format.decode(bytes, at: offset, length: length, &record)
        case .pcapng(var format):
            self = .pcapng(PcapNG())  // leave no second reference behind
            let kind = format.decode(bytes, at: offset, length: length, &record)
            self = .pcapng(format)
            return kind
        }
    }
}

/// The classic format (draft-ietf-opsawg-pcap).
struct Pcap {
    private let isBig: Bool
    private let nanosecondsPerUnit: Int64
    private let recordHeader: Int
    private let linkType: UInt16

    init?(header: RawSpan) {
        guard header.byteCount >= 24 else { return nil }
        switch header.bigEndian32(at: 0) {
        case 0xA1B2_C3D4: (isBig, nanosecondsPerUnit, recordHeader) = (true, 1000, 16)
        case 0xD4C3_B2A1: (isBig, nanosecondsPerUnit, recordHeader) = (false, 1000, 16)
        case 0xA1B2_3C4D: (isBig, nanosecondsPerUnit, recordHeader) = (true, 1, 16)
        case 0x4D3C_B2A1: (isBig, nanosecondsPerUnit, recordHeader) = (false, 1, 16)
        // Alexey Kuznetsov's patched libpcap: eight more bytes a record.
        case 0xA1B2_CD34: (isBig, nanosecondsPerUnit, recordHeader) = (true, 1000, 24)
        case 0x34CD_B2A1: (isBig, nanosecondsPerUnit, recordHeader) = (false, 1000, 24)
        default: return nil
        }
        // The upper half holds the length of the frame check sequence.
        linkType = UInt16(
            truncatingIfNeeded: isBig ? header.bigEndian32(at: 20) : header.littleEndian32(at: 20)
        )
    }

    @inline(__always)
    private func number(_ bytes: RawSpan, at offset: Int) -> UInt32 {
        isBig ? bytes.bigEndian32(at: offset) : bytes.littleEndian32(at: offset)
    }

    func recordLength(_ bytes: RawSpan, at offset: Int) -> Int {
        guard bytes.byteCount &- offset >= recordHeader else { return recordHeader }
        return recordHeader &+ Int(number(bytes, at: offset &+ 8))
    }

    func decode(_ bytes: RawSpan, at offset: Int, length: Int, _ record: inout CaptureRecord) -> RecordKind {
        let seconds = Int64(number(bytes, at: offset))
        let fraction = Int64(number(bytes, at: offset &+ 4))
        record.time = Timestamp(nanoseconds: seconds &* 1_000_000_000 &+ fraction &* nanosecondsPerUnit)
        record.offset = offset &+ recordHeader
        record.captured = length &- recordHeader
        record.length = max(Int(number(bytes, at: offset &+ 12)), record.captured)
        record.linkType = linkType
        return .packet
    }
}
