// SPDX-License-Identifier: Apache-2.0

/// The words of a statement or pattern at the outermost level: they tell what it is where nobody parses it.
public struct LeadingWords {
    /// The first 64 of them, in small letters.
    public let words: [String]
    /// A parenthesis stands behind the first one.
    public let hasOptions: Bool

    /// The words of a text, by its tokens.
    public init(_ text: [UInt8], _ tokens: [LexicalToken]) {
        var words: [String] = []
        var depth = 0
        for token in tokens where words.count < 64 {
            switch token.kind {
            case .open: depth += 1
            case .close: depth -= 1
            case .word where depth == 0: words.append(String(decoding: text[token.range], as: UTF8.self).lowercased())
            default: break
            }
        }
        self.words = words
        hasOptions = tokens.count > 1 && tokens[1].kind == .open
    }
}
