// SPDX-License-Identifier: Apache-2.0
public import Domain

/// A run of whole capture records in one piece of memory.
///
/// One thread fills it; afterwards any number may read it until it is filled again. Whoever shares it sees to that
/// order (``Sendable`` is promised on that ground).
@safe public final class Chunk: @unchecked Sendable {
    /// Usual size; a larger record makes its chunk grow.
    static let usualCapacity = 256 << 10

    private(set) var memory: UnsafeMutableRawBufferPointer
    /// Bytes that hold data.
    var filled = 0

    /// An empty chunk.
    public init() {
        unsafe memory = .allocate(byteCount: Self.usualCapacity, alignment: 64)
    }

    deinit { unsafe memory.deallocate() }

    /// Its bytes.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            let span = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: memory.baseAddress, count: filled))
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    var capacity: Int { unsafe memory.count }

    var room: UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(rebasing: memory[filled..<memory.count])
    }

    /// Appends bytes that came from elsewhere, such as a reassembled datagram; returns where they begin.
    public func append(_ bytes: RawSpan) -> Int {
        ensure(filled + bytes.byteCount)
        let start = filled
        unsafe bytes.withUnsafeBytes { unsafe room.copyMemory(from: $0) }
        filled += bytes.byteCount
        return start
    }

    /// Makes room for `count` bytes in all.
    func ensure(_ count: Int) {
        guard count > capacity else { return }
        let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: max(count, capacity * 2), alignment: 64)
        unsafe larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: memory[0..<filled]))
        unsafe memory.deallocate()
        unsafe memory = larger
    }
}

/// One packet of a chunk.
public struct CaptureRecord: BitwiseCopyable, Sendable {
    /// Where its bytes begin in the chunk.
    public var offset = 0
    /// How many bytes were captured.
    public var captured = 0
    /// How many bytes were on the wire.
    public var length = 0
    /// When it was captured.
    public var time = Timestamp.epoch
    /// The link type's number (tcpdump.org, "Link-layer header types").
    public var linkType: UInt16 = 0

    /// An empty record.
    public init() {}

    /// The captured bytes; `chunk` must be the bytes that ``CaptureFile/next(_:in:)`` found this record in.
    @inlinable @inline(__always)
    @_lifetime(copy chunk)
    public func frame(in chunk: RawSpan) -> RawSpan {
        precondition(offset >= 0 && captured >= 0 && captured <= chunk.byteCount &- offset)
        // In range: just compared.
        return unsafe chunk.extracting(unchecked: offset..<offset &+ captured)
    }
}
