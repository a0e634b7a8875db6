// SPDX-License-Identifier: Apache-2.0
import Domain

/// What a session's name stands for: a prepared statement or a portal.
struct NamedEntry: BitwiseCopyable {
    /// The session's next entry of the same sort, and the one before.
    var next: Int32 = -1
    var previous: Int32 = -1
    var flow: FlowHandle = -1
    var name: UInt64 = 0
    var isPortal = false
    /// For statements only `pattern` and `kind` matter.
    var portal = Portal()
}

/// The named statements and portals of all sessions of a worker: one hash table, chained per session.
struct NameTable: ~Copyable {
    private var entries: SlotTable<NamedEntry>
    private var places: [Int32] = Array(repeating: -1, count: 256)
    private var mask = 255

    private let limit: Int

    init(limit: Int) {
        self.limit = limit
        entries = SlotTable(limit: limit, blank: NamedEntry(), checksHandles: true)
    }

    /// How many names there were at once, at most.
    var highWater: Int { entries.highWater }

    /// An entry, in place.
    @inline(__always)
    mutating func slot(_ entry: Int32) -> Slot<NamedEntry> { entries.slot(entry) }

    subscript(entry: Int32) -> NamedEntry {
        get { entries[entry] }
        nonmutating set { entries[entry] = newValue }
    }

    @inline(__always)
    private func home(_ flow: FlowHandle, _ name: UInt64, _ isPortal: Bool) -> Int {
        let mixed = (name ^ UInt64(UInt32(bitPattern: flow)) &* 0x9E37_79B9_7F4A_7C15) &+ (isPortal ? 1 : 0)
        return Int(truncatingIfNeeded: mixed ^ (mixed &>> 29)) & mask
    }

    mutating func find(_ flow: FlowHandle, _ name: UInt64, isPortal: Bool) -> Int32? {
        var place = home(flow, name, isPortal)
        while true {
            let handle = places[place]
            if handle < 0 { return nil }
            let entry = entries.slot(handle)
            if entry.value.name == name, entry.value.flow == flow, entry.value.isPortal == isPortal { return handle }
            place = (place &+ 1) & mask
        }
    }

    /// Whether a session that has so many names may have one more: some always, more only while there is room for others.
    func hasRoom(_ held: Int32) -> Bool { held < 256 || Int(held) < (limit - entries.count) / 4 }

    /// Adds a name at the head of its session's chain; `nil` when the table is full.
    mutating func add(_ flow: FlowHandle, _ name: UInt64, isPortal: Bool, head: inout Int32) -> Int32? {
        guard entries.count < limit, let entry = entries.take() else { return nil }
        if entries.count * 2 > places.count { grow() }
        entries[entry].flow = flow
        entries[entry].name = name
        entries[entry].isPortal = isPortal
        entries[entry].next = head
        if head >= 0 { entries[head].previous = entry }
        head = entry
        insert(entry)
        return entry
    }

    /// Removes one name of a session.
    mutating func remove(_ entry: Int32, head: inout Int32) {
        let (previous, next) = (entries[entry].previous, entries[entry].next)
        if previous >= 0 { entries[previous].next = next } else { head = next }
        if next >= 0 { entries[next].previous = previous }
        unplace(entry)
        entries.give(entry)
    }

    private mutating func insert(_ entry: Int32) {
        var place = home(entries[entry].flow, entries[entry].name, entries[entry].isPortal)
        while places[place] >= 0 { place = (place &+ 1) & mask }
        places[place] = entry
    }

    private mutating func grow() {
        let old = places
        places = Array(repeating: -1, count: old.count * 2)
        mask = places.count - 1
        for entry in old where entry >= 0 { insert(entry) }
    }

    private mutating func unplace(_ entry: Int32) {
        var hole = home(entries[entry].flow, entries[entry].name, entries[entry].isPortal)
        while places[hole] != entry {
            if places[hole] < 0 { return }
            hole = (hole &+ 1) & mask
        }
        var place = hole
        while true {
            place = (place &+ 1) & mask
            let other = places[place]
            if other < 0 { break }
            let wanted = home(entries[other].flow, entries[other].name, entries[other].isPortal)
            if (place &- wanted) & mask >= (place &- hole) & mask {
                places[hole] = other
                hole = place
            }
        }
        places[hole] = -1
    }
}
