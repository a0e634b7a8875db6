// SPDX-License-Identifier: Apache-2.0
import Costs
import Fingerprints

/// Parses in this process: what a child process does, and tests.
final class LocalParser: StatementParser {
    func plan(json: String) -> Plan? { Plan(json: json) }

    func parse(_ request: ParseRequest) -> ParseAnswer {
        do throws(SyntaxError) {
            let text = Self.standardStrings(request)
            let tokens = LexicalTokens.scan(text)
            let root: (String, SyntaxNode)?
            do throws(SyntaxError) {
                root = try Self.root(text, tokens)
            } catch {
                // Newer syntax of what no planner is asked about has its price all the same.
                let leading = LeadingWords(text, tokens)
                guard error.isOfText,
                    let utility = UtilityClass(words: leading.words, hasOptions: leading.hasOptions)
                else { throw error }
                return .fixed(utility.rawValue)
            }
            guard let (kind, node) = root else { return .notOneStatement }
            switch StatementTarget.of(kind, node, text, tokens) {
            case .fixed(let utility): return .fixed(utility.rawValue)
            case .plan(let query): return try Self.plan(query, request)
            }
        } catch {
            return .failed(error)
        }
    }

    private static func plan(_ query: [UInt8], _ request: ParseRequest) throws(SyntaxError) -> ParseAnswer {
        let tokens = LexicalTokens.scan(query)
        guard let (kind, node) = try root(query, tokens),
            // What was cut out must be something that EXPLAIN never executes.
            ["SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"].contains(kind),
            !node["intoClause"].exists,
            let statement = GenericStatement(query, .object([kind: node]), tokens: tokens, checks: request.checks)
        else { return .notOneStatement }
        let (text, parameters) = statement.render(request.style, schemas: request.schemas)
        return .plan(
            ParsedStatement(
                text: String(decoding: text, as: UTF8.self),
                parameters: parameters,
                ownParameters: statement.ownParameters,
                hasStrings: statement.hasStrings,
                names: statement.names,
                refusal: statement.refusal
            )
        )
    }

    /// The statement in standard strings: where backslashes escaped, plain strings become E'' ones.
    private static func standardStrings(_ request: ParseRequest) -> [UInt8] {
        guard request.backslashEscapes else { return request.text }
        var result: [UInt8] = []
        var start = 0
        for token in LexicalTokens.scan(request.text, backslashEscapes: true)
        where token.kind == .string && request.text[token.range.lowerBound] == UInt8(ascii: "'") {
            result += request.text[start..<token.range.lowerBound] + [UInt8(ascii: "E")]
            start = token.range.lowerBound
        }
        return result + request.text[start...]
    }

    /// The only statement of a text by its kind; `nil` for several or none.
    private static func root(
        _ text: [UInt8],
        _ tokens: [LexicalToken]
    ) throws(SyntaxError) -> (String, SyntaxNode)? {
        let statements = try SyntaxTree.statements(text, tokens: tokens)
        guard statements.count == 1, let (kind, node) = statements.first?.unwrapped else { return nil }
        return (kind, node)
    }
}
