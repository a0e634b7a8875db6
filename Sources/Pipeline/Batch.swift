// SPDX-License-Identifier: Apache-2.0
import Capture
import Domain
import Packets

/// A chunk of the capture with its segments, sorted by the worker that owns their flow.
///
/// Written by one thread at a time, and read only after it was handed over.
final class Batch: Sendable {
    let chunk = Chunk()
    /// One list a worker.
    let lists: [SegmentList]

    init(workers: Int) {
        lists = (0..<workers).map { _ in SegmentList() }
    }

    /// A sorter into lists that are empty.
    func sorter() -> SegmentSorter {
        for list in lists { list.removeAll() }
        return SegmentSorter(lists: lists)
    }
}

/// The segments of one worker in one chunk.
///
/// Written by one thread at a time, and read only after it was handed over (``Sendable`` is promised on that ground).
final class SegmentList: @unchecked Sendable {
    /// More packets than this do not fit in a chunk.
    private static let limit = 1 << 22
    private var segments = SlotTable<Segment>(limit: limit, blank: Segment())
    /// Payloads that do not lie in the chunk: those of datagrams put together from fragments.
    private(set) var reassembled: [UInt8] = []

    /// How many there are.
    var count: Int32 { Int32(segments.highWater) }

    subscript(index: Int32) -> Slot<Segment> { segments.slot(index) }

    fileprivate func removeAll() {
        segments.removeAll()
        reassembled.removeAll(keepingCapacity: true)
    }

    fileprivate func append(_ segment: Slot<Segment>, _ payload: RawSpan) {
        guard let handle = segments.take() else { return }
        let own = segments.slot(handle)
        own.value = segment.value
        guard segment.value.isFromFragments else { return }
        own.value.payloadOffset = reassembled.count
        for offset in 0..<payload.byteCount { reassembled.append(payload.byte(at: offset)) }
    }
}

/// Sorts segments by the worker that owns their flow.
struct SegmentSorter: SegmentReceiver {
    fileprivate let lists: [SegmentList]

    @inline(__always)
    mutating func receive(_ segment: Slot<Segment>, _ payload: RawSpan) {
        // The upper bits of the hash, scaled to the number of workers.
        let scaled = (segment.value.hash &>> 40) &* UInt64(lists.count)
        lists[Int(scaled &>> 24)].append(segment, payload)
    }

    var isLarge: Bool { false }
    func expect(_ hash: UInt64) {}
    func approach(_ hash: UInt64) {}
}
