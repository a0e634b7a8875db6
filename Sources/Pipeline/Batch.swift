// SPDX-License-Identifier: Apache-2.0
import Capture
import Domain
import Packets

/// A chunk of the capture with its segments, sorted by the worker that owns their flow.
///
/// Written by the producer only; read after it was handed over.
final class Batch: @unchecked Sendable {
    let chunk = Chunk()
    /// One list a worker.
    fileprivate(set) var segments: [[Segment]]
    /// Payloads that do not lie in the chunk: those of datagrams put together from fragments.
    fileprivate(set) var reassembled: [UInt8] = []

    init(workers: Int) {
        segments = Array(repeating: [], count: workers)
    }

    /// A writer that begins with empty lists; the batch has none until ``SegmentSorter/finish()``.
    func sorter() -> SegmentSorter {
        var lists = segments
        segments = []
        for worker in lists.indices { lists[worker].removeAll(keepingCapacity: true) }
        reassembled.removeAll(keepingCapacity: true)
        return SegmentSorter(batch: self, lists: lists)
    }
}

/// Sorts segments by the worker that owns their flow.
struct SegmentSorter: SegmentReceiver {
    private let batch: Batch
    private var lists: [[Segment]]

    fileprivate init(batch: Batch, lists: [[Segment]]) {
        self.batch = batch
        self.lists = lists
    }

    func expect(_ hash: UInt64) {}
    func approach(_ hash: UInt64) {}

    mutating func receive(_ segment: borrowing Segment, _ payload: RawSpan) {
        let owner = Int(segment.hash &>> 40) % lists.count
        lists[owner].append(copy segment)
        guard segment.isFromFragments else { return }
        lists[owner][lists[owner].count - 1].payloadOffset = batch.reassembled.count
        for offset in 0..<payload.byteCount { batch.reassembled.append(payload.byte(at: offset)) }
    }

    /// Gives the lists to the batch.
    consuming func finish() { batch.segments = lists }
}
