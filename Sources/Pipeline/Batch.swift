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
    func sorter() -> SegmentSorter { SegmentSorter(lists: lists) }
}

/// The segments of one worker in one chunk.
///
/// Written by one thread at a time, and read only after it was handed over (``Sendable`` is promised on that ground).
final class SegmentList: @unchecked Sendable {
    /// Hardly ever are there more in a chunk of the usual size: that takes packets of 62 bytes, headers included.
    static let usual = 4096

    // As values: at the property of a class every access asks the runtime whether it is the only one.
    private var segments = SlotTable<Segment>(limit: usual, blank: Segment())
    /// The first segments, as many as `count` says.
    let slots: SlotList<Segment>
    fileprivate(set) var count = 0
    /// Those that found no place there; they come behind.
    fileprivate(set) var others = SlotTable<Segment>(limit: 1 << 22, blank: Segment())
    /// Payloads that do not lie in the chunk: those of datagrams put together from fragments.
    fileprivate(set) var reassembled: [UInt8] = []

    init() {
        _ = segments.include(Int32(Self.usual - 1))
        slots = segments.first(Self.usual)
    }

    fileprivate func appendOther(_ segment: Segment) {
        if let handle = others.take() { others[handle] = segment }
    }

    /// The payload of a segment that was put together from fragments; returns where it begins.
    fileprivate func keep(_ payload: RawSpan) -> Int {
        let start = reassembled.count
        for offset in 0..<payload.byteCount { reassembled.append(payload.byte(at: offset)) }
        return start
    }
}

/// Sorts segments by the worker that owns their flow.
struct SegmentSorter: SegmentReceiver {
    private struct Target {
        let list: SegmentList
        let slots: SlotList<Segment>
        var count = 0
    }

    private var targets: [Target]
    private let share: UInt64

    fileprivate init(lists: [SegmentList]) {
        for list in lists {
            list.count = 0
            list.others.removeAll()
            list.reassembled.removeAll(keepingCapacity: true)
        }
        targets = lists.map { Target(list: $0, slots: $0.slots) }
        share = UInt64(lists.count)
    }

    @inline(__always)
    mutating func receive(_ segment: Slot<Segment>, _ payload: RawSpan) {
        // The upper bits of the hash, scaled to the number of workers.
        let number = Int(((segment.value.hash &>> 40) &* share) &>> 24)
        let place = targets[number].count
        guard place < SegmentList.usual, !segment.value.isFromFragments else {
            return receiveUnusual(segment, payload, number)
        }
        targets[number].slots[place].value = segment.value
        targets[number].count = place &+ 1
    }

    @inline(never)
    private mutating func receiveUnusual(_ segment: Slot<Segment>, _ payload: RawSpan, _ number: Int) {
        var own = segment.value
        if own.isFromFragments { own.payloadOffset = targets[number].list.keep(payload) }
        let place = targets[number].count
        guard place < SegmentList.usual else { return targets[number].list.appendOther(own) }
        targets[number].slots[place].value = own
        targets[number].count = place &+ 1
    }

    /// The chunk is decoded: the lists are whole.
    func finish() {
        for target in targets { target.list.count = target.count }
    }

    var isLarge: Bool { false }
    func expect(_ hash: UInt64) {}
    func approach(_ hash: UInt64) {}
}
