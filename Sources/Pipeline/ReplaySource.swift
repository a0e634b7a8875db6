// SPDX-License-Identifier: Apache-2.0
import Capture
import Domain
import Packets

/// Takes the segments of a chunk, one by one and in order.
protocol SegmentReceiver: ~Copyable {
    /// `payload` holds the captured bytes of `segment`: they lie in the chunk, or with the decoder if the segment
    /// says `isFromFragments`.
    mutating func receive(_ segment: borrowing Segment, _ payload: RawSpan)
}

/// How far a replay has come.
public struct ReplayProgress: Sendable {
    /// Bytes read of all files, and their size where it is known.
    public var consumed: UInt64 = 0, size: UInt64?
    /// Packets read.
    public var packets: UInt64 = 0
}

/// Packet → segment: reads the files in order and decodes them.
///
/// It has one owner at a time: a thread, or the lock through which threads take turns; hence `@unchecked Sendable`.
struct ReplaySource: ~Copyable, @unchecked Sendable {
    private var paths: [String]
    private var current: CaptureFile?
    private var decoder: PacketDecoder
    private var filter: PacketFilter?
    private var finishedBytes: UInt64 = 0
    private let totalSize: UInt64?
    private(set) var summary = CaptureSummary()

    init(
        first: consuming CaptureFile,
        others: [String],
        totalSize: UInt64?,
        decoder: consuming PacketDecoder,
        filter: consuming PacketFilter?
    ) {
        current = .some(consume first)
        paths = others
        self.totalSize = totalSize
        self.decoder = decoder
        self.filter = filter
    }

    var progress: ReplayProgress {
        ReplayProgress(consumed: finishedBytes + currentBytes, size: totalSize, packets: summary.packets)
    }

    private var currentBytes: UInt64 {
        switch current {
        case .some(let file): file.progress.consumed
        case .none: 0
        }
    }

    var end: Moment { Moment(time: summary.last, ordinal: summary.packets + 1) }

    /// Fills `chunk` with the next bytes of the capture; false when there are none.
    mutating func fill(_ chunk: Chunk) throws(CaptureError) -> Bool {
        while true {
            if current == nil {
                guard !paths.isEmpty else { return false }
                current = try CaptureFile.open(path: paths.removeFirst())
            }
            if try current?.fill(chunk) == true { return true }
            finishedBytes += currentBytes
            if let defect = current?.defect { summary.note(defect) }
            current = nil
        }
    }

    /// Decodes the packets of the chunk that was filled last.
    mutating func decode(
        _ chunk: Chunk,
        into receiver: inout some SegmentReceiver & ~Copyable
    ) throws(CaptureError) {
        guard var file = current.take() else { return }
        // Packet by packet this would be looked up in vain.
        let hasFilter = filter != nil
        var linkNumber: UInt16 = 0
        var knownLink = LinkType(rawValue: 0)
        var record = CaptureRecord()
        var segment = Segment()
        let bytes = chunk.bytes
        var failure: CaptureError?
        while file.next(&record, in: bytes) {
            summary.note(record)
            if record.linkType != linkNumber {
                linkNumber = record.linkType
                knownLink = LinkType(rawValue: linkNumber)
            }
            guard let link = knownLink else {
                summary.ignore(.linkType)
                continue
            }
            let frame = bytes.extracting(record.offset..<record.offset &+ record.captured)
            if hasFilter {
                do throws(CaptureError) {
                    if try !accepts(frame, record) {
                        summary.ignore(.filtered)
                        continue
                    }
                } catch {
                    failure = error
                    break
                }
            }
            if let reason = decoder.decode(frame, link: link, length: record.length, at: record.time, into: &segment) {
                summary.ignore(reason)
                continue
            }
            segment.ordinal = summary.packets
            let start = segment.payloadOffset
            let end = start &+ Int(segment.captured)
            if segment.isFromFragments {
                receiver.receive(segment, decoder.reassembled.extracting(start..<end))
            } else {
                segment.payloadOffset &+= record.offset
                receiver.receive(segment, frame.extracting(start..<end))
            }
        }
        current = consume file
        summary.fragments = decoder.fragmentCounts.seen
        if let failure { throw failure }
    }

    private mutating func accepts(_ frame: RawSpan, _ record: CaptureRecord) throws(CaptureError) -> Bool {
        guard var own = filter.take() else { return true }
        let result: Result<Bool, CaptureError>
        do throws(CaptureError) {
            result = .success(try own.accepts(frame, length: record.length, linkType: record.linkType))
        } catch {
            result = .failure(error)
        }
        filter = consume own
        return try result.get()
    }
}
