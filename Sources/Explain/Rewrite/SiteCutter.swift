// SPDX-License-Identifier: Apache-2.0
import Fingerprints

/// Finds how far a site reaches, token by token.
struct SiteCutter {
    let source: [UInt8]
    let tokens: [LexicalToken]

    /// The word at a place, in small letters.
    func word(_ index: Int) -> String? { LexicalRules.word(tokens, source, index) }

    /// Whether an identifier stands at a place.
    func isName(_ index: Int) -> Bool { tokens[index].kind == .word || tokens[index].kind == .quoted }

    func symbol(_ index: Int, _ byte: UInt8) -> Bool {
        tokens.indices.contains(index) && source[tokens[index].range] == [byte]
    }

    /// A literal: its range with sign, type's name and qualifiers; its cast; its type.
    func literal(
        at index: Int,
        typed: StatementSite.TypedBy?
    ) -> (range: Range<Int>, cast: String, type: [UInt8]?)? {
        var index = index
        guard tokens.indices.contains(index) else { return nil }
        var start = tokens[index].range.lowerBound
        let isNegative = tokens[index].kind == .symbol && symbol(index, UInt8(ascii: "-"))
        if isNegative { index += 1 }
        guard tokens.indices.contains(index) else { return nil }
        let token = tokens[index]
        var end = token.range.upperBound
        switch token.kind {
        case .number: break
        case .string where !isNegative: break
        default: return nil  // A keyword that the grammar makes a constant of, as in extract(year FROM …).
        }
        var type: [UInt8]?
        if let typed {
            guard typed.start >= 0, typed.start < start else { return nil }
            var name = Array(source[typed.start..<start])
            start = typed.start
            if typed.isInterval {
                let last = lastOfInterval(after: index)
                name += [0x20] + source[end..<last]
                end = last
            }
            type = name
        }
        let cast = token.kind == .number ? Self.numberCast(source[token.range]) : Self.stringCast(source[token.range])
        return (start..<end, cast, type)
    }

    /// Where the qualifiers of `interval '1' day to second(3)` end.
    private func lastOfInterval(after index: Int) -> Int {
        let words: Set<String> = ["year", "month", "day", "hour", "minute", "second", "to"]
        var end = tokens[index].range.upperBound
        var next = index + 1
        var isSecond = false
        while tokens.indices.contains(next) {
            if let word = word(next), words.contains(word) {
                isSecond = word == "second"
                next += 1
            } else if isSecond, tokens[next].kind == .open, tokens.indices.contains(next + 2) {
                isSecond = false
                next += 3
            } else {
                break
            }
            end = tokens[next - 1].range.upperBound
        }
        return end
    }

    /// `current_timestamp(3)`: to the parenthesis, where there is one.
    func withPrecision(from index: Int) -> Range<Int> {
        let start = tokens[index].range.lowerBound
        guard symbol(index + 1, UInt8(ascii: "(")), tokens.indices.contains(index + 2),
            tokens[index + 2].kind == .number,
            symbol(index + 3, UInt8(ascii: ")"))
        else { return tokens[index].range }
        return start..<tokens[index + 3].range.upperBound
    }

    /// `pg_catalog.now()`: to the closing parenthesis.
    func bareCall(from index: Int) -> Range<Int>? {
        var next = index + 1
        while symbol(next, UInt8(ascii: ".")) { next += 2 }
        guard symbol(next, UInt8(ascii: "(")), symbol(next + 1, UInt8(ascii: ")")) else { return nil }
        return tokens[index].range.lowerBound..<tokens[next + 1].range.upperBound
    }

    /// `ARRAY[]`, or `[]` inside of an array.
    func emptyArray(from index: Int) -> Range<Int>? {
        let open = word(index) == "array" ? index + 1 : index
        guard symbol(open, UInt8(ascii: "[")), symbol(open + 1, UInt8(ascii: "]")) else { return nil }
        return tokens[index].range.lowerBound..<tokens[open + 1].range.upperBound
    }

    /// `'year'` as a word.
    func keyword(at index: Int) -> String? {
        guard tokens[index].kind == .string else { return nil }
        let inside = source[tokens[index].range].dropFirst().dropLast()
        guard (1...20).contains(inside.count), inside.allSatisfy({ (0x61...0x7A).contains($0 | 0x20) }) else {
            return nil
        }
        return String(decoding: inside, as: UTF8.self)
    }

    private static func numberCast(_ text: ArraySlice<UInt8>) -> String {
        let digits = String(decoding: text, as: UTF8.self).replacing("_", with: "").lowercased()
        for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] where digits.hasPrefix(prefix) {
            return cast(Int64(digits.dropFirst(2), radix: radix))
        }
        return cast(Int64(digits))
    }

    private static func cast(_ value: Int64?) -> String {
        guard let value else { return "::pg_catalog.numeric" }
        return value <= 2_147_483_647 ? "::pg_catalog.int4" : "::pg_catalog.int8"
    }

    private static func stringCast(_ text: ArraySlice<UInt8>) -> String {
        switch text.first.map({ $0 | 0x20 }) {
        // Unquoted, bit means bit(1).
        case UInt8(ascii: "b"), UInt8(ascii: "x"): "::pg_catalog.\"bit\""
        case UInt8(ascii: "n"): "::pg_catalog.bpchar"
        default: ""
        }
    }
}

/// What a place in a list of tokens means by PostgreSQL's grammar (`gram.y`).
enum LexicalRules {
    /// The word at a place, in small letters.
    static func word(_ tokens: [LexicalToken], _ source: [UInt8], _ index: Int) -> String? {
        guard tokens.indices.contains(index), tokens[index].kind == .word else { return nil }
        return String(decoding: source[tokens[index].range], as: UTF8.self).lowercased()
    }

    /// Whether a number is the precision of a type or value function, of which the tree tells no place.
    static func isPrecision(_ tokens: [LexicalToken], _ source: [UInt8], at index: Int) -> Bool {
        guard tokens.indices.contains(index - 1), tokens[index - 1].kind == .open,
            let word = word(tokens, source, index - 2)
        else { return false }
        return [
            "float", "current_time", "current_timestamp", "localtime", "localtimestamp", "time", "timestamp", "second",
            "interval",
        ].contains(word) && tokens.indices.contains(index + 1) && tokens[index + 1].kind == .close
    }
}
