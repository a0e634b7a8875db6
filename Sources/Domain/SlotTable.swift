// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A growing table of records at stable addresses, reached by small handles and recycled by a free list.
///
/// It grows by slabs, so that growth never copies and never doubles the memory. A handle outside the table traps:
/// handles come from this table alone, never from bytes of the network.
@safe public struct SlotTable<Element>: ~Copyable {
    private static var slabShift: Int { 12 }
    private static var slabSize: Int { 1 << slabShift }

    private let slabs: UnsafeMutablePointer<UnsafeMutablePointer<Element>?>
    private let slabCapacity: Int
    private let blank: Element
    /// Handles given back, as a stack with room for every slot there is.
    private var free: UnsafeMutablePointer<Int32>
    private var freeCount = 0
    /// How many slots were ever handed out; every handle is smaller.
    public private(set) var highWater: Int = 0

    /// A table of at most `limit` records (rounded up to whole slabs), each starting as a copy of `blank`.
    public init(limit: Int, blank: Element) {
        slabCapacity = max(1, (limit + Self.slabSize - 1) >> Self.slabShift)
        unsafe slabs = .allocate(capacity: slabCapacity)
        unsafe slabs.initialize(repeating: nil, count: slabCapacity)
        unsafe free = .allocate(capacity: Self.slabSize)
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

    /// The slot of `handle`, for many accesses at the price of one; valid as long as the table.
    @inline(__always)
    public func slot(_ handle: Int32) -> Slot<Element> {
        unsafe Slot(handle: handle, pointer: address(handle))
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
        let handle = unsafe free[freeCount]
        self[handle] = blank
        return handle
    }

    @inline(never)
    private mutating func takeNew() -> Int32? {
        guard highWater < slabCapacity << Self.slabShift, highWater < Int(Int32.max) else { return nil }
        let slab = highWater >> Self.slabShift
        if unsafe slabs[slab] == nil {
            unsafe slabs[slab] = .allocate(capacity: Self.slabSize)
            growFreeList((slab + 1) << Self.slabShift)
        }
        let handle = Int32(highWater)
        highWater &+= 1
        unsafe address(handle).initialize(to: blank)
        return handle
    }

    /// Makes room to give back all of `capacity` slots; nothing of it is touched before it is used.
    private mutating func growFreeList(_ capacity: Int) {
        let larger = UnsafeMutablePointer<Int32>.allocate(capacity: capacity)
        unsafe larger.update(from: free, count: freeCount)
        unsafe free.deallocate()
        unsafe free = larger
    }

    /// Makes sure that `handle`, given out by another table, is a slot here too; false when it is beyond the limit.
    public mutating func include(_ handle: Int32) -> Bool {
        while highWater <= Int(handle) {
            guard takeNew() != nil else { return false }
        }
        return true
    }

    /// Gives a slot back; its handle may be handed out again.
    @inline(__always)
    public mutating func give(_ handle: Int32) {
        precondition(handle >= 0 && freeCount < highWater)
        // In range: there is room for every slot, and fewer than all were given back.
        unsafe free[freeCount] = handle
        freeCount &+= 1
    }

    /// Gives all slots back; the next ones are handed out in order from 0.
    public mutating func removeAll() {
        blankAll()
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
        // One comparison covers negative handles too; every slab below the high-water mark is allocated.
        precondition(UInt32(bitPattern: handle) < UInt32(truncatingIfNeeded: highWater))
        let slab = Int(handle) >> Self.slabShift
        return unsafe slabs[slab].unsafelyUnwrapped + (Int(handle) & (Self.slabSize - 1))
    }
}

/// One record of a ``SlotTable``, in place.
///
/// For local use while the table lives: it stays where it is, but giving the slot back blanks it for its next owner.
@safe public struct Slot<Element>: BitwiseCopyable {
    /// The record's handle.
    public let handle: Int32
    private let pointer: UnsafeMutablePointer<Element>

    @inline(__always)
    init(handle: Int32, pointer: UnsafeMutablePointer<Element>) {
        self.handle = handle
        unsafe self.pointer = pointer
    }

    /// The record's place in memory, for hints to the processor.
    @inline(__always)
    func withAddress(_ body: (UnsafeRawPointer) -> Void) {
        unsafe body(UnsafeRawPointer(pointer))
    }

    /// The record.
    public var value: Element {
        @inline(__always)
        unsafeAddress { unsafe UnsafePointer(pointer) }
        @inline(__always)
        nonmutating unsafeMutableAddress { unsafe pointer }
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
            return unsafe Slot(handle: Int32(truncatingIfNeeded: index), pointer: base.unsafelyUnwrapped + index)
        }
    }
}
