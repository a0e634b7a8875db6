// SPDX-License-Identifier: Apache-2.0
import Costs
import Fingerprints

/// What of a statement the planner can be asked about.
enum StatementTarget {
    /// A query or a data-modifying statement, cut out of what stands around it.
    case plan([UInt8])
    /// The planner knows no price: a class of its own has one.
    case fixed(UtilityClass)

    /// What a statement of the grammar's node `kind` comes to.
    static func of(
        _ kind: String,
        _ node: SyntaxNode,
        _ text: [UInt8],
        _ tokens: [LexicalToken]
    ) -> StatementTarget {
        let cutter = StatementCutter(text: text, tokens: tokens)
        switch kind {
        case "SelectStmt":
            guard node["intoClause"].exists else { return .plan(text) }
            return cutter.withoutInto(node["intoClause"]["rel"].location).map { .plan($0) } ?? .fixed(.unknown)
        case "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt": return .plan(text)
        case "CreateTableAsStmt":
            if node["query"]["ExecuteStmt"].exists { return .fixed(.unknown) }
            return cutter.query(after: "as").map { .plan($0) } ?? .fixed(.unknown)
        case "DeclareCursorStmt": return cutter.query(after: "for").map { .plan($0) } ?? .fixed(.unknown)
        case "PrepareStmt": return .fixed(.instant)
        case "ExplainStmt":
            guard node["options"].items.contains(where: { $0["DefElem"]["defname"].string == "analyze" }) else {
                return .fixed(.explain)
            }
            return cutter.query(after: nil).map { .plan($0) } ?? .fixed(.unknown)
        case "CopyStmt":
            // COPY FROM is paid by the rows and bytes that come.
            if node["is_from"].exists { return .fixed(.instant) }
            if node["query"].exists { return cutter.firstParenthesis().map { .plan($0) } ?? .fixed(.unknown) }
            return cutter.copiedTable().map { .plan($0) } ?? .fixed(.unknown)
        default: return .fixed(UtilityClass(node: kind))
        }
    }
}

/// Cuts queries out of the statements that carry them, token by token.
struct StatementCutter {
    let text: [UInt8]
    let tokens: [LexicalToken]

    private func word(_ index: Int) -> String? {
        guard tokens.indices.contains(index), tokens[index].kind == .word else { return nil }
        return String(decoding: text[tokens[index].range], as: UTF8.self).lowercased()
    }

    /// The query behind the word `keyword` at the outermost level, or behind all that precedes it.
    func query(after keyword: String?) -> [UInt8]? {
        var depth = 0
        var hasKeyword = keyword == nil
        for index in tokens.indices {
            if tokens[index].kind == .open, !(hasKeyword && isQuery(index)) { depth += 1 }
            if tokens[index].kind == .close { depth -= 1 }
            if depth == 0, hasKeyword, index > 0, isQuery(index) {
                return Array(text[tokens[index].range.lowerBound..<end(from: index)])
            }
            if depth == 0, word(index) == keyword { hasKeyword = true }
        }
        return nil
    }

    /// Whether a query begins here, perhaps in parentheses.
    private func isQuery(_ index: Int) -> Bool {
        var index = index
        while tokens.indices.contains(index), tokens[index].kind == .open { index += 1 }
        guard let word = word(index) else { return false }
        return ["select", "with", "values", "table", "insert", "update", "delete", "merge"].contains(word)
    }

    /// The end of the statement without a semicolon and WITH [NO] DATA.
    private func end(from start: Int) -> Int {
        var last = tokens.count - 1
        while last > start, tokens[last].kind == .semicolon { last -= 1 }
        if word(last) == "data" {
            if word(last - 1) == "with" {
                last -= 2
            } else if word(last - 1) == "no", word(last - 2) == "with" {
                last -= 3
            }
        }
        return tokens[max(start, last)].range.upperBound
    }

    /// A SELECT without its INTO clause, whose table stands at `relation`.
    func withoutInto(_ relation: Int) -> [UInt8]? {
        guard let name = tokens.firstIndex(where: { $0.range.lowerBound == relation }),
            let into = tokens[..<name].lastIndex(where: {
                $0.kind == .word && String(decoding: text[$0.range], as: UTF8.self).lowercased() == "into"
            })
        else { return nil }
        var last = name
        while last + 2 < tokens.count, text[tokens[last + 1].range] == [0x2E] { last += 2 }
        return Array(text[..<tokens[into].range.lowerBound]) + Array(text[tokens[last].range.upperBound...])
    }

    /// What stands in the first parentheses: the query of COPY.
    func firstParenthesis() -> [UInt8]? {
        guard let first = tokens.firstIndex(where: { $0.kind == .open }) else { return nil }
        var depth = 0
        for index in first..<tokens.count {
            if tokens[index].kind == .open { depth += 1 }
            if tokens[index].kind == .close { depth -= 1 }
            if depth == 0 { return Array(text[tokens[first].range.upperBound..<tokens[index].range.lowerBound]) }
        }
        return nil
    }

    /// `COPY t TO …` reads all of `t`.
    func copiedTable() -> [UInt8]? {
        guard tokens.count > 2 else { return nil }
        let start = 1
        guard
            let stop = tokens.indices.dropFirst(2).first(where: { index in
                word(index) == "to" || tokens[index].kind == .open
            })
        else { return nil }
        let name = text[tokens[start].range.lowerBound..<tokens[stop - 1].range.upperBound]
        return Array("SELECT * FROM ".utf8) + name
    }
}
