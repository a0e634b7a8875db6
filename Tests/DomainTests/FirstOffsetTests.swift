// SPDX-License-Identifier: Apache-2.0
import Domain
import TestKit
import Testing

struct FirstOffsetTests {
    /// Looked at eight at once, these are the ones that could be taken for `byte`: its neighbors, and those with another high bit.
    private static func lookalikes(of byte: UInt8) -> [UInt8] {
        [byte ^ 1, byte &+ 1, byte &- 1, byte ^ 0x80, byte ^ 0x81, ~byte]
    }

    @Test(arguments: [UInt8(0), 0x01, 0x28, 0x3B, 0x7F, 0x80, 0xFF])
    func `the first byte that is the one looked for is found, and no other`(_ byte: UInt8) {
        let lookalikes = Self.lookalikes(of: byte)
        var random = SplitMix64(seed: 4711)
        for count in 0...40 {
            for _ in 0..<60 {
                // Rare enough that it also stands far off, or nowhere.
                let bytes = (0..<count).map { _ in
                    UInt8.random(in: 0..<29, using: &random) == 0
                        ? byte : lookalikes[Int.random(in: 0..<lookalikes.count, using: &random)]
                }
                for start in 0...count {
                    #expect(bytes.rawSpan.firstOffset(of: byte, from: start) == bytes[start...].firstIndex(of: byte))
                }
            }
        }
    }

    @Test func `nothing is found outside of the bytes`() {
        let bytes: [UInt8] = [1, 0, 2]
        for start in [3, 4, -1, .min, .max] { #expect(bytes.rawSpan.firstOffset(of: 0, from: start) == nil) }
    }
}
