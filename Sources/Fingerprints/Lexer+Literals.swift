// SPDX-License-Identifier: Apache-2.0
import Domain

extension Lexer {
    /// A string whose opening quote stands at `quote`, with the parts that continue it on further lines.
    mutating func scanString(_ sql: RawSpan, from quote: Int, escapes: Bool) -> Token {
        let start = offset
        offset = quote &+ 1
        while let stop = sql.firstOffset(of: UInt8(ascii: "'"), from: offset), stop < end {
            if escapes, skipEscapes(sql, before: stop) { continue }
            offset = stop &+ 1
            if peek(sql, 0) == UInt8(ascii: "'") {
                offset &+= 1
            } else if !takeContinuation(sql) {
                return Token(kind: .string, start: start, end: offset)
            }
        }
        offset = end
        return Token(kind: .unterminated, start: start, end: end)
    }

    /// Looks for backslashes up to the quote at `stop`; `true` if that quote is escaped, the offset then stands behind it.
    private mutating func skipEscapes(_ sql: RawSpan, before stop: Int) -> Bool {
        while offset < stop {
            offset &+= sql.byte(at: offset) == UInt8(ascii: "\\") ? 2 : 1
        }
        return offset > stop
    }

    /// `"…"` or `U&"…"` whose opening quote stands at `quote`.
    mutating func scanQuoted(_ sql: RawSpan, from quote: Int, kind: TokenKind) -> Token {
        let start = offset
        offset = quote &+ 1
        while let stop = sql.firstOffset(of: UInt8(ascii: "\""), from: offset), stop < end {
            offset = stop &+ 1
            guard peek(sql, 0) == UInt8(ascii: "\"") else { return Token(kind: kind, start: start, end: offset) }
            offset &+= 1
        }
        offset = end
        return Token(kind: .unterminated, start: start, end: end)
    }

    /// `$1`, `$$…$$`, `$tag$…$tag$`, or a dollar sign that is none of these.
    mutating func scanDollar(_ sql: RawSpan) -> Token {
        let start = offset
        offset &+= 1
        if ByteClass.isDigit(peek(sql, 0)) {
            while ByteClass.isDigit(peek(sql, 0)) { offset &+= 1 }
            skipNumberWord(sql)
            return Token(kind: .parameter, start: start, end: offset)
        }
        while offset < end, sql.byte(at: offset) != UInt8(ascii: "$"), ByteClass.isWord(sql.byte(at: offset)) {
            offset &+= 1
        }
        guard peek(sql, 0) == UInt8(ascii: "$") else {
            offset = start &+ 1
            return Token(kind: .stray, start: start, end: offset)
        }
        offset &+= 1
        let delimiter = start..<offset
        while let stop = sql.firstOffset(of: UInt8(ascii: "$"), from: offset), stop < end {
            offset = matchingEnd(sql, delimiter, at: stop)
            if offset &- stop == delimiter.count { return Token(kind: .string, start: start, end: offset) }
        }
        offset = end
        return Token(kind: .unterminated, start: start, end: end)
    }

    /// Where the text at `stop` begins to differ from the `delimiter`; at least one byte on, at most its length.
    private func matchingEnd(_ sql: RawSpan, _ delimiter: Range<Int>, at stop: Int) -> Int {
        var length = 1
        while length < delimiter.count, stop &+ length < end,
            sql.byte(at: stop &+ length) == sql.byte(at: delimiter.lowerBound &+ length)
        {
            length &+= 1
        }
        return stop &+ length
    }

    /// A number, with whatever letters and digits stick to it: PostgreSQL calls these "trailing junk".
    mutating func scanNumber(_ sql: RawSpan) -> Token {
        let start = offset
        if peek(sql, 0) != UInt8(ascii: ".") { takeDigits(sql) }
        if peek(sql, 0) == UInt8(ascii: "."), peek(sql, 1) != UInt8(ascii: ".") {
            offset &+= 1
            if ByteClass.isDigit(peek(sql, 0)) || ByteClass.isWordStart(peek(sql, 0)) { takeDigits(sql) }
        }
        return Token(kind: .number, start: start, end: offset)
    }

    /// A run of word characters up to a dollar sign, with the signed exponent it may end in.
    private mutating func takeDigits(_ sql: RawSpan) {
        let start = offset
        skipNumberWord(sql)
        if let exponentEnd = Self.signedExponent(sql, start..<offset, end: end) {
            offset = exponentEnd
            skipNumberWord(sql)
        }
    }

    /// Where the digits of a signed exponent begin if `run` is decimal digits and a final `e`, before a sign and a digit.
    static func signedExponent(_ sql: RawSpan, _ run: Range<Int>, end: Int) -> Int? {
        let sign = run.upperBound
        guard run.count > 0, sql.byte(at: sign &- 1) | 0x20 == UInt8(ascii: "e"), sign &+ 1 < end,
            sql.byte(at: sign) == UInt8(ascii: "-") || sql.byte(at: sign) == UInt8(ascii: "+"),
            ByteClass.isDigit(sql.byte(at: sign &+ 1))
        else { return nil }
        for offset in run.lowerBound..<(sign &- 1) {
            guard ByteClass.isDigit(sql.byte(at: offset)) || sql.byte(at: offset) == UInt8(ascii: "_") else {
                return nil
            }
        }
        return sign &+ 1
    }

    /// Moves behind the word characters that follow, but not behind a dollar sign.
    mutating func skipNumberWord(_ sql: RawSpan) {
        while offset < end, sql.byte(at: offset) != UInt8(ascii: "$"), ByteClass.isWord(sql.byte(at: offset)) {
            offset &+= 1
        }
    }

    /// Moves behind a run of further elements `, 123` of a list, each followed by another comma or the list's end.
    ///
    /// A short cut for lists of a million numbers; what is not that simple is left to ``next(_:_:)``.
    mutating func skipRepeatedNumbers(_ sql: RawSpan) {
        while true {
            var ahead = self
            ahead.skipSpaces(sql)
            guard ahead.peek(sql, 0) == UInt8(ascii: ",") else { return }
            ahead.offset &+= 1
            ahead.skipSpaces(sql)
            let digits = ahead.offset
            while ByteClass.isDigit(ahead.peek(sql, 0)) { ahead.offset &+= 1 }
            guard ahead.offset > digits else { return }
            let numberEnd = ahead.offset
            ahead.skipSpaces(sql)
            switch ahead.peek(sql, 0) {
            case UInt8(ascii: ","), UInt8(ascii: ")"), UInt8(ascii: "]"): offset = numberEnd
            default: return
            }
        }
    }

    private mutating func skipSpaces(_ sql: RawSpan) {
        while offset < end, ByteClass.isSpace(sql.byte(at: offset)) { offset &+= 1 }
    }
}
