// SPDX-License-Identifier: Apache-2.0
import Domain
import TestKit
import Testing

struct AccountNameTests {
    private func text(_ bytes: [UInt8]) -> String { String(accountName: bytes.rawSpan) }

    @Test func `a name in UTF-8 and NFC stands for itself`() {
        for name in ["alice", "Mixed Case", "größe", "café", "用户", "ไทยแท้", "a\\b", "👩‍👩‍👧", ""] {
            #expect(text(Array(name.utf8)) == name)
        }
    }

    @Test func `names that differ in a byte are different texts`() {
        let names: [[UInt8]] = [
            Array("caf\u{E9}".utf8), Array("cafe\u{301}".utf8), [0x6D, 0xFC, 0x6C], [0x6D, 0xF6, 0x6C],
            Array("m\u{FFFD}l".utf8),
            Array("m\u{FFFD}fcl".utf8), Array("\u{212B}".utf8), Array("\u{C5}".utf8), Array("A\u{30A}".utf8), [0xC3],
            [0xC3, 0xC3],
            Array("\u{AC00}".utf8), Array("\u{1100}\u{1161}".utf8), Array("a\u{323}\u{307}".utf8),
            Array("a\u{307}\u{323}".utf8),
        ]
        #expect(Set(names.map(text)).count == names.count)
        for name in names { #expect(text(name).accountNameBytes == name) }
        #expect(text([0x6D, 0xFC, 0x6C]) == "m\u{FFFD}fcl")
    }

    @Test func `any bytes come back from their text`() {
        var random = SplitMix64(seed: 7)
        var seen: [String: [UInt8]] = [:]
        let pieces: [[UInt8]] = [
            [0x41], [0xCC, 0x81], [0x65], [0xC3, 0xA9], [0xEF, 0xBF, 0xBD], [0xFC], [0x66, 0x63], [0xE1, 0x84, 0x80],
        ]
        for _ in 0..<20_000 {
            let name = (0..<Int.random(in: 0...4, using: &random)).flatMap { _ in
                pieces.randomElement(using: &random) ?? []
            }
            let shown = text(name)
            #expect(shown.accountNameBytes == name)
            #expect(seen.updateValue(name, forKey: shown) ?? name == name, "\(shown)")
        }
    }
}
