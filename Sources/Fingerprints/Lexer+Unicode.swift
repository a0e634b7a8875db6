// SPDX-License-Identifier: Apache-2.0
import Domain

extension Lexer {
    /// Whether a string token is of the kind `U&'…'`.
    func isUnicodeString(_ sql: RawSpan, _ token: Token) -> Bool {
        token.end &- token.start > 3 && sql.byte(at: token.start) | 0x20 == UInt8(ascii: "u")
            && sql.byte(at: token.start &+ 1) == UInt8(ascii: "&")
    }

    /// Skips `UESCAPE '…'` behind a `U&` string or identifier, whose extent stays as it is.
    mutating func takeEscapeClause(_ sql: RawSpan, _ keywords: KeywordTable) {
        var ahead = self
        guard ahead.scan(sql, keywords).keyword == .uescape, ahead.scan(sql, keywords).kind == .string else { return }
        self = ahead
    }
}
