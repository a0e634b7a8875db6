// SPDX-License-Identifier: Apache-2.0
import CVector

#if arch(x86_64)
import _Builtin_intrinsics.intel.sse2
#endif

/// Which of 64 bytes are of the classes the skeleton scanner looks for: bit `i` of a mask speaks of byte `i`.
@safe struct ByteBlock: Equatable {
    /// Bytes that the scanner reads from a block's beginning: the block, and what copies of runs read too much.
    static let reach = 80

    /// Letters, digits, `_`, `$` and bytes above 127.
    private(set) var word: UInt64 = 0
    /// `0` to `9`.
    private(set) var digit: UInt64 = 0
    /// Apostrophes.
    private(set) var quote: UInt64 = 0
    /// Bytes behind an odd number of apostrophes.
    private(set) var inside: UInt64 = 0
    /// Double quotes outside of strings.
    private(set) var doubleQuote: UInt64 = 0
    /// Bytes behind an odd number of these.
    private(set) var insideDouble: UInt64 = 0
    /// `;`, `$`, the first byte of `--` and `/*`, and `e` before a sign.
    private(set) var rare: UInt64 = 0

    private typealias Bytes = SIMD16<UInt8>
    private typealias Signed = SIMD16<Int8>
    private typealias Mask = SIMDMask<SIMD16<Int8>>

    /// Whether the processor has what the fastest way needs.
    static func canUseWide() -> Bool {
        #if arch(x86_64)
        return pgweir_can_classify() != 0
        #else
        return false
        #endif
    }

    /// Classifies the 64 bytes at `address`; ``reach`` bytes can be read there.
    ///
    /// - Parameters:
    ///   - inString: all ones if the bytes begin inside a string, else 0.
    ///   - isWide: 32 bytes at a time; only where ``canUseWide()``.
    @inline(__always)
    init(_ address: UnsafeRawPointer, inString: UInt64, isWide: Bool) {
        #if arch(x86_64)
        if isWide {
            var classes = pgweir_classes()
            // In range: it reads fewer than `reach` bytes.
            unsafe pgweir_classify(address, inString, &classes)
            (word, digit, quote, inside) = (classes.word, classes.digit, classes.quote, classes.inside)
            (doubleQuote, insideDouble) = (classes.double_quote, classes.inside_double)
            rare = classes.rare
            return
        }
        #endif
        for part in 0..<4 {
            let shift = UInt64(truncatingIfNeeded: 16 &* part)
            // In range: 16 * 3 + 1 + 16 bytes are fewer than `reach`.
            let bytes = unsafe address.loadUnaligned(fromByteOffset: 16 &* part, as: Bytes.self)
            word |= Self.bits(Self.isWord(bytes)) &<< shift
            digit |= Self.bits(Self.isBelow(10, bytes &- Bytes(repeating: 0x30))) &<< shift
            quote |= Self.bits(Self.equals(bytes, 0x27)) &<< shift
            doubleQuote |= Self.bits(Self.equals(bytes, 0x22)) &<< shift
            rare |= unsafe Self.bits(Self.isRare(bytes, address, part)) &<< shift
        }
        inside = Self.prefixXor(quote) ^ inString
        doubleQuote &= ~inside
        insideDouble = Self.prefixXor(doubleQuote)
    }

    /// Bit `i` of the result: whether an odd number of bits up to and with bit `i` are set.
    private static func prefixXor(_ mask: UInt64) -> UInt64 {
        var result = mask
        result ^= result &<< 1
        result ^= result &<< 2
        result ^= result &<< 4
        result ^= result &<< 8
        result ^= result &<< 16
        result ^= result &<< 32
        return result
    }

    @inline(__always)
    private static func isRare(_ bytes: Bytes, _ address: UnsafeRawPointer, _ part: Int) -> Mask {
        // In range: as in `init`.
        let after = unsafe address.loadUnaligned(fromByteOffset: 16 &* part &+ 1, as: Bytes.self)
        let dash = equals(after, 0x2D)
        let comment = equals(bytes, 0x2D) .& dash .| (equals(bytes, 0x2F) .& equals(after, 0x2A))
        let exponent = (equals(bytes, 0x65) .| equals(bytes, 0x45)) .& (dash .| equals(after, 0x2B))
        return comment .| exponent .| (equals(bytes, 0x3B) .| equals(bytes, 0x24))
    }

    @inline(__always)
    private static func isWord(_ bytes: Bytes) -> Mask {
        let folded = unsafe unsafeBitCast(
            unsafeBitCast(bytes, to: Mask.self) .| unsafeBitCast(Bytes(repeating: 0x20), to: Mask.self),
            to: Bytes.self
        )
        let letter = isBelow(26, folded &- Bytes(repeating: 0x61))
        let digit = isBelow(10, bytes &- Bytes(repeating: 0x30))
        let high = unsafe unsafeBitCast(bytes, to: Signed.self) .< Signed(repeating: 0)
        return (letter .| digit) .| (high .| (equals(bytes, 0x5F) .| equals(bytes, 0x24)))
    }

    /// Which unsigned bytes are below `limit`, which is at most 127.
    @inline(__always)
    private static func isBelow(_ limit: Int8, _ bytes: Bytes) -> Mask {
        let shifted = unsafe unsafeBitCast(bytes &+ Bytes(repeating: 0x80), to: Signed.self)
        return shifted .< Signed(repeating: -128 &+ limit)
    }

    @inline(__always)
    private static func equals(_ bytes: Bytes, _ byte: Int8) -> Mask {
        unsafe unsafeBitCast(bytes, to: Signed.self) .== Signed(repeating: byte)
    }

    /// The 16 lanes of a mask as 16 bits.
    @inline(__always)
    private static func bits(_ mask: Mask) -> UInt64 {
        #if arch(x86_64)
        return unsafe UInt64(UInt32(bitPattern: _mm_movemask_epi8(unsafeBitCast(mask, to: SIMD2<Int64>.self))))
        #else
        // The multiplication gathers the top bits of 8 bytes in one.
        let lanes = unsafe unsafeBitCast(mask, to: SIMD2<UInt64>.self)
        let low = ((lanes[0] & 0x8080_8080_8080_8080) &* 0x0002_0408_1020_4081) &>> 56
        let high = ((lanes[1] & 0x8080_8080_8080_8080) &* 0x0002_0408_1020_4081) &>> 56
        return low | high &<< 8
        #endif
    }
}
