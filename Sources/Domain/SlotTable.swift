// SPDX-License-Identifier: Apache-2.0

/// A growing table of plain records at stable addresses, reached by small handles and recycled by a free list.
///
/// It grows by slabs, so that growth never copies and never doubles the memory. A handle outside the table traps:
/// handles come from this table alone, never from bytes of the network.
@safe public struct SlotTable<Element: BitwiseCopyable>: ~Copyable {
    private static var slabShift: Int { 12 }
    private static var slabSize: Int { 1 << slabShift }

    private let slabs: UnsafeMutablePointer<UnsafeMutablePointer<Element>?>
    private let slabCapacity: Int
    private let blank: Element
    private var freeList: [Int32] = []
    /// How many slots were ever handed out; every handle is smaller.
    public private(set) var highWater: Int = 0
    /// How many slots are in use.
    public private(set) var count: Int = 0

    /// A table of at most `limit` records (rounded up to whole slabs), each starting as a copy of `blank`.
    public init(limit: Int, blank: Element) {
        slabCapacity = max(1, (limit + Self.slabSize - 1) >> Self.slabShift)
        unsafe slabs = .allocate(capacity: slabCapacity)
        unsafe slabs.initialize(repeating: nil, count: slabCapacity)
        self.blank = blank
    }

    deinit {
        for index in 0..<slabCapacity { unsafe slabs[index]?.deallocate() }
        unsafe slabs.deallocate()
    }

    /// The record of `handle`, in place.
    public subscript(handle: Int32) -> Element {
        unsafeAddress { unsafe UnsafePointer(address(handle)) }
        nonmutating unsafeMutableAddress { unsafe address(handle) }
    }

    /// A slot set to `blank`, or `nil` when the table is full.
    public mutating func take() -> Int32? {
        if let handle = freeList.popLast() {
            count &+= 1
            self[handle] = blank
            return handle
        }
        guard highWater < slabCapacity << Self.slabShift, highWater < Int(Int32.max) else { return nil }
        let slab = highWater >> Self.slabShift
        if unsafe slabs[slab] == nil {
            unsafe slabs[slab] = .allocate(capacity: Self.slabSize)
        }
        let handle = Int32(highWater)
        highWater &+= 1
        count &+= 1
        unsafe address(handle).initialize(to: blank)
        return handle
    }

    /// Makes sure that `handle`, given out by another table, is a slot here too; false when it is beyond the limit.
    public mutating func include(_ handle: Int32) -> Bool {
        while highWater <= Int(handle) {
            guard take() != nil else { return false }
        }
        return true
    }

    /// Gives a slot back; its handle may be handed out again.
    public mutating func give(_ handle: Int32) {
        precondition(handle >= 0 && Int(handle) < highWater)
        freeList.append(handle)
        count &-= 1
    }

    @inline(__always)
    private func address(_ handle: Int32) -> UnsafeMutablePointer<Element> {
        // One comparison covers negative handles too; every slab below the high-water mark is allocated.
        precondition(UInt32(bitPattern: handle) < UInt32(truncatingIfNeeded: highWater))
        let slab = Int(handle) >> Self.slabShift
        return unsafe slabs[slab].unsafelyUnwrapped + (Int(handle) & (Self.slabSize - 1))
    }
}
