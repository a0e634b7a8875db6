// SPDX-License-Identifier: Apache-2.0

/// A piece of pooled memory; valid until it is given back to its pool.
@safe public struct Block: BitwiseCopyable {
    fileprivate let base: UnsafeMutableRawPointer?
    // 64 MiB at most: small, as every connection has some.
    private let size: UInt32

    fileprivate init(base: UnsafeMutableRawPointer?, capacity: Int) {
        unsafe self.base = base
        size = UInt32(clamping: capacity)
    }

    /// Usable bytes.
    public var capacity: Int { Int(size) }

    /// No memory at all.
    public static var none: Block { unsafe Block(base: nil, capacity: 0) }

    /// Whether this is no memory at all.
    public var isNone: Bool { unsafe base == nil }

    /// Copies `bytes` to `offset`; what does not fit is left out.
    ///
    /// Returns the number of bytes copied.
    @discardableResult
    public func store(_ bytes: RawSpan, at offset: Int) -> Int {
        let count = min(bytes.byteCount, capacity - offset)
        guard let base = unsafe base, offset >= 0, count > 0 else { return 0 }
        unsafe bytes.withUnsafeBytes { source in
            if let from = source.baseAddress { unsafe (base + offset).copyMemory(from: from, byteCount: count) }
        }
        return count
    }

    /// Stores one byte at `offset`; returns how many fitted.
    @discardableResult
    public func store(_ byte: UInt8, at offset: Int) -> Int {
        guard let base = unsafe base, offset >= 0, offset < capacity else { return 0 }
        unsafe base.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
        return 1
    }

    /// The bytes of `range`, clamped to the block.
    @_lifetime(borrow self)
    public func bytes(_ range: Range<Int>) -> RawSpan {
        let lower = min(max(0, range.lowerBound), capacity)
        let upper = min(max(lower, range.upperBound), capacity)
        let view = unsafe UnsafeRawBufferPointer(start: base, count: capacity)
        let span = unsafe RawSpan(_unsafeBytes: view)
        return unsafe _overrideLifetime(span.extracting(lower..<upper), borrowing: self)
    }
}

/// Memory for bytes that must outlive their packet: one worker's own, with a budget, recycled by size class.
public struct BlockPool: ~Copyable {
    private static let smallestShift = 6
    private static let classes = 21  // 64 B … 64 MiB

    private var free: [[Block]] = Array(repeating: [], count: classes)
    /// The most bytes that may be handed out at once.
    public let budget: Int
    /// Bytes handed out now.
    public private(set) var used = 0
    #if DEBUG || SLOT_CHECKS
    /// The addresses that are handed out, so that a block that is given back twice is noticed.
    private var lent: Set<UInt> = []
    #endif

    /// A pool that hands out at most `budget` bytes.
    public init(budget: Int) {
        self.budget = budget
    }

    deinit {
        for list in free {
            for block in list { unsafe block.base?.deallocate() }
        }
    }

    /// A block of at least `byteCount` bytes (rounded up to a power of two), or `nil` above the budget or 64 MiB, or where it
    /// were more than a quarter of what is left.
    public mutating func take(_ byteCount: Int) -> Block? {
        let shift = max(Self.smallestShift, Int.bitWidth - max(byteCount - 1, 1).leadingZeroBitCount)
        let sizeClass = shift - Self.smallestShift
        guard byteCount >= 0, sizeClass < Self.classes, used + (1 << shift) <= budget else { return nil }
        // Large ones leave room for others' small ones: the fuller the pool, the smaller they must be.
        guard 1 << shift <= 4096 || 1 << shift <= (budget - used) / 4 else { return nil }
        used += 1 << shift
        if let block = free[sizeClass].popLast() {
            noteLent(block)
            return block
        }
        let base = UnsafeMutableRawPointer.allocate(byteCount: 1 << shift, alignment: 16)
        let block = unsafe Block(base: base, capacity: 1 << shift)
        noteLent(block)
        return block
    }

    /// Takes a block back; large ones are freed at once so that one burst does not stay resident.
    public mutating func give(_ block: Block) {
        guard !block.isNone else { return }
        noteBack(block)
        used -= block.capacity
        let sizeClass = block.capacity.trailingZeroBitCount - Self.smallestShift
        if block.capacity > 1 << 16 || free[sizeClass].count > 1024 {
            unsafe block.base?.deallocate()
        } else {
            free[sizeClass].append(block)
        }
    }

    // Debug and fuzz builds check that each block comes back once, and spoil what is read of it afterwards.
    #if DEBUG || SLOT_CHECKS
    private mutating func noteLent(_ block: Block) {
        unsafe lent.insert(UInt(bitPattern: block.base))
    }

    private mutating func noteBack(_ block: Block) {
        guard let base = unsafe block.base else { return }
        precondition(lent.remove(UInt(bitPattern: base)) != nil, "a block was given back twice")
        unsafe base.initializeMemory(as: UInt8.self, repeating: 0xDB, count: block.capacity)
    }
    #else
    @inline(__always)
    private func noteLent(_ block: Block) {}
    @inline(__always)
    private func noteBack(_ block: Block) {}
    #endif
}
