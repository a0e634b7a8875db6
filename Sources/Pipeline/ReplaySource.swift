// SPDX-License-Identifier: Apache-2.0
import Capture
import Domain
import Packets

/// A chunk of the capture with its segments, sorted by the worker that owns their flow.
final class Batch: @unchecked Sendable {
    let chunk = Chunk()
    /// One list a worker.
    ///
    /// Written by the producer only; read after it was handed over.
    var segments: [[Segment]]

    init(workers: Int) {
        segments = Array(repeating: [], count: workers)
    }

    func empty() {
        for worker in segments.indices { segments[worker].removeAll(keepingCapacity: true) }
    }

    func takeSegments() -> [[Segment]] {
        let taken = segments
        segments = []
        return taken
    }
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
    private let workers: Int
    private var finishedBytes: UInt64 = 0
    private let totalSize: UInt64?
    private(set) var summary = CaptureSummary()

    init(
        first: consuming CaptureFile,
        others: [String],
        totalSize: UInt64?,
        decoder: consuming PacketDecoder,
        filter: consuming PacketFilter?,
        workers: Int
    ) {
        current = .some(consume first)
        paths = others
        self.totalSize = totalSize
        self.decoder = decoder
        self.filter = filter
        self.workers = workers
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

    /// Fills `batch` with the next chunk; false when there is none.
    mutating func produce(_ batch: Batch) throws(CaptureError) -> Bool {
        batch.empty()
        while true {
            if current == nil {
                guard !paths.isEmpty else { return false }
                current = try CaptureFile.open(path: paths.removeFirst())
            }
            if try current?.fill(batch.chunk) == true {
                try decode(batch)
                return true
            }
            finishedBytes += currentBytes
            if let defect = current?.defect { summary.note(defect) }
            current = nil
        }
    }

    private mutating func decode(_ batch: Batch) throws(CaptureError) {
        let chunk = batch.chunk
        // The lists are worked on outside the object, where nobody else can be at them.
        var lists = batch.takeSegments()
        defer { batch.segments = lists }
        var record = CaptureRecord()
        var segment = Segment()
        var bytes = chunk.bytes
        while current?.next(&record, in: bytes) == true {
            summary.note(record)
            guard let link = LinkType(rawValue: record.linkType) else {
                summary.ignore(.linkType)
                continue
            }
            let frame = bytes.extracting(record.offset..<record.offset &+ record.captured)
            if filter != nil, try !accepts(frame, record) {
                summary.ignore(.filtered)
                continue
            }
            if let reason = decoder.decode(frame, link: link, length: record.length, at: record.time, into: &segment) {
                summary.ignore(reason)
                continue
            }
            segment.ordinal = summary.packets
            if segment.isFromFragments {
                segment.payloadOffset += chunk.append(decoder.reassembled)
                bytes = chunk.bytes
            } else {
                segment.payloadOffset &+= record.offset
            }
            let owner = workers == 1 ? 0 : Int(segment.hash &>> 40) % workers
            lists[owner].append(segment)
        }
        summary.fragments = decoder.fragmentCounts.seen
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
