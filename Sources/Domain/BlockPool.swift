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
        if let block = free[sizeClass].popLast() { return block }
        let base = UnsafeMutableRawPointer.allocate(byteCount: 1 << shift, alignment: 16)
        return unsafe Block(base: base, capacity: 1 << shift)
    }

    /// Takes a block back; large ones are freed at once so that one burst does not stay resident.
    public mutating func give(_ block: Block) {
        guard !block.isNone else { return }
        used -= block.capacity
        let sizeClass = block.capacity.trailingZeroBitCount - Self.smallestShift
        if block.capacity > 1 << 16 || free[sizeClass].count > 1024 {
            unsafe block.base?.deallocate()
        } else {
            free[sizeClass].append(block)
        }
    }
}
