// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A growing table of records at stable addresses, reached by small handles and recycled by a free list.
///
/// It grows by slabs, so that growth never copies and never doubles the memory. A handle outside the table traps:
/// handles come from this table, or one that it stands beside, and never from bytes of the network.
///
/// Where handles are checked, debug and fuzz builds give them a generation: using a slot that was given back, or giving
/// it back twice, then ends the program even when the slot has a new owner. Other builds pay nothing for that; what may
/// be late by design asks ``occupant(of:)`` and compares a number of its own.
@safe public struct SlotTable<Element>: ~Copyable {
    private static var slabShift: Int { 12 }
    private static var slabSize: Int { 1 << slabShift }

    private let slabs: UnsafeMutablePointer<UnsafeMutablePointer<Element>?>
    private let slabCapacity: Int
    private let blank: Element
    /// The places of slots given back, as a stack with room for every slot there is.
    private var free: UnsafeMutablePointer<Int32>
    private var freeCount = 0
    /// How many slots were ever handed out; every place is smaller.
    public private(set) var highWater: Int = 0
    private let owners: SlotOwners

    /// A table of at most `limit` records (rounded up to whole slabs), each starting as a copy of `blank`.
    ///
    /// - Parameter checksHandles: whether using a slot after it was given back is a fault; otherwise a handle is the
    ///   slot's place in all builds.
    public init(limit: Int, blank: Element, checksHandles: Bool = false) {
        slabCapacity = max(1, (limit + Self.slabSize - 1) >> Self.slabShift)
        unsafe slabs = .allocate(capacity: slabCapacity)
        unsafe slabs.initialize(repeating: nil, count: slabCapacity)
        unsafe free = .allocate(capacity: Self.slabSize)
        owners = SlotOwners(slabs: slabCapacity, shift: Self.slabShift, isChecked: checksHandles)
        self.blank = blank
    }

    deinit {
        blankAll()
        for index in 0..<slabCapacity { unsafe slabs[index]?.deallocate() }
        unsafe slabs.deallocate()
        unsafe free.deallocate()
    }

    /// How many slots are in use.
    public var count: Int { highWater &- freeCount }

    /// The record of `handle`, in place.
    public subscript(handle: Int32) -> Element {
        @inline(__always)
        unsafeAddress { unsafe UnsafePointer(address(handle)) }
        @inline(__always)
        nonmutating unsafeMutableAddress { unsafe address(handle) }
    }

    /// The slot of `handle`, for many accesses at the price of one; valid until it is given back.
    @inline(__always)
    public func slot(_ handle: Int32) -> Slot<Element> {
        let place = place(of: handle)
        let pointer = unsafe pointer(place)
        return unsafe Slot(owner: owners.owner(of: handle, at: place), pointer: pointer)
    }

    /// Where the slot of `handle` stands: from 0, each another one; -1 for handles that are none.
    @inline(__always)
    public func place(of handle: Int32) -> Int32 { owners.place(of: handle) }

    /// Whether `handle` has a place in this table, whoever holds it now.
    @inline(__always)
    public func contains(_ handle: Int32) -> Bool {
        UInt32(bitPattern: place(of: handle)) < UInt32(truncatingIfNeeded: highWater)
    }

    /// What stands now where `handle`, which may be of long ago, had its slot; `nil` outside the table.
    ///
    /// Where handles are checked, debug and fuzz builds say `nil` for a free slot too; others leave that to the record.
    @inline(__always)
    public func occupant(of handle: Int32) -> Slot<Element>? {
        let place = place(of: handle)
        guard UInt32(bitPattern: place) < UInt32(truncatingIfNeeded: highWater), let current = owners.handle(at: place)
        else { return nil }
        return slot(current)
    }

    /// The handle of what stands at a place from 0; `nil` outside the table.
    ///
    /// Where handles are checked, debug and fuzz builds say `nil` for a free slot too; others leave that to the record.
    @inline(__always)
    public func handle(at place: Int) -> Int32? {
        guard place >= 0, place < highWater else { return nil }
        return owners.handle(at: Int32(truncatingIfNeeded: place))
    }

    /// What stands at a place from 0, as ``occupant(of:)`` says it.
    @inline(__always)
    public func occupant(at place: Int) -> Slot<Element>? {
        guard place >= 0, place < highWater, let current = owners.handle(at: Int32(truncatingIfNeeded: place)) else {
            return nil
        }
        return slot(current)
    }

    /// The first `count` slots, which must be in use and no more than a slab holds (4096), as a list.
    public func first(_ count: Int) -> SlotList<Element> {
        precondition(count >= 0 && count <= highWater && count <= Self.slabSize)
        return unsafe SlotList(count: count, base: slabs[0])
    }

    /// A slot set to `blank`, or `nil` when the table is full.
    @inline(__always)
    public mutating func take() -> Int32? {
        guard freeCount > 0 else { return takeNew() }
        freeCount &-= 1
        // In range: below the count of what was given back.
        let place = unsafe free[freeCount]
        unsafe pointer(place).pointee = blank
        return owners.take(place)
    }

    /// The same, for use right away.
    @inline(__always)
    public mutating func takeSlot() -> Slot<Element>? {
        guard freeCount > 0 else { return takeNew().map { slot($0) } }
        freeCount &-= 1
        let place = unsafe free[freeCount]
        let pointer = unsafe pointer(place)
        unsafe pointer.pointee = blank
        return unsafe Slot(owner: owners.owner(of: owners.take(place), at: place), pointer: pointer)
    }

    @inline(never)
    private mutating func takeNew() -> Int32? {
        guard highWater < slabCapacity << Self.slabShift, highWater < SlotOwners.mostPlaces else { return nil }
        let slab = highWater >> Self.slabShift
        if unsafe slabs[slab] == nil {
            unsafe slabs[slab] = .allocate(capacity: Self.slabSize)
            owners.addSlab(slab)
            growFreeList((slab + 1) << Self.slabShift)
        }
        let place = Int32(highWater)
        highWater &+= 1
        unsafe pointer(place).initialize(to: blank)
        return owners.take(place)
    }

    /// Makes room to give back all of `capacity` slots; nothing of it is touched before it is used.
    private mutating func growFreeList(_ capacity: Int) {
        let larger = UnsafeMutablePointer<Int32>.allocate(capacity: capacity)
        unsafe larger.update(from: free, count: freeCount)
        unsafe free.deallocate()
        unsafe free = larger
    }

    /// Makes sure that `handle`, given out by another table, is a slot here too; false when it is beyond the limit.
    ///
    /// From then on the slot is that of this handle, and of no older one.
    public mutating func include(_ handle: Int32) -> Bool {
        while highWater <= Int(place(of: handle)) {
            guard takeNew() != nil else { return false }
        }
        owners.claim(handle)
        return true
    }

    /// Gives a slot back; its place may be handed out again.
    @inline(__always)
    public mutating func give(_ handle: Int32) {
        let place = place(of: handle)
        precondition(place >= 0 && freeCount < highWater)
        owners.give(handle, at: place)
        // In range: there is room for every slot, and fewer than all were given back.
        unsafe free[freeCount] = place
        freeCount &+= 1
    }

    /// Gives all slots back; the next ones are handed out in order from 0.
    public mutating func removeAll() {
        blankAll()
        owners.giveAll(highWater)
        highWater = 0
        freeCount = 0
    }

    private func blankAll() {
        for index in 0..<slabCapacity {
            guard highWater > index << Self.slabShift, let slab = unsafe slabs[index] else { break }
            unsafe slab.deinitialize(count: min(Self.slabSize, highWater - index << Self.slabShift))
        }
    }

    @inline(__always)
    private func address(_ handle: Int32) -> UnsafeMutablePointer<Element> {
        let place = place(of: handle)
        let pointer = unsafe pointer(place)
        owners.owner(of: handle, at: place).check()
        return unsafe pointer
    }

    @inline(__always)
    func pointer(_ place: Int32) -> UnsafeMutablePointer<Element> {
        // One comparison covers negative places too; every slab below the high-water mark is allocated.
        precondition(UInt32(bitPattern: place) < UInt32(truncatingIfNeeded: highWater))
        let slab = Int(place) >> Self.slabShift
        return unsafe slabs[slab].unsafelyUnwrapped + (Int(place) & (Self.slabSize - 1))
    }
}

/// One record of a ``SlotTable``, in place.
///
/// For local use while the table lives: it stays where it is, but giving the slot back blanks it for its next owner.
@safe public struct Slot<Element>: BitwiseCopyable {
    private let owner: SlotOwner
    private let pointer: UnsafeMutablePointer<Element>

    @inline(__always)
    init(owner: SlotOwner, pointer: UnsafeMutablePointer<Element>) {
        self.owner = owner
        unsafe self.pointer = pointer
    }

    /// The record's handle.
    @inline(__always)
    public var handle: Int32 { owner.handle }

    /// Where the record stands in its table, from 0.
    @inline(__always)
    public var place: Int32 { owner.place }

    /// The record.
    public var value: Element {
        @inline(__always)
        unsafeAddress {
            owner.check()
            return unsafe UnsafePointer(pointer)
        }
        @inline(__always)
        nonmutating unsafeMutableAddress {
            owner.check()
            return unsafe pointer
        }
    }
}

/// Slots that lie one behind the other in a ``SlotTable``, for use while the table lives.
@safe public struct SlotList<Element>: BitwiseCopyable {
    /// How many there are.
    public let count: Int
    private let base: UnsafeMutablePointer<Element>?

    fileprivate init(count: Int, base: UnsafeMutablePointer<Element>?) {
        self.count = count
        unsafe self.base = base
    }

    /// The slot at a place from 0; any other place traps.
    public subscript(index: Int) -> Slot<Element> {
        @inline(__always)
        get {
            precondition(index >= 0 && index < count)
            // The slab is there: it holds `count` slots in use.
            let pointer = unsafe base.unsafelyUnwrapped + index
            return unsafe Slot(owner: SlotOwner(place: Int32(truncatingIfNeeded: index)), pointer: pointer)
        }
    }
}
