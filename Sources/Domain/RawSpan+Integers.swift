// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Checked, unaligned integer reads: the one place where bytes from outside become numbers.
///
/// Every read outside the span traps instead of reading foreign memory, so callers compare with `byteCount` first.
extension RawSpan {
    /// The byte at `offset`.
    public func byte(at offset: Int) -> UInt8 {
        unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }

    /// The 16-bit number in network byte order at `offset`.
    public func bigEndian16(at offset: Int) -> UInt16 {
        unsafe UInt16(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }

    /// The 32-bit number in network byte order at `offset`.
    public func bigEndian32(at offset: Int) -> UInt32 {
        unsafe UInt32(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    /// The 64-bit number in network byte order at `offset`.
    public func bigEndian64(at offset: Int) -> UInt64 {
        unsafe UInt64(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    /// The 16-bit number in little-endian order at `offset`.
    public func littleEndian16(at offset: Int) -> UInt16 {
        unsafe UInt16(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }

    /// The 32-bit number in little-endian order at `offset`.
    public func littleEndian32(at offset: Int) -> UInt32 {
        unsafe UInt32(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    /// The 64-bit number in little-endian order at `offset`.
    public func littleEndian64(at offset: Int) -> UInt64 {
        unsafe UInt64(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    /// The offset of the first `byte` at or after `start`, or `nil`.
    @inlinable @inline(__always)
    public func firstOffset(of byte: UInt8, from start: Int) -> Int? {
        guard start < byteCount, start >= 0 else { return nil }
        // Names are empty more often than not: worth a look before a call.
        if unsafe unsafeLoad(fromUncheckedByteOffset: start, as: UInt8.self) == byte { return start }
        return laterOffset(of: byte, from: start)
    }

    @usableFromInline @inline(never)
    func laterOffset(of byte: UInt8, from start: Int) -> Int? {
        unsafe withUnsafeBytes { buffer -> Int? in
            guard let base = buffer.baseAddress,
                let found = unsafe memchr(base + start, Int32(byte), buffer.count - start)
            else { return nil }
            return unsafe UnsafeRawPointer(found) - base
        }
    }
}

extension [UInt8] {
    /// The array's bytes as the currency of the stages.
    public var rawSpan: RawSpan {
        @_lifetime(borrow self)
        get { unsafe span.bytes }
    }
}
