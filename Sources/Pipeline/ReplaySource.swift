// SPDX-License-Identifier: Apache-2.0
import Capture
import Domain
import Packets

/// Takes the segments of a chunk, one by one and in order.
protocol SegmentReceiver: ~Copyable {
    /// `payload` holds the captured bytes of `segment`: they lie in the chunk, or with the decoder if the segment
    /// says `isFromFragments`.
    mutating func receive(_ segment: Slot<Segment>, _ payload: RawSpan)
    /// Whether its state is so large that much of it is far in memory.
    var isLarge: Bool { mutating get }
    /// A segment of the flow with this hash will come in a while, and soon: time to fetch what is far in memory.
    mutating func expect(_ hash: UInt64)
    mutating func approach(_ hash: UInt64)
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
    private let hasFilter: Bool
    /// The link type of the latest packet, as the capture numbers it and as it is known here.
    private var linkNumber = LinkType.ethernet.rawValue
    private var link: LinkType? = .ethernet
    /// Segments decoded ahead: 16.
    private var window = SlotTable<Segment>(limit: 16, blank: Segment())
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
        hasFilter = filter != nil
        self.filter = filter
        _ = window.include(15)
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
    ///
    /// A few packets are decoded ahead of their use, so that their flows can be fetched from memory in the meantime.
    mutating func decode(
        _ chunk: Chunk,
        into receiver: inout some SegmentReceiver & ~Copyable
    ) throws(CaptureError) {
        guard var file = current.take() else { return }
        let bytes = chunk.bytes
        let slots = window.first(16)
        var record = CaptureRecord()
        var failure: CaptureError?
        var isAtEnd = false
        while !isAtEnd, failure == nil {
            let looksAhead = receiver.isLarge
            var count = 0
            while count < slots.count {
                guard file.next(&record, in: bytes) else {
                    isAtEnd = true
                    break
                }
                summary.note(record)
                let segment = slots[count]
                do throws(CaptureError) {
                    guard try isSegment(record.frame(in: bytes), record, segment) else { continue }
                } catch {
                    failure = error
                    break
                }
                segment.value.ordinal = summary.packets
                if looksAhead { receiver.expect(segment.value.hash) }
                count &+= 1
                // The datagram is there only until the next one is put together.
                if segment.value.isFromFragments { break }
                segment.value.payloadOffset &+= record.offset
            }
            if looksAhead {
                for index in 0..<count { receiver.approach(slots[index].value.hash) }
            }
            for index in 0..<count {
                let segment = slots[index]
                let start = segment.value.payloadOffset
                let range = start..<start &+ Int(segment.value.captured)
                if segment.value.isFromFragments {
                    receiver.receive(segment, decoder.reassembled.extracting(range))
                } else {
                    receiver.receive(segment, bytes.extracting(range))
                }
            }
        }
        current = consume file
        summary.fragments = decoder.fragmentCounts.seen
        summary.otherPorts = decoder.otherPorts
        if let failure { throw failure }
    }

    /// Decodes one packet; false when it is none of ours, which is counted.
    @inline(__always)
    private mutating func isSegment(
        _ frame: RawSpan,
        _ record: borrowing CaptureRecord,
        _ segment: Slot<Segment>
    ) throws(CaptureError) -> Bool {
        if record.linkType != linkNumber {
            linkNumber = record.linkType
            link = LinkType(rawValue: linkNumber)
        }
        guard let link else {
            summary.ignore(.linkType)
            return false
        }
        if hasFilter, try !accepts(frame, record) {
            summary.ignore(.filtered)
            return false
        }
        let reason = decoder.decode(frame, link: link, length: record.length, at: record.time, into: &segment.value)
        if let reason { summary.ignore(reason) }
        return reason == nil
    }

    private mutating func accepts(_ frame: RawSpan, _ record: borrowing CaptureRecord) throws(CaptureError) -> Bool {
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
