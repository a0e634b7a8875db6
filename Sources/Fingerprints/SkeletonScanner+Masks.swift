// SPDX-License-Identifier: Apache-2.0

/// Arithmetic on the masks of a ``ByteBlock``.
extension SkeletonScanner {
    /// The runs of `mask` from each of `starts` upwards: adding a bit carries through the ones above it.
    @inline(__always)
    static func flood(_ mask: UInt64, _ starts: UInt64) -> UInt64 {
        mask & ~(mask &+ starts)
    }

    /// Bit 63 if a digit stands at `address`, else 0.
    @inline(__always)
    static func firstDigit(_ address: UnsafeRawPointer) -> UInt64 {
        // In range: the caller's block reaches 80 bytes.
        unsafe ByteClass.isDigit(address.load(as: UInt8.self)) ? 1 &<< 63 : 0
    }

    /// The rare bytes of a block by kind.
    struct RareMasks {
        /// Semicolons and the beginnings of comments.
        var stops: UInt64 = 0
        var dollars: UInt64 = 0
        /// `e` before a sign; `dottedExponents` if a dot stands before it.
        var exponents: UInt64 = 0
        var dottedExponents: UInt64 = 0
    }

    /// Sorts the `rare` bytes of the block at `address`; `followsDot`: the byte before the block is a dot.
    @inline(never)
    static func sortRare(_ address: UnsafeRawPointer, _ rare: UInt64, followsDot: Bool) -> RareMasks {
        var result = RareMasks()
        var left = rare
        while left != 0 {
            let at = left.trailingZeroBitCount
            let bit = left & (0 &- left)
            left ^= bit
            // In range: `at` is below 64.
            switch unsafe address.load(fromByteOffset: at, as: UInt8.self) {
            case UInt8(ascii: "$"): result.dollars |= bit
            case UInt8(ascii: "e"), UInt8(ascii: "E"):
                result.exponents |= bit
                let isDotted =
                    at == 0
                    ? followsDot
                    : unsafe address.load(fromByteOffset: at &- 1, as: UInt8.self) == UInt8(ascii: ".")
                if isDotted { result.dottedExponents |= bit }
            default: result.stops |= bit
            }
        }
        return result
    }
}
