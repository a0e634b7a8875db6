// SPDX-License-Identifier: Apache-2.0

#if DEBUG || SLOT_CHECKS
/// Which handle each slot of a ``SlotTable`` answers to: this makes a fault of every use of a handle whose slot was
/// given back, and of giving one back twice.
///
/// It exists in debug and fuzz builds only. There a handle is the slot's place with, above it, a generation that is
/// another one each time the slot is taken; in all other builds a handle is the place itself, and nothing is kept.
@safe struct SlotOwners: ~Copyable {
    private static var placeBits: Int32 { 22 }
    private static var mostGenerations: Int32 { 511 }
    /// Places that a handle has room for.
    static var mostPlaces: Int { 1 << placeBits }

    /// By place: the handle in use, or the complement of the last one when the slot is free.
    private let slabs: UnsafeMutablePointer<UnsafeMutablePointer<Int32>?>
    private let slabCapacity: Int
    private let slabShift: Int
    /// Whether handles have generations; otherwise only giving back is checked.
    private let isChecked: Bool

    init(slabs capacity: Int, shift: Int, isChecked: Bool) {
        unsafe slabs = .allocate(capacity: capacity)
        unsafe slabs.initialize(repeating: nil, count: capacity)
        (slabCapacity, slabShift, self.isChecked) = (capacity, shift, isChecked)
    }

    deinit {
        for index in 0..<slabCapacity { unsafe slabs[index]?.deallocate() }
        unsafe slabs.deallocate()
    }

    /// Makes room for the places of one more slab.
    func addSlab(_ index: Int) {
        let slab = UnsafeMutablePointer<Int32>.allocate(capacity: 1 << slabShift)
        for offset in 0..<1 << slabShift { unsafe slab[offset] = ~Int32(index << slabShift | offset) }
        unsafe slabs[index] = unsafe slab
    }

    /// Where the slot of a handle stands, whoever holds it now; negative handles have no place.
    func place(of handle: Int32) -> Int32 {
        isChecked && handle >= 0 ? handle & (1 << Self.placeBits - 1) : handle
    }

    /// The handle in use at a place below the high-water mark; `nil`: the slot is free.
    func handle(at place: Int32) -> Int32? {
        guard isChecked else { return place }
        let handle = unsafe owner(place).pointee
        return handle < 0 ? nil : handle
    }

    /// What tells whether a slot is still that of a handle.
    func owner(of handle: Int32, at place: Int32) -> SlotOwner {
        guard isChecked else { return SlotOwner(place: handle) }
        let owner = unsafe SlotOwner(handle: handle, place: place, owner: owner(place))
        owner.check()
        return owner
    }

    /// A free slot is taken; returns its new handle.
    func take(_ place: Int32) -> Int32 {
        let last = unsafe ~owner(place).pointee
        precondition(last >= 0, "a slot in use was handed out again")
        let generation = last >> Self.placeBits % Self.mostGenerations + 1
        let handle = isChecked ? generation << Self.placeBits | place : place
        unsafe owner(place).pointee = handle
        return handle
    }

    /// A slot beside that of another table is taken under its handle.
    func claim(_ handle: Int32) { unsafe owner(place(of: handle)).pointee = handle }

    /// A slot is given back.
    func give(_ handle: Int32, at place: Int32) {
        precondition(unsafe owner(place).pointee == handle, "a slot was given back twice")
        unsafe owner(place).pointee = ~handle
    }

    /// The first `count` places are free again.
    func giveAll(_ count: Int) {
        for place in 0..<Int32(count) {
            let handle = unsafe owner(place).pointee
            if handle >= 0 { unsafe owner(place).pointee = ~handle }
        }
    }

    private func owner(_ place: Int32) -> UnsafeMutablePointer<Int32> {
        // The slab is there: the place is below the high-water mark.
        let slab = unsafe slabs[Int(place) >> slabShift].unsafelyUnwrapped
        return unsafe slab + (Int(place) & (1 << slabShift - 1))
    }
}

/// The handle by which a ``Slot`` was reached.
@safe struct SlotOwner: BitwiseCopyable {
    let handle: Int32
    let place: Int32
    private let owner: UnsafePointer<Int32>?

    init(handle: Int32, place: Int32, owner: UnsafeMutablePointer<Int32>) {
        (self.handle, self.place) = (handle, place)
        unsafe self.owner = unsafe UnsafePointer(owner)
    }

    /// One whose handle is its place.
    init(place: Int32) {
        (handle, self.place) = (place, place)
        unsafe owner = nil
    }

    /// Ends the program if the slot was given back meanwhile.
    func check() {
        if let owner = unsafe owner {
            precondition(unsafe owner.pointee == handle, "a slot was used after it was given back")
        }
    }
}
#else
/// Handles are places, and nothing is kept about them; the checked kind is above.
struct SlotOwners: ~Copyable {
    static var mostPlaces: Int { Int(Int32.max) }

    init(slabs capacity: Int, shift: Int, isChecked: Bool) {}

    @inline(__always)
    func addSlab(_ index: Int) {}
    @inline(__always)
    func place(of handle: Int32) -> Int32 { handle }
    @inline(__always)
    func handle(at place: Int32) -> Int32? { place }
    @inline(__always)
    func owner(of handle: Int32, at place: Int32) -> SlotOwner { SlotOwner(place: place) }
    @inline(__always)
    func take(_ place: Int32) -> Int32 { place }
    @inline(__always)
    func claim(_ handle: Int32) {}
    @inline(__always)
    func give(_ handle: Int32, at place: Int32) {}
    @inline(__always)
    func giveAll(_ count: Int) {}
}

struct SlotOwner: BitwiseCopyable {
    let place: Int32
    @inline(__always)
    var handle: Int32 { place }
    @inline(__always)
    func check() {}
}
#endif
