// SPDX-License-Identifier: Apache-2.0
import Domain

extension Lexer {
    /// Moves to the next byte that is neither white space nor comment; `false`, at the end of the text, inside a comment
    /// that nothing closes.
    mutating func skipBlanks(_ sql: RawSpan) -> Bool {
        while offset < end {
            let byte = sql.byte(at: offset)
            if ByteClass.isSpace(byte) {
                offset &+= 1
            } else if byte == UInt8(ascii: "-"), peek(sql, 1) == byte {
                skipLine(sql)
            } else if byte == UInt8(ascii: "/"), peek(sql, 1) == UInt8(ascii: "*") {
                guard skipComment(sql) else { return false }
            } else {
                return true
            }
        }
        return true
    }

    /// Whether only white space and semicolons are left; false also where there is a comment.
    static func isBlank(_ sql: RawSpan, from start: Int) -> Bool {
        var offset = start
        while offset < sql.byteCount {
            let byte = sql.byte(at: offset)
            guard byte == UInt8(ascii: ";") || ByteClass.isSpace(byte) else { return false }
            offset &+= 1
        }
        return true
    }

    /// Moves to the first token that is no semicolon; `false` if there is none, or a comment without end.
    mutating func skipToStatement(_ sql: RawSpan) -> Bool {
        while skipBlanks(sql), offset < end {
            guard sql.byte(at: offset) == UInt8(ascii: ";") else { return true }
            offset &+= 1
        }
        return false
    }

    /// Moves to the newline that ends a `--` comment.
    mutating func skipLine(_ sql: RawSpan) {
        while offset < end, !ByteClass.isNewline(sql.byte(at: offset)) { offset &+= 1 }
    }

    /// Moves behind a `/* … */` comment, which may hold others; `false` if the text ends first.
    mutating func skipComment(_ sql: RawSpan) -> Bool {
        var depth = 1
        offset &+= 2
        while offset &+ 1 < end {
            let byte = sql.byte(at: offset)
            if byte == UInt8(ascii: "*"), sql.byte(at: offset &+ 1) == UInt8(ascii: "/") {
                offset &+= 2
                depth &-= 1
                if depth == 0 { return true }
            } else if byte == UInt8(ascii: "/"), sql.byte(at: offset &+ 1) == UInt8(ascii: "*") {
                offset &+= 2
                depth &+= 1
            } else {
                offset &+= 1
            }
        }
        offset = end
        return false
    }

    /// Whether white space with a newline and then a quote follow, which continues a string
    /// (`quotecontinue` of `scan.l`); moves behind that quote.
    mutating func takeContinuation(_ sql: RawSpan) -> Bool {
        let saved = offset
        var hasNewline = false
        while offset < end {
            let byte = sql.byte(at: offset)
            if ByteClass.isSpace(byte) {
                hasNewline = hasNewline || ByteClass.isNewline(byte)
                offset &+= 1
            } else if byte == UInt8(ascii: "-"), peek(sql, 1) == byte {
                skipLine(sql)
                if offset == end { break }
                hasNewline = true
            } else {
                if byte == UInt8(ascii: "'"), hasNewline {
                    offset &+= 1
                    return true
                }
                break
            }
        }
        offset = saved
        return false
    }
}
