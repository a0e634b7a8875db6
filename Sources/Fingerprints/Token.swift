// SPDX-License-Identifier: Apache-2.0

/// What a token is, as far as patterns go.
enum TokenKind: UInt8, BitwiseCopyable {
    /// The end of the text.
    case end
    /// An identifier or keyword without quotes.
    case word
    /// `"…"`, and `U&"…"` with its UESCAPE.
    case quoted, unicodeQuoted
    /// A number without sign; a quoted, escaped, bit, hexadecimal, national or dollar-quoted string.
    case number, string
    /// `$1`
    case parameter
    /// An operator of the characters `ByteClass.isOperator` knows.
    case symbol
    /// `(` or `[`, `)` or `]`
    case open, close
    case comma, semicolon, dot, colon
    /// `::`
    case cast
    /// `:=` and `..`
    case assign, dots
    /// A string, identifier or comment that the text ends in.
    case unterminated
    /// A byte no token begins with.
    case stray
}

/// A token of a text and where it stands.
struct Token: BitwiseCopyable {
    var kind = TokenKind.end
    /// For words: which keyword it is, if any.
    var keyword = Keyword.ordinary
    var start = 0
    var end = 0
}
