// SPDX-License-Identifier: Apache-2.0
import Domain

/// Finds flows by hash: open addressing, linear probing, at most half full, deletion by shifting back.
struct FlowIndex: ~Copyable {
    private struct Entry: BitwiseCopyable {
        var handle: Int32 = -1
        var tag: UInt32 = 0
    }

    private var entries: [Entry]
    private var mask: Int
    private var count = 0

    init() {
        entries = Array(repeating: Entry(), count: 1024)
        mask = 1023
    }

    /// The flow of this segment, or `nil`.
    @inline(__always)
    func find(_ segment: Slot<Segment>, in flows: borrowing SlotTable<Flow>) -> Slot<Flow>? {
        let hash = segment.value.hash
        var place = Int(truncatingIfNeeded: hash) & mask
        let tag = UInt32(truncatingIfNeeded: hash &>> 32)
        while true {
            let entry = entries[place]
            if entry.handle < 0 { return nil }
            if entry.tag == tag {
                let flow = flows.slot(entry.handle)
                if flow.value.key == segment.value.key { return flow }
            }
            place = (place &+ 1) & mask
        }
    }

    /// Brings the place near where a flow of this hash would stand.
    @inline(__always)
    func prefetch(_ hash: UInt64) { entries.prefetch(Int(truncatingIfNeeded: hash) & mask) }

    /// Which flow this hash very likely means, without a look at it; -1 when there is none.
    @inline(__always)
    func guess(_ hash: UInt64) -> FlowHandle {
        let entry = entries[Int(truncatingIfNeeded: hash) & mask]
        return entry.tag == UInt32(truncatingIfNeeded: hash &>> 32) ? entry.handle : -1
    }

    mutating func insert(_ handle: FlowHandle, hash: UInt64, in flows: borrowing SlotTable<Flow>) {
        if (count + 1) * 2 > entries.count { grow(flows) }
        place(handle, hash)
        count += 1
    }

    mutating func remove(_ handle: FlowHandle, hash: UInt64, in flows: borrowing SlotTable<Flow>) {
        var hole = Int(truncatingIfNeeded: hash) & mask
        while entries[hole].handle != handle {
            if entries[hole].handle < 0 { return }
            hole = (hole &+ 1) & mask
        }
        var place = hole
        while true {
            place = (place &+ 1) & mask
            let entry = entries[place]
            if entry.handle < 0 { break }
            let home = Int(truncatingIfNeeded: flows[entry.handle].hash) & mask
            if (place &- home) & mask >= (place &- hole) & mask {
                entries[hole] = entry
                hole = place
            }
        }
        entries[hole] = Entry()
        count -= 1
    }

    private mutating func grow(_ flows: borrowing SlotTable<Flow>) {
        let old = entries
        entries = Array(repeating: Entry(), count: old.count * 2)
        mask = entries.count - 1
        for entry in old where entry.handle >= 0 { place(entry.handle, flows[entry.handle].hash) }
    }

    private mutating func place(_ handle: FlowHandle, _ hash: UInt64) {
        var place = Int(truncatingIfNeeded: hash) & mask
        while entries[place].handle >= 0 { place = (place &+ 1) & mask }
        entries[place] = Entry(handle: handle, tag: UInt32(truncatingIfNeeded: hash &>> 32))
    }
}
