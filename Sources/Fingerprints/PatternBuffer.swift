// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc

/// The pattern text under construction: fixed memory, whatever the length of the pattern.
///
/// Positions count the bytes written since ``clear()``, less those taken back. The last ``window`` bytes can be read
/// again and taken back; what lies further behind is folded into a running hash, `chunk` bytes at a time.
@safe struct PatternBuffer: ~Copyable {
    /// How far back the text can be read or cut.
    static let window = 32 * 1024
    private static let chunk = 32 * 1024
    /// The running hash stands in front of the text, so that one call hashes both.
    private static let header = 16

    /// `header + window + chunk` bytes, and room for one unaligned store behind them.
    private let memory: UnsafeMutableRawPointer
    private let hash: KeyedHash
    /// Bytes in memory behind the header; below `window + chunk` between calls.
    private var count = 0
    /// Bytes hashed and dropped already, a multiple of `chunk`.
    private var dropped = 0
    /// The beginning of the text, kept when it is dropped, up to this many bytes.
    private var headLimit = 0
    private var head: [UInt8] = []

    init(hash: KeyedHash) {
        self.hash = hash
        unsafe memory = .allocate(byteCount: Self.header + Self.window + Self.chunk + 8, alignment: 16)
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: Self.header + Self.window + Self.chunk + 8)
    }

    deinit { unsafe memory.deallocate() }

    /// The length of the text.
    var position: Int { dropped &+ count }

    /// Forgets the text; keeps up to `headLimit` bytes of the next one for ``text(limit:)``.
    mutating func clear(headLimit: Int = 0) {
        count = 0
        dropped = 0
        self.headLimit = headLimit
        head = []
    }

    /// Appends one byte.
    @inline(__always)
    mutating func append(_ byte: UInt8) {
        // In range: count < window + chunk here, and makeRoom() restores that.
        unsafe memory.storeBytes(of: byte, toByteOffset: Self.header &+ count, as: UInt8.self)
        count &+= 1
        if count == Self.window &+ Self.chunk { dropChunk() }
    }

    /// Appends a byte of each character of ASCII `text`.
    mutating func append(_ text: StaticString) {
        for index in 0..<text.utf8CodeUnitCount { unsafe append(text.utf8Start[index]) }
    }

    /// Appends the two hexadecimal digits of a byte.
    mutating func appendHexadecimal(_ byte: UInt8) {
        append(Self.hexadecimal(byte &>> 4))
        append(Self.hexadecimal(byte & 15))
    }

    private static func hexadecimal(_ digit: UInt8) -> UInt8 {
        digit < 10 ? UInt8(ascii: "0") &+ digit : UInt8(ascii: "A") &+ digit &- 10
    }

    /// Appends the bytes of `range`, in lower case if asked to.
    mutating func append(_ sql: RawSpan, _ range: Range<Int>, lowercase: Bool) {
        var offset = range.lowerBound
        while offset &+ 8 <= range.upperBound, count &+ 8 < Self.window &+ Self.chunk {
            let bytes = sql.littleEndian64(at: offset)
            let folded = (lowercase ? ByteClass.lowercased(bytes) : bytes).littleEndian
            // In range: count + 8 < window + chunk.
            unsafe memory.storeBytes(of: folded, toByteOffset: Self.header &+ count, as: UInt64.self)
            count &+= 8
            offset &+= 8
        }
        while offset < range.upperBound {
            let byte = sql.byte(at: offset)
            append(lowercase ? ByteClass.lowercased(byte) : byte)
            offset &+= 1
        }
    }

    /// Takes back everything from `position` on; nothing if that is no longer in memory.
    mutating func truncate(to position: Int) {
        guard position >= dropped, position <= self.position else { return }
        count = position &- dropped
    }

    /// Whether two stretches of the text, both within the window, are the same.
    func isEqual(_ first: Int, _ second: Int, length: Int) -> Bool {
        guard length >= 0, first >= dropped, second >= dropped, first &+ length <= position,
            second &+ length <= position
        else { return false }
        // In range: both stretches lie between `dropped` and `position`.
        return unsafe memcmp(
            memory + Self.header + (first &- dropped),
            memory + Self.header + (second &- dropped),
            length
        ) == 0
    }

    /// The hash of the text from `start`, which is within the window, to its end.
    func hashOfTail(from start: Int) -> UInt64 {
        let offset = Self.header &+ min(max(start, dropped), position) &- dropped
        return hash.hash(bytes(offset..<(Self.header &+ count))).low
    }

    /// The key of the whole text.
    var fingerprint: Fingerprint {
        hash.hash(bytes((dropped == 0 ? Self.header : 0)..<(Self.header &+ count)))
    }

    /// The first `limit` bytes of the text; `limit` is at most what ``clear(headLimit:)`` was told.
    func text(limit: Int) -> [UInt8] {
        guard dropped == 0 else { return head }
        let text = bytes(Self.header..<(Self.header &+ min(count, limit)))
        return (0..<text.byteCount).map { text.byte(at: $0) }
    }

    @_lifetime(borrow self)
    private func bytes(_ range: Range<Int>) -> RawSpan {
        precondition(range.lowerBound >= 0 && range.upperBound <= Self.header + Self.window + Self.chunk)
        let buffer = unsafe UnsafeRawBufferPointer(start: memory + range.lowerBound, count: range.count)
        return unsafe _overrideLifetime(RawSpan(_unsafeBytes: buffer), borrowing: self)
    }

    /// Folds the oldest chunk into the running hash and moves the rest down.
    @inline(never)
    private mutating func dropChunk() {
        if dropped == 0, headLimit > 0 { head = text(limit: headLimit) }
        let first = dropped == 0 ? Self.header : 0
        let key = hash.hash(bytes(first..<(Self.header &+ Self.chunk)))
        unsafe memory.storeBytes(of: key.high.littleEndian, as: UInt64.self)
        unsafe memory.storeBytes(of: key.low.littleEndian, toByteOffset: 8, as: UInt64.self)
        // In range: the window behind the first chunk moves to where the chunk was.
        unsafe memmove(memory + Self.header, memory + Self.header + Self.chunk, Self.window)
        count &-= Self.chunk
        dropped &+= Self.chunk
    }
}
