// SPDX-License-Identifier: Apache-2.0

/// A fast 128-bit hash of bytes, keyed so that nobody outside can choose texts that collide.
///
/// The mixing step is the folded 64×64→128-bit multiplication of wyhash (Wang Yi, 2019); it is not a cryptographic
/// hash. All nodes that share a store must be given the same key.
public struct KeyedHash: Sendable, BitwiseCopyable, Equatable {
    @usableFromInline let key0: UInt64
    @usableFromInline let key1: UInt64

    /// The key used when the configuration names none, so that replays of one capture agree everywhere.
    public static let standard = KeyedHash(seed: 0x7067_7765_6972_2031)

    /// A hash keyed by `seed`; any value will do.
    public init(seed: UInt64) {
        key0 = Self.fold(seed ^ 0xA076_1D64_78BD_642F, 0xE703_7ED1_A0B4_28DB)
        key1 = Self.fold(seed ^ 0x8EBC_6AF0_9C88_C6E3, 0x5899_65CC_7537_4CC3)
    }

    /// The hash of `bytes`.
    ///
    /// No allocation; about 0.2 ns a byte.
    public func hash(_ bytes: RawSpan) -> Fingerprint {
        let count = bytes.byteCount
        var offset = 0
        var left = count
        var high = key0 ^ UInt64(truncatingIfNeeded: count)
        var low = key1 ^ (UInt64(truncatingIfNeeded: count) &* 0x8EBC_6AF0_9C88_C6E3)
        while left > 32 {
            // More than the 32 bytes read here are left.
            let word0 = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self).littleEndian
            let word1 = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset &+ 8, as: UInt64.self)
                .littleEndian
            let word2 = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset &+ 16, as: UInt64.self)
                .littleEndian
            let word3 = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset &+ 24, as: UInt64.self)
                .littleEndian
            (high, low) = round(high, low, word0, word1, word2, word3)
            offset &+= 32
            left &-= 32
        }
        var word0: UInt64 = 0
        var word1: UInt64 = 0
        var word2: UInt64 = 0
        var word3: UInt64 = 0
        if left > 16 {
            word0 = bytes.littleEndian64(at: offset)
            word1 = bytes.littleEndian64(at: offset &+ 8)
            word2 = bytes.littleEndian64(at: count &- 16)
            word3 = bytes.littleEndian64(at: count &- 8)
        } else if left >= 8 {
            word0 = bytes.littleEndian64(at: offset)
            word1 = bytes.littleEndian64(at: count &- 8)
        } else if left >= 4 {
            word0 = UInt64(bytes.littleEndian32(at: offset))
            word1 = UInt64(bytes.littleEndian32(at: count &- 4))
        } else if left > 0 {
            word0 = UInt64(bytes.byte(at: offset)) &<< 16
            word0 |= UInt64(bytes.byte(at: offset &+ (left &>> 1))) &<< 8
            word0 |= UInt64(bytes.byte(at: count &- 1))
        }
        (high, low) = round(high, low, word0, word1, word2, word3)
        return Fingerprint(
            high: Self.fold(high ^ key0, low ^ 0x5899_65CC_7537_4CC3),
            low: Self.fold(low ^ key1, high ^ 0xA076_1D64_78BD_642F)
        )
    }

    /// The hash of a pair of words, such as the halves of a flow key.
    @inlinable @inline(__always)
    public func hash(_ first: UInt64, _ second: UInt64) -> UInt64 {
        Self.fold(first ^ key0, second ^ key1)
    }

    /// Mixes 32 bytes into both halves with two multiplications, each of which keeps all 128 bits of its product.
    @inline(__always)
    private func round(
        _ high: UInt64,
        _ low: UInt64,
        _ word0: UInt64,
        _ word1: UInt64,
        _ word2: UInt64,
        _ word3: UInt64
    ) -> (UInt64, UInt64) {
        let first = (word0 ^ high).multipliedFullWidth(by: word1 ^ key1)
        let second = (word2 ^ low).multipliedFullWidth(by: word3 ^ key0)
        return (first.high ^ second.low, second.high ^ first.low)
    }

    @inlinable @inline(__always)
    static func fold(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.low ^ product.high
    }
}
