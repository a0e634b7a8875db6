// SPDX-License-Identifier: Apache-2.0
import Domain

/// Names of temporary tables with a counter or a random part, such as `tmp_4711` and `temp_3f2a90c1`: the part that
/// changes becomes `0`.
///
/// The rule looks at the name alone, so that a statement has the same pattern in every session and at every node. A name
/// that says nothing of being temporary stays as it is: `orders_2024` and `orders_2025` are two tables.
enum GeneratedName {
    /// Whether the name in `content` has a digit and says that it is temporary, or `isTemporary` says so.
    static func isGenerated(_ sql: RawSpan, _ content: Range<Int>, isTemporary: Bool) -> Bool {
        guard sql.hasDigit(in: content) else { return false }
        if isTemporary { return true }
        var start = content.lowerBound
        while start < content.upperBound {
            let end = lettersEnd(sql, from: start, limit: content.upperBound)
            if isMark(sql, start..<end) { return true }
            start = end &+ 1
        }
        return false
    }

    /// Whether a word of a name says that what it names is temporary.
    private static func isMark(_ sql: RawSpan, _ word: Range<Int>) -> Bool {
        guard word.count >= 3, word.count <= 9, sql.byte(at: word.lowerBound) | 0x20 == UInt8(ascii: "t") else {
            return false
        }
        return isEqual(sql, word, "tmp") || isEqual(sql, word, "temp") || isEqual(sql, word, "temporary")
            || isEqual(sql, word, "temptable") || isEqual(sql, word, "tmptable") || isEqual(sql, word, "temptbl")
            || isEqual(sql, word, "tmptbl")
    }

    private static func isEqual(_ sql: RawSpan, _ word: Range<Int>, _ text: StaticString) -> Bool {
        guard word.count == text.utf8CodeUnitCount else { return false }
        for index in 0..<word.count {
            guard unsafe sql.byte(at: word.lowerBound &+ index) | 0x20 == text.utf8Start[index] else { return false }
        }
        return true
    }

    private static func lettersEnd(_ sql: RawSpan, from start: Int, limit: Int) -> Int {
        var end = start
        while end < limit, isLetter(sql.byte(at: end)) { end &+= 1 }
        return end
    }

    fileprivate static func isLetter(_ byte: UInt8) -> Bool { byte >= 0x80 || (byte | 0x20) &- 0x61 < 26 }

    fileprivate static func isHexadecimal(_ byte: UInt8) -> Bool {
        ByteClass.isDigit(byte) || (byte | 0x20) &- 0x61 < 6
    }

    /// Appends the name with `0` for each counter and random part.
    static func append(_ sql: RawSpan, _ content: Range<Int>, lowercase: Bool, to buffer: inout PatternBuffer) {
        var start = content.lowerBound
        var followsRandom = false
        while start < content.upperBound {
            // `tmp` stays even where a random part follows without a separator.
            var end = lettersEnd(sql, from: start, limit: content.upperBound)
            if end < content.upperBound, isMark(sql, start..<end) {
                buffer.append(sql, start..<end, lowercase: lowercase)
                start = end
            }
            end = start
            var form = Form()
            while end < content.upperBound, form.take(sql.byte(at: end)) { end &+= 1 }
            if end == start {
                // A separator; the parts of a UUID belong together.
                buffer.append(sql, start..<(start &+ 1), lowercase: false)
                start &+= 1
                continue
            }
            let isRandom =
                form.isASCII && form.digits > 0 && (form.isHexadecimal && form.length >= 8 || form.turns >= 2)
                || followsRandom && form.isHexadecimal && form.length >= 4
            var kept = start
            if !isRandom {
                kept = end
                while kept > start, ByteClass.isDigit(sql.byte(at: kept &- 1)) { kept &-= 1 }
            }
            buffer.append(sql, start..<kept, lowercase: lowercase)
            if isRandom, start == content.lowerBound, isLetter(sql.byte(at: start)) {
                // A name that begins with a letter still does, so that it needs no quotes.
                let isUpper = !lowercase && sql.byte(at: start) & 0x20 == 0
                buffer.append(isUpper ? UInt8(ascii: "X") : UInt8(ascii: "x"))
            }
            if kept < end { buffer.append(UInt8(ascii: "0")) }
            followsRandom = isRandom || followsRandom && form.digits == form.length
            start = end
        }
    }

    /// What a run of letters and digits is made of.
    private struct Form {
        var length = 0, digits = 0
        /// How often a digit follows a letter.
        var turns = 0
        var isHexadecimal = true
        var isASCII = true
        private var isAfterLetter = false

        /// Takes the next byte; false if it is neither.
        mutating func take(_ byte: UInt8) -> Bool {
            let isDigit = ByteClass.isDigit(byte)
            guard isDigit || GeneratedName.isLetter(byte) else { return false }
            length &+= 1
            if isDigit {
                digits &+= 1
                if isAfterLetter { turns &+= 1 }
            }
            isAfterLetter = !isDigit
            isASCII = isASCII && byte < 0x80
            isHexadecimal = isHexadecimal && GeneratedName.isHexadecimal(byte)
            return true
        }
    }
}

extension RawSpan {
    /// Whether a digit stands in `range`; eight bytes at a time, as every name of a statement is looked at.
    @inline(__always)
    func hasDigit(in range: Range<Int>) -> Bool {
        let length = range.upperBound &- range.lowerBound
        if length < 8 {
            guard range.lowerBound &+ 8 <= byteCount else { return hasDigit(inEnd: range) }
            // The bytes behind the name are masked out.
            let kept = (1 &<< UInt64(truncatingIfNeeded: 8 &* length)) &- 1 as UInt64
            return Self.hasDigit(littleEndian64(at: range.lowerBound) & kept)
        }
        var offset = range.lowerBound
        while offset &+ 8 < range.upperBound {
            if Self.hasDigit(littleEndian64(at: offset)) { return true }
            offset &+= 8
        }
        return Self.hasDigit(littleEndian64(at: range.upperBound &- 8))
    }

    @inline(never)
    private func hasDigit(inEnd range: Range<Int>) -> Bool {
        for offset in range where ByteClass.isDigit(byte(at: offset)) { return true }
        return false
    }

    /// Whether one of eight bytes is a digit.
    @inline(__always)
    private static func hasDigit(_ bytes: UInt64) -> Bool {
        let heptets = bytes & 0x7F7F_7F7F_7F7F_7F7F
        let from0 = heptets &+ 0x5050_5050_5050_5050
        let above9 = heptets &+ 0x4646_4646_4646_4646
        return ~bytes & (from0 & ~above9) & 0x8080_8080_8080_8080 != 0
    }
}

extension Token {
    /// Where a name's text stands, without its quotes; `nil` if the token is no name.
    var content: Range<Int>? {
        switch kind {
        case .word: start..<end
        case .quoted: (start &+ 1)..<max(start &+ 1, end &- 1)
        case .unicodeQuoted: (start &+ 3)..<max(start &+ 3, end &- 1)
        default: nil
        }
    }
}
