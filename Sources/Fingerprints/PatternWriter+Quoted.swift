// SPDX-License-Identifier: Apache-2.0

import Domain

/// Identifiers in double quotes (documentation, 4.1.1 "Identifiers and Key Words").
extension PatternWriter {
    /// Writes `"…"`, without the quotes if the bare word means the same.
    mutating func writeQuoted(_ token: Token, _ sql: RawSpan) {
        let content = (token.start &+ 1)..<(token.end &- 1)
        var isPlain =
            !content.isEmpty && !ByteClass.isDigit(sql.byte(at: content.lowerBound))
            && sql.byte(at: content.lowerBound) != UInt8(ascii: "$")
        var hasControls = false
        for offset in content {
            let byte = sql.byte(at: offset)
            isPlain = isPlain && byte < 0x80 && ByteClass.isWord(byte) && ByteClass.lowercased(byte) == byte
            hasControls = hasControls || Self.isControl(byte)
        }
        let keyword = isPlain ? self.keyword(sql, content) : .ordinary
        if isPlain, !keyword.needsQuotes {
            begin(Mark(shape: .word, keyword: keyword))
            buffer.append(sql, content, lowercase: false)
            return
        }
        begin(Mark(shape: .quoted))
        if hasControls {
            writeUnicode(sql, content, escapesBackslash: true)
        } else {
            buffer.append(sql, token.start..<token.end, lowercase: false)
        }
    }

    /// Writes `U&"…"`.
    mutating func writeUnicodeQuoted(_ token: Token, _ sql: RawSpan) {
        begin(Mark(shape: .quoted))
        writeUnicode(sql, (token.start &+ 3)..<(token.end &- 1), escapesBackslash: false)
    }

    /// Whether a quoted name with a digit means the same without quotes: such a one is no keyword.
    func isPlain(_ sql: RawSpan, _ content: Range<Int>) -> Bool {
        guard let first = content.first, ByteClass.isWordStart(sql.byte(at: first)) else { return false }
        return content.allSatisfy { offset in
            let byte = sql.byte(at: offset)
            return byte < 0x80 && ByteClass.isWord(byte) && ByteClass.lowercased(byte) == byte
        }
    }

    /// Whether a name must be shown with escapes.
    func hasControls(_ sql: RawSpan, _ content: Range<Int>) -> Bool {
        content.contains { Self.isControl(sql.byte(at: $0)) }
    }

    /// Writes `content` as `U&"…"`, so that a pattern is one line even if a name holds a newline.
    private mutating func writeUnicode(_ sql: RawSpan, _ content: Range<Int>, escapesBackslash: Bool) {
        buffer.append("U&\"")
        for offset in content {
            let byte = sql.byte(at: offset)
            if Self.isControl(byte) {
                buffer.append("\\00")
                buffer.appendHexadecimal(byte)
            } else {
                if escapesBackslash, byte == UInt8(ascii: "\\") { buffer.append(byte) }
                buffer.append(byte)
            }
        }
        buffer.append(UInt8(ascii: "\""))
    }

    private static func isControl(_ byte: UInt8) -> Bool { byte < 0x20 || byte == 0x7F }

    private func keyword(_ sql: RawSpan, _ content: Range<Int>) -> Keyword {
        guard content.count <= KeywordTable.maximumLength else { return .ordinary }
        return keywords.find(KeywordText(sql, content.lowerBound, content.count))
    }
}
