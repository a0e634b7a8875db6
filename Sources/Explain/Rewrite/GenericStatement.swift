// SPDX-License-Identifier: Apache-2.0
import Fingerprints

/// A statement whose constants can become parameters: what PostgreSQL plans once for all values.
///
/// A parameter needs the type that the literal had, or operators and functions are ambiguous, or chosen wrongly. So
/// numbers are cast by their size, as `make_const` in PostgreSQL's parser types them; strings stay bare, because an
/// untyped parameter resolves as an unknown literal does; typed literals (`date '…'`) become casts.
struct GenericStatement: Sendable, Equatable {
    /// How constants are written; what an error of the server may change.
    struct Style: Equatable, Hashable, Sendable, Codable {
        /// Equal constants are one parameter: `GROUP BY a + 1` needs that.
        var sharesEqual = false
        /// Strings are cast to text.
        var castsStrings = false
        /// Numbers of parameters that are cast to text.
        var castParameters: Set<Int> = []
    }

    /// A part of the text that is written differently.
    private struct Edit: Equatable {
        enum Replacement: Equatable {
            /// A parameter, with a cast behind (`::int4`) or a type around (`date`), whose name may want a schema.
            case parameter(cast: String, type: [UInt8]?, typeName: String? = nil)
            /// Written so.
            case text(String)
            /// A relation or type, with the schema that it was found in.
            case relation(String)
            case type(String)
        }

        var range: Range<Int>
        var replacement: Replacement
    }

    /// The statement as it was sent.
    let source: [UInt8]
    /// What it uses by name.
    let names: StatementNames
    /// Why it is not to be planned.
    let refusal: SafetyFinding?
    private let edits: [Edit]
    /// The highest `$n` of the statement itself.
    let ownParameters: Int

    /// The most parameters that the protocol can bind.
    static var maxParameters: Int { 65_535 }

    /// - Returns: `nil` for more parameters than can be bound.
    init?(_ source: [UInt8], _ node: SyntaxNode, tokens: [LexicalToken], checks: SafetyChecks = .all) {
        let walk = StatementWalk(node, checks: checks)
        var indices: [Int: Int] = [:]
        for (index, token) in tokens.enumerated() { indices[token.range.lowerBound] = index }
        let cutter = SiteCutter(source: source, tokens: tokens)
        var edits: [Edit] = []
        var end = 0
        // The tree shows some sources more than once: that of a multiple assignment for each of its columns.
        for site in walk.sites.sorted(by: { $0.location < $1.location }) {
            guard let index = indices[site.location], let edit = Self.edit(site, cutter, at: index),
                edit.range.lowerBound >= end
            else { continue }
            edits.append(edit)
            end = edit.range.upperBound
        }
        self.source = source
        self.edits = edits
        names = walk.names
        ownParameters = walk.highestParameter
        guard ownParameters >= 0, ownParameters + edits.count <= Self.maxParameters else { return nil }
        refusal =
            walk.refusal
            ?? Self.leftOver(tokens, source, edits: edits.map(\.range), kept: walk.keptIntegers, checks: checks)
    }

    /// Whether a literal is left that the walk did not see, whatever the tree said of it.
    private static func leftOver(
        _ tokens: [LexicalToken],
        _ source: [UInt8],
        edits: [Range<Int>],
        kept: Set<Int>,
        checks: SafetyChecks
    ) -> SafetyFinding? {
        guard checks.isOn(.literals) else { return nil }
        var next = 0
        for (index, token) in tokens.enumerated() {
            while next < edits.count, edits[next].upperBound <= token.range.lowerBound { next += 1 }
            if next < edits.count, edits[next].contains(token.range.lowerBound) { continue }
            switch token.kind {
            case .string: return SafetyFinding(check: .literals, what: "a literal in a place that is not known here")
            case .number:
                let isInteger = token.range.count <= 19 && source[token.range].allSatisfy { (0x30...0x39).contains($0) }
                let isPrecision = isInteger && LexicalRules.isPrecision(tokens, source, at: index)
                guard isInteger, kept.contains(token.range.lowerBound) || isPrecision else {
                    return SafetyFinding(check: .literals, what: "a number in a place that is not known here")
                }
            default: break
            }
        }
        return nil
    }

    private static func edit(_ site: StatementSite, _ cutter: SiteCutter, at index: Int) -> Edit? {
        switch site.kind {
        case .literal(let typed):
            guard let literal = cutter.literal(at: index, typed: typed) else { return nil }
            return Edit(
                range: literal.range,
                replacement: .parameter(cast: literal.cast, type: literal.type, typeName: typed?.name)
            )
        case .constant:
            guard let word = cutter.word(index) else { return nil }
            let cast = word == "null" ? "" : "::pg_catalog.bool"
            guard ["true", "false", "null"].contains(word) else { return nil }
            return Edit(range: cutter.tokens[index].range, replacement: .parameter(cast: cast, type: nil))
        case .valueFunction(let type):
            let range = cutter.withPrecision(from: index)
            return Edit(range: range, replacement: .parameter(cast: "::pg_catalog.\(type)", type: nil))
        case .call(let type):
            guard let range = cutter.bareCall(from: index) else { return nil }
            return Edit(range: range, replacement: .parameter(cast: "::pg_catalog.\(type)", type: nil))
        case .emptyArray:
            guard let range = cutter.emptyArray(from: index) else { return nil }
            return Edit(range: range, replacement: .parameter(cast: "", type: nil))
        case .keyword:
            guard let word = cutter.keyword(at: index) else { return nil }
            return Edit(range: cutter.tokens[index].range, replacement: .text(word))
        case .relation(let name):
            return cutter.isName(index) ? Edit(range: cutter.tokens[index].range, replacement: .relation(name)) : nil
        case .type(let name):
            return cutter.isName(index) ? Edit(range: cutter.tokens[index].range, replacement: .type(name)) : nil
        }
    }

    /// Whether it has strings that could be cast.
    var hasStrings: Bool { edits.contains { $0.replacement == .parameter(cast: "", type: nil) } }

    /// Where relations and types were found that were named without a schema.
    struct Schemas: Equatable, Sendable, Codable {
        var relations: [String: String] = [:]
        var types: [String: String] = [:]
    }

    /// The statement in a style, and how many parameters it has.
    func render(_ style: Style, schemas: Schemas = Schemas()) -> (text: [UInt8], parameters: Int) {
        var result: [UInt8] = []
        var start = 0
        var next = ownParameters
        var shared: [[UInt8]: Int] = [:]
        for edit in edits {
            result += source[start..<edit.range.lowerBound]
            start = edit.range.upperBound
            switch edit.replacement {
            case .text(let text): result += Array(text.utf8)
            case .relation(let name):
                if let schema = schemas.relations[name] { result += Array((Self.quoted(schema) + ".").utf8) }
                result += source[edit.range]
            case .type(let name):
                if let schema = schemas.types[name] { result += Array((Self.quoted(schema) + ".").utf8) }
                result += source[edit.range]
            case .parameter(let cast, let type, let typeName):
                let prefix = typeName.flatMap { schemas.types[$0] }.map { Self.quoted($0) + "." } ?? ""
                let number: Int
                let text = Array(source[edit.range])
                if style.sharesEqual, let known = shared[text] {
                    number = known
                } else {
                    next += 1
                    number = next
                    shared[text] = number
                }
                result += Array(Self.parameter(number, cast, type.map { Array(prefix.utf8) + $0 }, style).utf8)
            }
        }
        result += source[start...]
        return (result, next)
    }

    /// An identifier in quotes.
    static func quoted(_ name: String) -> String { "\"" + name.replacing("\"", with: "\"\"") + "\"" }

    private static func parameter(_ number: Int, _ cast: String, _ type: [UInt8]?, _ style: Style) -> String {
        if let type { return " CAST($\(number) AS \(String(decoding: type, as: UTF8.self)))" }
        if !cast.isEmpty { return " ($\(number)\(cast))" }
        let castsToText = style.castsStrings || style.castParameters.contains(number)
        return castsToText ? " ($\(number)::pg_catalog.text)" : " $\(number)"
    }
}
