// SPDX-License-Identifier: Apache-2.0
import Fingerprints

/// A statement whose literals can become parameters: what PostgreSQL plans once for all values.
///
/// A parameter needs the type that the literal had, or operators and functions are ambiguous, or chosen wrongly. So
/// numbers are cast by their size, as `make_const` in PostgreSQL's parser types them; strings stay bare, because an
/// untyped parameter resolves as an unknown literal does; typed literals (`date '…'`) become casts.
public struct GenericStatement: Sendable, Equatable {
    /// How literals are written; what an error of the server may change.
    struct Style: Equatable, Hashable {
        /// Equal literals are one parameter: `GROUP BY a + 1` needs that.
        var sharesEqual = false
        /// Strings are cast to text.
        var castsStrings = false
        /// Numbers of parameters that are cast to text.
        var castParameters: Set<Int> = []
    }

    private struct Literal: Equatable {
        var range: Range<Int>
        var text: [UInt8]
        /// `::int4`, or nothing for strings.
        var cast: String
        /// `date`, for `date '…'`.
        var type: [UInt8]?
    }

    /// The statement as it was sent.
    let source: [UInt8]
    /// What it uses by name.
    let names: StatementNames
    private let literals: [Literal]
    /// The highest `$n` of the statement itself.
    let ownParameters: Int

    /// The most parameters that the protocol can bind.
    static var mostParameters: Int { 65_535 }

    init?(_ source: [UInt8], _ node: SyntaxNode, tokens: [LexicalToken]) {
        let walk = StatementWalk(node)
        var literals: [Literal] = []
        var places: [Int: Int] = [:]
        for (index, token) in tokens.enumerated() { places[token.range.lowerBound] = index }
        for site in walk.literals.sorted(by: { $0.location < $1.location }) {
            guard let index = places[site.location] else { continue }
            if let literal = Self.literal(site, source, tokens, at: index) { literals.append(literal) }
        }
        self.source = source
        self.names = walk.names
        self.literals = literals
        ownParameters = walk.highestParameter
        guard ownParameters + literals.count <= Self.mostParameters else { return nil }
    }

    private static func literal(
        _ site: LiteralSite,
        _ source: [UInt8],
        _ tokens: [LexicalToken],
        at index: Int
    ) -> Literal? {
        var index = index
        var start = site.location
        let isNegative = tokens[index].kind == .symbol && source[tokens[index].range] == [0x2D]
        if isNegative { index += 1 }
        guard tokens.indices.contains(index) else { return nil }
        let token = tokens[index]
        var end = token.range.upperBound
        var type: [UInt8]?
        switch token.kind {
        case .number: break
        case .string where !isNegative: break
        default: return nil  // A keyword that the grammar makes a constant of, as in extract(year FROM …).
        }
        if let typed = site.typed {
            guard typed.start >= 0, typed.start < start else { return nil }
            var name = Array(source[typed.start..<start])
            start = typed.start
            if typed.isInterval {
                let last = lastOfInterval(source, tokens, after: index)
                name += [0x20] + source[end..<last]
                end = last
            }
            type = name
        }
        let text = Array(source[start..<end])
        let cast = token.kind == .number ? numberCast(source[token.range]) : stringCast(source[token.range])
        return Literal(range: start..<end, text: text, cast: cast, type: type)
    }

    /// Where the qualifiers of `interval '1' day to second(3)` end.
    private static func lastOfInterval(_ source: [UInt8], _ tokens: [LexicalToken], after index: Int) -> Int {
        let words: Set<String> = ["year", "month", "day", "hour", "minute", "second", "to"]
        var end = tokens[index].range.upperBound
        var next = index + 1
        var isSecond = false
        while tokens.indices.contains(next) {
            let token = tokens[next]
            let word = String(decoding: source[token.range], as: UTF8.self).lowercased()
            if token.kind == .word, words.contains(word) {
                isSecond = word == "second"
                next += 1
            } else if isSecond, token.kind == .open, tokens.indices.contains(next + 2) {
                isSecond = false
                next += 3
            } else {
                break
            }
            end = tokens[next - 1].range.upperBound
        }
        return end
    }

    private static func numberCast(_ text: ArraySlice<UInt8>) -> String {
        let digits = String(decoding: text, as: UTF8.self).replacing("_", with: "").lowercased()
        for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] where digits.hasPrefix(prefix) {
            return cast(Int64(digits.dropFirst(2), radix: radix))
        }
        return cast(Int64(digits))
    }

    private static func cast(_ value: Int64?) -> String {
        guard let value else { return "::numeric" }
        return value <= 2_147_483_647 ? "::int4" : "::int8"
    }

    private static func stringCast(_ text: ArraySlice<UInt8>) -> String {
        switch text.first.map({ $0 | 0x20 }) {
        // Unquoted, bit means bit(1).
        case UInt8(ascii: "b"), UInt8(ascii: "x"): return "::pg_catalog.\"bit\""
        case UInt8(ascii: "n"): return "::pg_catalog.bpchar"
        default: return ""
        }
    }

    /// Whether it has strings that could be cast.
    var hasStrings: Bool { literals.contains { $0.cast.isEmpty && $0.type == nil } }
    /// Whether it has literals at all.
    var hasLiterals: Bool { !literals.isEmpty }

    /// The statement in a style, and how many parameters it has.
    func render(_ style: Style) -> (text: [UInt8], parameters: Int) {
        var result: [UInt8] = []
        var place = 0
        var next = ownParameters
        var shared: [[UInt8]: Int] = [:]
        for literal in literals {
            result += source[place..<literal.range.lowerBound]
            place = literal.range.upperBound
            let number: Int
            if style.sharesEqual, let known = shared[literal.text] {
                number = known
            } else {
                next += 1
                number = next
                shared[literal.text] = number
            }
            result += Array(Self.parameter(number, literal.cast, literal.type, style).utf8)
        }
        result += source[place...]
        return (result, next)
    }

    private static func parameter(_ number: Int, _ cast: String, _ type: [UInt8]?, _ style: Style) -> String {
        if let type { return " CAST($\(number) AS \(String(decoding: type, as: UTF8.self)))" }
        if !cast.isEmpty { return " ($\(number)\(cast))" }
        let castsToText = style.castsStrings || style.castParameters.contains(number)
        return castsToText ? " ($\(number)::text)" : " $\(number)"
    }
}
