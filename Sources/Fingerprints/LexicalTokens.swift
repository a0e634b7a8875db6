// SPDX-License-Identifier: Apache-2.0
import Domain

/// A token of a text for those who rewrite statements, off the hot path.
public struct LexicalToken: Sendable, Equatable {
    /// What a token is.
    public enum Kind: Sendable {
        /// An identifier or keyword without quotes; an identifier in quotes.
        case word, quoted
        /// A number without sign; any kind of string.
        case number, string
        /// `$1`
        case parameter
        /// An operator.
        case symbol
        case open, close, comma, semicolon
        /// `.`, `::`, `:=` and the like, and what PostgreSQL refuses.
        case other
    }

    /// What it is.
    public let kind: Kind
    /// Where it stands.
    public let range: Range<Int>
}

/// Cuts whole texts into tokens by the rules of the ``Normalizer``'s lexer (documentation, 4.1 "Lexical Structure").
public enum LexicalTokens {
    /// All tokens of `text`, white space and comments left out; any bytes give some tokens.
    public static func scan(_ text: [UInt8], backslashEscapes: Bool = false) -> [LexicalToken] {
        let keywords = KeywordTable()
        var lexer = Lexer(0..<text.count, backslashEscapes: backslashEscapes)
        var tokens: [LexicalToken] = []
        while true {
            let token = lexer.next(text.rawSpan, keywords)
            guard token.kind != .end else { return tokens }
            tokens.append(LexicalToken(kind: kind(token.kind), range: token.start..<token.end))
            if token.end >= text.count { return tokens }
        }
    }

    private static func kind(_ kind: TokenKind) -> LexicalToken.Kind {
        switch kind {
        case .word: .word
        case .quoted, .unicodeQuoted: .quoted
        case .number: .number
        case .string: .string
        case .parameter: .parameter
        case .symbol: .symbol
        case .open: .open
        case .close: .close
        case .comma: .comma
        case .semicolon: .semicolon
        case .end, .dot, .colon, .cast, .assign, .dots, .unterminated, .stray: .other
        }
    }
}
