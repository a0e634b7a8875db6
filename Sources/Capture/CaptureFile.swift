// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc

/// How a capture ended other than at its end.
public enum CaptureDefect: Sendable, Equatable {
    /// The file ends inside a record: the last packet is incomplete.
    case cut
    /// A record's header cannot be true: nothing behind it can be read.
    case damaged
}

/// A capture file or stream, read chunk by chunk: pcap (draft-ietf-opsawg-pcap) and pcapng
/// (draft-ietf-opsawg-pcapng), any byte order, micro- and nanoseconds, plain or gzip.
@safe public struct CaptureFile: ~Copyable {
    /// No capture tool writes larger records; one that claims more is damage.
    static let largestRecord = 4 << 20

    private var source: ByteSource
    @usableFromInline var format: CaptureFormat
    /// Bytes of a record that the last chunk could not hold whole.
    private var rest: [UInt8] = []
    private var isAtEnd = false
    @usableFromInline var offset = 0
    /// Where the records of the chunk end; behind it others may append.
    @usableFromInline var end = 0
    /// What is wrong with it, as far as it was read.
    public private(set) var defect: CaptureDefect?

    /// Opens `path` (`-`: standard input) and reads its header.
    public static func open(path: String) throws(CaptureError) -> CaptureFile {
        var source = try ByteSource.open(path: path)
        let header = Chunk()
        var isAtEnd = false
        try fill(&source, header, upTo: 24, &isAtEnd)
        guard let format = CaptureFormat(header: header.bytes) else { throw .notACapture(path: source.path) }
        let rest = (format.headerLength..<header.filled).map { header.bytes.byte(at: $0) }
        return CaptureFile(source: source, format: format, rest: rest, isAtEnd: isAtEnd)
    }

    private init(source: consuming ByteSource, format: CaptureFormat, rest: [UInt8], isAtEnd: Bool) {
        self.source = source
        self.format = format
        self.rest = rest
        self.isAtEnd = isAtEnd
    }

    /// Bytes read of the file, and its size where it has one.
    public var progress: (consumed: UInt64, size: UInt64?) { (source.consumed, source.size) }

    /// Fills `chunk` with the next records; false at the end.
    ///
    /// ``next(_:in:)`` then walks them.
    public mutating func fill(_ chunk: Chunk) throws(CaptureError) -> Bool {
        chunk.filled = 0
        chunk.ensure(rest.count)
        _ = chunk.append(rest.rawSpan)
        rest.removeAll(keepingCapacity: true)
        offset = 0
        end = 0
        guard defect != .damaged else { return false }
        var wanted = Chunk.usualCapacity
        while true {
            try Self.fill(&source, chunk, upTo: wanted, &isAtEnd)
            if chunk.filled == 0 { return false }
            // At least one whole record must be inside, or nothing would move on.
            let needed = format.recordLength(chunk.bytes, at: 0)
            guard needed <= Self.largestRecord, needed > 0 else {
                defect = .damaged
                return false
            }
            if needed <= chunk.filled { break }
            if isAtEnd {
                defect = .cut
                return false
            }
            wanted = needed
        }
        end = chunk.filled
        return true
    }

    /// The next record of the chunk filled last, whose bytes are `bytes`; false when it is used up.
    @inlinable @inline(__always)
    public mutating func next(_ record: inout CaptureRecord, in bytes: RawSpan) -> Bool {
        if let pcap = format.pcap {
            let after = pcap.read(bytes, at: offset, end: end, &record)
            guard after == 0 else {
                offset = after
                return true
            }
        }
        return nextUnusual(&record, bytes)
    }

    /// The next block of a pcapng file; of a classic one only what stands behind its last whole record is left.
    @usableFromInline @inline(never)
    mutating func nextUnusual(_ record: inout CaptureRecord, _ bytes: RawSpan) -> Bool {
        while offset < end {
            let left = end &- offset
            let needed = format.recordLength(bytes, at: offset)
            guard needed <= left, needed > 0 else {
                keepRest(bytes, needed: needed, left: left)
                return false
            }
            let start = offset
            offset &+= needed
            switch format.decode(bytes, at: start, length: needed, &record) {
            case .packet: return true
            case .other: continue
            case .damaged:
                defect = .damaged
                end = 0
                return false
            }
        }
        return false
    }

    /// The last record of a chunk goes on in the next one, if there is one.
    private mutating func keepRest(_ bytes: RawSpan, needed: Int, left: Int) {
        end = 0
        if needed <= 0 || needed > Self.largestRecord {
            defect = .damaged
        } else if isAtEnd {
            defect = .cut
        } else {
            rest.reserveCapacity(left)
            for place in offset..<offset + left { rest.append(bytes.byte(at: place)) }
        }
    }

    private static func fill(
        _ source: inout ByteSource,
        _ chunk: Chunk,
        upTo wanted: Int,
        _ isAtEnd: inout Bool
    ) throws(CaptureError) {
        chunk.ensure(wanted)
        while chunk.filled < wanted, !isAtEnd {
            let count = try unsafe source.read(into: chunk.room)
            if count == 0 { isAtEnd = true }
            chunk.filled += count
        }
    }
}
