// SPDX-License-Identifier: Apache-2.0
import Domain

/// Finds the keyword a word spells: open addressing over 512 slots, one probe for nearly every word, no allocation.
struct KeywordTable {
    /// The longest keyword, `create_replication_slot`, in bytes.
    static let maximumLength = 23

    private struct Slot {
        var text = KeywordText()
        var keyword = Keyword.ordinary
    }

    private let slots: [Slot]

    init() {
        var table = [Slot](repeating: Slot(), count: 512)
        for keyword in Keyword.allCases where keyword != .ordinary {
            var text = KeywordText()
            for (index, byte) in keyword.rawValue.utf8.enumerated() { text.set(byte, at: index) }
            var index = text.slot
            while table[index].keyword != .ordinary { index = (index &+ 1) & 511 }
            table[index] = Slot(text: text, keyword: keyword)
        }
        slots = table
    }

    /// The keyword spelt by lower-case `text`, or `ordinary`.
    func find(_ text: KeywordText) -> Keyword {
        var index = text.slot
        while slots[index].keyword != .ordinary {
            if slots[index].text == text { return slots[index].keyword }
            index = (index &+ 1) & 511
        }
        return .ordinary
    }
}

/// Up to 24 bytes of a word, padded with zeros.
struct KeywordText: Equatable, BitwiseCopyable {
    var word0: UInt64 = 0
    var word1: UInt64 = 0
    var word2: UInt64 = 0

    /// No text.
    init() {}

    /// The lower-case form of `length` bytes, at most 24, from `start` on.
    init(_ sql: RawSpan, _ start: Int, _ length: Int) {
        if start &+ 24 <= sql.byteCount {
            word0 = Self.take(sql.littleEndian64(at: start), length)
            guard length > 8 else { return }
            word1 = Self.take(sql.littleEndian64(at: start &+ 8), length &- 8)
            guard length > 16 else { return }
            word2 = Self.take(sql.littleEndian64(at: start &+ 16), length &- 16)
        } else {
            for index in 0..<length { set(ByteClass.lowercased(sql.byte(at: start &+ index)), at: index) }
        }
    }

    /// The first `length` of eight bytes, in lower case; all of them if there are more.
    private static func take(_ bytes: UInt64, _ length: Int) -> UInt64 {
        let kept = length >= 8 ? bytes : bytes & ((1 &<< UInt64(truncatingIfNeeded: 8 &* length)) &- 1)
        return ByteClass.lowercased(kept)
    }

    /// Sets one byte; `index` is below 24.
    mutating func set(_ byte: UInt8, at index: Int) {
        let shifted = UInt64(byte) &<< UInt64(8 &* (index & 7))
        switch index &>> 3 {
        case 0: word0 |= shifted
        case 1: word1 |= shifted
        default: word2 |= shifted
        }
    }

    /// Where the search for the word begins.
    var slot: Int {
        let mixed = (word0 ^ word1 &* 3 ^ word2 &* 5).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        return Int(truncatingIfNeeded: mixed.high ^ mixed.low) & 511
    }
}
