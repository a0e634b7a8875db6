// SPDX-License-Identifier: Apache-2.0
public import Domain

/// What a record of a capture file is.
enum RecordKind {
    case packet
    /// A block without a packet: comments, statistics, names.
    case other
    case damaged
}

/// A file's format, one of two; both tell a record's length from its first bytes.
@usableFromInline struct CaptureFormat {
    // Not an enum: taking the pcapng reader out of one would count references for every packet.
    /// The classic format's reader, if the file has that.
    @usableFromInline let pcap: Pcap?
    private var pcapng = PcapNG()

    /// Tells the format from the first 24 bytes of a file; `nil` when it is none.
    init?(header: RawSpan) {
        if header.byteCount >= 12, header.bigEndian32(at: 0) == 0x0A0D_0D0A {
            let order = header.bigEndian32(at: 8)
            guard order == 0x1A2B_3C4D || order == 0x4D3C_2B1A else { return nil }
            pcap = nil
            return
        }
        guard let pcap = Pcap(header: header) else { return nil }
        self.pcap = pcap
    }

    /// Bytes of the file header that are no record; pcapng has none.
    var headerLength: Int { pcap == nil ? 0 : 24 }

    /// How many bytes the record at `offset` takes, as far as can be told: never more than is needed to tell more.
    ///
    /// 0 or less: it cannot be a record.
    func recordLength(_ bytes: RawSpan, at offset: Int) -> Int {
        if let pcap { return pcap.recordLength(bytes, at: offset) }
        return pcapng.blockLength(bytes, at: offset)
    }

    /// The pcapng block at `offset`.
    mutating func decode(_ bytes: RawSpan, at offset: Int, length: Int, _ record: inout CaptureRecord) -> RecordKind {
        pcapng.decode(bytes, at: offset, length: length, &record)
    }
}

/// The classic format (draft-ietf-opsawg-pcap).
@usableFromInline struct Pcap {
    @usableFromInline let isBig: Bool
    /// Whether its byte order is not this machine's.
    @usableFromInline let isForeign: Bool
    @usableFromInline let nanosecondsPerUnit: Int64
    @usableFromInline let recordHeader: Int
    @usableFromInline let linkType: UInt16

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
        isForeign = isBig != (UInt16(1).bigEndian == 1)
        // The upper half holds the length of the frame check sequence.
        linkType = UInt16(
            truncatingIfNeeded: isBig ? header.bigEndian32(at: 20) : header.littleEndian32(at: 20)
        )
    }

    func recordLength(_ bytes: RawSpan, at offset: Int) -> Int {
        guard bytes.byteCount &- offset >= recordHeader else { return recordHeader }
        let field = offset &+ 8
        return recordHeader &+ Int(isBig ? bytes.bigEndian32(at: field) : bytes.littleEndian32(at: field))
    }

    /// Reads the record at `offset`, which may use the bytes before `end`; returns where the next one begins, or 0 if
    /// this one is not whole.
    ///
    /// The reads are not checked one by one: the first line makes sure of the whole header.
    @inlinable @inline(__always)
    func read(_ bytes: RawSpan, at offset: Int, end: Int, _ record: inout CaptureRecord) -> Int {
        guard offset >= 0, end <= bytes.byteCount, end &- offset >= recordHeader else { return 0 }
        // Four fields of four bytes.
        var seconds = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt32.self)
        var fraction = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset &+ 4, as: UInt32.self)
        var captured = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset &+ 8, as: UInt32.self)
        var length = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset &+ 12, as: UInt32.self)
        if isForeign {
            (seconds, fraction) = (seconds.byteSwapped, fraction.byteSwapped)
            (captured, length) = (captured.byteSwapped, length.byteSwapped)
        }
        record.offset = offset &+ recordHeader
        record.captured = Int(captured)
        record.length = Int(max(length, captured))
        record.time = Timestamp(nanoseconds: Int64(seconds) &* 1_000_000_000 &+ Int64(fraction) &* nanosecondsPerUnit)
        record.linkType = linkType
        let next = record.offset &+ Int(captured)
        return next <= end ? next : 0
    }
}
