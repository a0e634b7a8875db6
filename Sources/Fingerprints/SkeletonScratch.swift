// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc

/// The memory a skeleton is built in: its text, where its literals stand, and a padded copy of the text's end.
@safe struct SkeletonScratch: ~Copyable {
    /// Skeletons longer than this, in bytes, are not built.
    static let capacity = 16 * 1024
    /// Skeletons of more literals are not built.
    static let literalCapacity = 4 * 1024
    /// What one block can add, stores of whole vectors included.
    static let slack = 160

    private static let tailSize = 2 * ByteBlock.reach
    private static let tailOffset = 0
    private static let literalOffset = tailSize
    private static let textOffset = literalOffset + literalCapacity * MemoryLayout<UInt32>.stride
    private static let size = textOffset + capacity + slack

    private let memory: UnsafeMutableRawPointer
    /// Bytes of the skeleton; at most `capacity + slack`.
    private(set) var count = 0
    /// Literals in the skeleton; at most `literalCapacity`.
    private(set) var literals = 0

    init() {
        unsafe memory = .allocate(byteCount: Self.size, alignment: 16)
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: Self.size)
    }

    deinit { unsafe memory.deallocate() }

    /// Whether another block, of at most 64 bytes and literals, fits.
    var hasRoom: Bool { count <= Self.capacity - 64 && literals <= Self.literalCapacity - 64 }

    mutating func clear() {
        count = 0
        literals = 0
    }

    /// A copy of the last `length` bytes of a text, fewer than ``ByteBlock/reach``, with zeros behind it.
    @inline(__always)
    func tail(_ source: UnsafeRawPointer, _ length: Int) -> UnsafeRawPointer {
        precondition(length >= 0 && length < ByteBlock.reach)
        // In range: the tail area is twice `reach` long.
        unsafe memset(memory, 0, Self.tailSize)
        unsafe memcpy(memory, source, length)
        return unsafe UnsafeRawPointer(memory)
    }

    /// Appends `length` bytes, at most 64; copies whole vectors, so up to 15 bytes more are read and overwritten.
    @inline(__always)
    mutating func append(_ source: UnsafeRawPointer, _ length: Int) {
        var done = 0
        let target = unsafe memory + (Self.textOffset &+ count)
        // In range: `hasRoom` held before the block, a block adds at most 64 bytes, and the slack takes the overrun.
        repeat {
            let bytes = unsafe source.loadUnaligned(fromByteOffset: done, as: SIMD16<UInt8>.self)
            unsafe target.storeBytes(of: bytes, toByteOffset: done, as: SIMD16<UInt8>.self)
            done &+= 16
        } while done < length
        count &+= length
    }

    /// Appends one byte; between two checks of ``hasRoom`` at most 64 beyond those of a block.
    @inline(__always)
    mutating func append(_ byte: UInt8) {
        unsafe memory.storeBytes(of: byte, toByteOffset: Self.textOffset &+ count, as: UInt8.self)
        count &+= 1
    }

    /// Appends the mark of a literal that stands at `offset` in the text.
    @inline(__always)
    mutating func appendLiteral(_ mark: UInt8, at offset: Int) {
        append(mark)
        // In range: `hasRoom` held before the block, and a block has at most 64 literals.
        unsafe memory.storeBytes(
            of: UInt32(truncatingIfNeeded: offset),
            toByteOffset: Self.literalOffset &+ 4 &* literals,
            as: UInt32.self
        )
        literals &+= 1
    }

    /// The byte at `index` of the skeleton; 0 in front of it.
    @inline(__always)
    func byte(_ index: Int) -> UInt8 {
        precondition(index < count)
        return index < 0 ? 0 : unsafe memory.load(fromByteOffset: Self.textOffset &+ index, as: UInt8.self)
    }

    /// The key of the skeleton whose own key is `key` together with the ordinals among its first 64 literals, which stand
    /// in `sql`: those whose bits are set in `mask`.
    func fingerprint(_ key: Fingerprint, _ mask: UInt64, in sql: RawSpan, _ hash: KeyedHash) -> Fingerprint {
        // In range: 16 bytes and two for each of 64 ordinals, where the copy of a text's end is no longer needed.
        unsafe memory.storeBytes(of: key.high.littleEndian, as: UInt64.self)
        unsafe memory.storeBytes(of: key.low.littleEndian, toByteOffset: 8, as: UInt64.self)
        var end = 16
        var left = mask
        while left != 0 {
            let index = left.trailingZeroBitCount
            left &= left &- 1
            let value = index < literals ? Ordinal.value(at: literal(index), in: sql) : 0
            let stored = UInt16(truncatingIfNeeded: value).littleEndian
            unsafe memory.storeBytes(of: stored, toByteOffset: end, as: UInt16.self)
            end &+= 2
        }
        return unsafe hash.hash(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: memory, count: end)))
    }

    /// Whether two stretches of the skeleton are the same.
    @inline(__always)
    func isEqual(_ first: Int, _ second: Int, length: Int) -> Bool {
        precondition(first >= 0 && second >= 0 && length >= 0 && first &+ length <= count && second &+ length <= count)
        if length == 2 {
            let left = unsafe memory.loadUnaligned(fromByteOffset: Self.textOffset &+ first, as: UInt16.self)
            return unsafe left == memory.loadUnaligned(fromByteOffset: Self.textOffset &+ second, as: UInt16.self)
        }
        return unsafe memcmp(memory + Self.textOffset + first, memory + Self.textOffset + second, length) == 0
    }

    /// Takes back what stands behind the first `count` bytes, `literals` literals among them.
    @inline(__always)
    mutating func truncate(to count: Int, literals: Int) {
        precondition(count >= 0 && count <= self.count && literals >= 0 && literals <= self.literals)
        self.count = count
        self.literals = literals
    }

    /// How many parentheses and brackets open in the skeleton.
    var openings: Int {
        var found = 0
        for index in 0..<count {
            let byte = byte(index)
            if byte == UInt8(ascii: "(") || byte == UInt8(ascii: "[") { found &+= 1 }
        }
        return found
    }

    /// Where literal number `index` stands in the text.
    func literal(_ index: Int) -> Int {
        precondition(index >= 0 && index < literals)
        return Int(unsafe memory.load(fromByteOffset: Self.literalOffset &+ 4 &* index, as: UInt32.self))
    }

    /// The number of the literal that stands at `offset` in the text, if it is in the skeleton.
    func number(ofLiteralAt offset: Int) -> Int? {
        (0..<literals).last { literal($0) == offset }
    }

    /// The key of the skeleton.
    func fingerprint(_ hash: KeyedHash) -> Fingerprint {
        let bytes = unsafe UnsafeRawBufferPointer(start: memory + Self.textOffset, count: count)
        return unsafe hash.hash(RawSpan(_unsafeBytes: bytes))
    }
}
