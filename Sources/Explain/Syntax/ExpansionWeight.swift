// SPDX-License-Identifier: Apache-2.0

/// How large a statement's expressions become when the planner puts those of sub-queries in their places.
///
/// A sub-query in FROM and a WITH clause are pulled up: each reference to one of their columns is replaced by a copy of its
/// expression, so ten levels of `a + a` make a thousand copies, and forty exhaust the server's memory, which no timeout
/// interrupts.
struct ExpansionWeight {
    /// More copies of columns than this are not planned.
    static let limit = 20_000

    /// The weights of output columns by name, of all sub-queries so far: the largest of each name.
    private var weights: [String: Int] = [:]
    private var largest = 1
    private(set) var isTooLarge = false

    init(_ statement: SyntaxNode) { walk(statement) }

    /// Walks over a tree, the inner queries first.
    private mutating func walk(_ node: SyntaxNode) {
        guard !isTooLarge else { return }
        switch node {
        case .array(let items): for item in items { walk(item) }
        case .object(let fields):
            // WITH clauses and FROM come before what refers to them.
            for name in ["withClause", "ctes", "larg", "rarg", "fromClause"] { if let field = fields[name] { walk(field) } }
            for (name, value) in node.fields
            where !["withClause", "ctes", "larg", "rarg", "fromClause"].contains(name) { walk(value) }
            if case .array(let targets)? = fields["targetList"] { note(targets) }
            if let alias = fields["alias"], fields["subquery"] != nil { rename(alias["colnames"]) }
            if let names = fields["aliascolnames"] { rename(names) }
        default: break
        }
    }

    /// The outputs of a query.
    private mutating func note(_ targets: [SyntaxNode]) {
        for target in targets {
            let value = target["ResTarget"]["val"]
            let weight = weight(of: value)
            if weight > Self.limit { isTooLarge = true }
            largest = max(largest, weight)
            let name =
                target["ResTarget"]["name"].string
                ?? value["ColumnRef"]["fields"].items.last?["String"]["sval"].string
                ?? value["FuncCall"]["funcname"].names.last ?? ""
            weights[name] = max(weights[name] ?? 1, weight)
        }
    }

    /// Columns that are given other names may be any of those before.
    private mutating func rename(_ names: SyntaxNode) {
        for name in names.names { weights[name] = largest }
    }

    /// The copies of base columns in an expression.
    private func weight(of node: SyntaxNode) -> Int {
        switch node {
        case .array(let items): return items.reduce(0) { min(Self.limit + 1, $0 + weight(of: $1)) }
        case .object(let fields):
            if fields["ColumnRef"] != nil {
                guard let last = node["ColumnRef"]["fields"].items.last else { return 1 }
                // All columns of something, or the row itself.
                if last["A_Star"].exists { return largest }
                return last["String"]["sval"].string.flatMap { weights[$0] } ?? 1
            }
            return fields.values.reduce(0) { min(Self.limit + 1, $0 + weight(of: $1)) }
        default: return 0
        }
    }
}
