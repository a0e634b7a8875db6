// SPDX-License-Identifier: Apache-2.0
import Domain

/// Cuts a text into tokens as `scan.l` does, one forward pass, without an allocation or recursion.
///
/// Texts that PostgreSQL refuses are cut in some stable way: letters straight after a number belong to the number; a
/// string, identifier or comment without end is one `unterminated` token. See "4.1 Lexical Structure".
struct Lexer {
    /// Where the next token is searched from.
    var offset: Int
    /// The lexer sees nothing at or after this offset.
    let end: Int
    /// Whether `\` escapes in plain strings: `standard_conforming_strings` is off.
    let backslashEscapes: Bool
    /// Signs before this offset are operators of one character each; keeps `+-+-+…` linear.
    var signRunEnd = 0

    /// A lexer of the bytes of `range`, which lies inside the text.
    init(_ range: Range<Int>, backslashEscapes: Bool) {
        offset = range.lowerBound
        end = range.upperBound
        self.backslashEscapes = backslashEscapes
    }

    /// The next token; `end` over and over once the text is used up.
    mutating func next(_ sql: RawSpan, _ keywords: KeywordTable) -> Token {
        let token = scan(sql, keywords)
        if token.kind == .unicodeQuoted || token.kind == .string && isUnicodeString(sql, token) {
            takeEscapeClause(sql, keywords)
        }
        return token
    }

    /// The byte `distance` after the current one, 0 at the end.
    func peek(_ sql: RawSpan, _ distance: Int) -> UInt8 {
        offset &+ distance < end ? sql.byte(at: offset &+ distance) : 0
    }

    /// Whether the next token binds tighter than a minus sign, so that `-1` before it is no negative number.
    func isBeforeTightOperator(_ sql: RawSpan) -> Bool {
        var ahead = self
        guard ahead.skipBlanks(sql) else { return false }
        switch ahead.peek(sql, 0) {
        case UInt8(ascii: "["): return true
        case UInt8(ascii: ":"): return ahead.peek(sql, 1) == UInt8(ascii: ":")
        case UInt8(ascii: "^"):
            let symbol = ahead.scanSymbol(sql)
            return symbol.end &- symbol.start == 1
        default: return false
        }
    }

    /// One token, without the UESCAPE clause of a `U&` string.
    mutating func scan(_ sql: RawSpan, _ keywords: KeywordTable) -> Token {
        let begin = offset
        guard skipBlanks(sql) else { return Token(kind: .unterminated, start: begin, end: end) }
        guard offset < end else { return Token(kind: .end, start: end, end: end) }
        let byte = sql.byte(at: offset)
        switch byte {
        case UInt8(ascii: "'"): return scanString(sql, from: offset, escapes: backslashEscapes)
        case UInt8(ascii: "\""): return scanQuoted(sql, from: offset, kind: .quoted)
        case UInt8(ascii: "$"): return scanDollar(sql)
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return scanNumber(sql)
        case UInt8(ascii: "("), UInt8(ascii: "["): return take(.open, 1)
        case UInt8(ascii: ")"), UInt8(ascii: "]"): return take(.close, 1)
        case UInt8(ascii: ","): return take(.comma, 1)
        case UInt8(ascii: ";"): return take(.semicolon, 1)
        case UInt8(ascii: "."):
            let after = peek(sql, 1)
            if ByteClass.isDigit(after) { return scanNumber(sql) }
            return after == byte ? take(.dots, 2) : take(.dot, 1)
        case UInt8(ascii: ":"):
            let after = peek(sql, 1)
            if after == byte { return take(.cast, 2) }
            return after == UInt8(ascii: "=") ? take(.assign, 2) : take(.colon, 1)
        default:
            if ByteClass.isWord(byte) { return scanWordOrPrefix(sql, keywords, byte) }
            return ByteClass.isOperator(byte) ? scanSymbol(sql) : take(.stray, 1)
        }
    }

    /// A token of `length` bytes that begins here.
    private mutating func take(_ kind: TokenKind, _ length: Int) -> Token {
        let start = offset
        offset &+= length
        return Token(kind: kind, start: start, end: offset)
    }

    /// A word, or a string or identifier introduced by one of `E B X N U&`.
    private mutating func scanWordOrPrefix(_ sql: RawSpan, _ keywords: KeywordTable, _ byte: UInt8) -> Token {
        let after = peek(sql, 1)
        if after == UInt8(ascii: "'") {
            switch byte | 0x20 {
            case UInt8(ascii: "e"): return scanString(sql, from: offset &+ 1, escapes: true)
            case UInt8(ascii: "n"): return scanString(sql, from: offset &+ 1, escapes: backslashEscapes)
            case UInt8(ascii: "b"), UInt8(ascii: "x"): return scanString(sql, from: offset &+ 1, escapes: false)
            default: break
            }
        } else if after == UInt8(ascii: "&"), byte | 0x20 == UInt8(ascii: "u") {
            switch peek(sql, 2) {
            case UInt8(ascii: "'"): return scanString(sql, from: offset &+ 2, escapes: false)
            case UInt8(ascii: "\""): return scanQuoted(sql, from: offset &+ 2, kind: .unicodeQuoted)
            default: break
            }
        }
        return scanWord(sql, keywords)
    }

    private mutating func scanWord(_ sql: RawSpan, _ keywords: KeywordTable) -> Token {
        let start = offset
        repeat { offset &+= 1 } while offset < end && ByteClass.isWord(sql.byte(at: offset))
        let length = offset &- start
        var token = Token(kind: .word, start: start, end: offset)
        guard length <= KeywordTable.maximumLength, length > 1 else { return token }
        token.keyword = keywords.find(KeywordText(sql, start, length))
        return token
    }

    /// An operator: the longest run of operator characters, cut before a comment and before trailing signs.
    private mutating func scanSymbol(_ sql: RawSpan) -> Token {
        let start = offset
        if start < signRunEnd { return take(.symbol, 1) }
        var stop = start
        var allowsSign = false
        while stop < end {
            let byte = sql.byte(at: stop)
            guard ByteClass.isOperator(byte) else { break }
            let after = stop &+ 1 < end ? sql.byte(at: stop &+ 1) : 0
            if byte == UInt8(ascii: "-"), after == byte { break }
            if byte == UInt8(ascii: "/"), after == UInt8(ascii: "*") { break }
            allowsSign = allowsSign || ByteClass.allowsTrailingSign(byte)
            stop &+= 1
        }
        offset = stop
        if !allowsSign {
            while offset &- start > 1, Self.isSign(sql.byte(at: offset &- 1)) { offset &-= 1 }
            signRunEnd = stop
        }
        return Token(kind: .symbol, start: start, end: offset)
    }

    private static func isSign(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-") }
}
