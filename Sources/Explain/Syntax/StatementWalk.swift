// SPDX-License-Identifier: Apache-2.0

/// A literal that can become a parameter.
struct LiteralSite: Equatable {
    /// `date '2026-01-01'`: where the type's name begins, and where qualifiers such as `day to second` end.
    struct TypedBy: Equatable {
        var start: Int
        var isInterval: Bool
    }

    /// Where the syntax tree says it begins; a sign in front of a number belongs to it.
    var location: Int
    /// It is introduced by a type's name, which a parameter cannot be.
    var typed: TypedBy?
}

/// What a statement uses by name, as far as its text tells.
struct StatementNames: Equatable {
    /// Functions without a schema, and with one as `schema.name`.
    var functions: Set<String> = []
    var qualifiedFunctions: Set<String> = []
    /// Operators by symbol, and those with a schema as `schema.symbol`.
    var operators: Set<String> = []
    var qualifiedOperators: Set<String> = []
    /// Types by their last name.
    var types: Set<String> = []
    /// Tables and views, as they are written.
    var relations: Set<String> = []
}

/// Walks over a syntax tree and finds its literals and names.
///
/// What stays as it is, because a parameter in its place means something else or is refused: ordinals of ORDER BY,
/// GROUP BY and DISTINCT ON; LIMIT and OFFSET, whose size decides the plan; type modifiers; the inference clause of ON
/// CONFLICT, which must match an index; TRUE, FALSE and NULL, which select partial indexes.
struct StatementWalk {
    private(set) var literals: [LiteralSite] = []
    private(set) var names = StatementNames()
    /// The highest `$n` that stands in the text.
    private(set) var highestParameter = 0

    /// Walks over one node and all below it.
    init(_ node: SyntaxNode) {
        // PostgreSQL uses it where nobody wrote it: IN, CASE x WHEN, USING, NULLIF.
        names.operators = ["="]
        walk(node, keeps: false)
    }

    private mutating func walk(_ node: SyntaxNode, keeps: Bool) {
        switch node {
        case .array(let items): for item in items { walk(item, keeps: keeps) }
        case .object:
            if let (kind, inside) = node.unwrapped {
                visit(kind, inside, keeps: keeps)
            } else {
                walkFields(node, keeps: keeps)
            }
        default: break
        }
    }

    private mutating func walkFields(_ node: SyntaxNode, keeps: Bool) {
        for (name, value) in node.fields {
            switch name {
            case "typeName": noteType(value)
            case "typmods", "colDefList": break
            case "limitCount", "limitOffset", "infer": walk(value, keeps: true)
            case "relation" where value["relname"].exists: noteRelation(value)
            case "groupClause", "distinctClause", "sortClause", "content":
                for item in value.items { walk(item, keeps: keeps || Self.isOrdinal(item)) }
            case "useOp": note(operatorNames: value.names)
            default: walk(value, keeps: keeps)
            }
        }
    }

    /// `ORDER BY 1`, `GROUP BY 1`: a number alone is a column's number.
    private static func isOrdinal(_ item: SyntaxNode) -> Bool {
        item["A_Const"].exists || item["SortBy"]["node"]["A_Const"].exists
    }

    private mutating func visit(_ kind: String, _ inside: SyntaxNode, keeps: Bool) {
        switch kind {
        case "A_Const":
            let isValue = !inside["isnull"].exists && !inside["boolval"].exists
            if isValue, !keeps { literals.append(LiteralSite(location: inside.location)) }
            return
        case "ParamRef":
            if case .number(let number) = inside["number"] { highestParameter = max(highestParameter, number) }
            return
        case "TypeCast":
            visitCast(inside, keeps: keeps)
            return
        case "FuncCall": note(function: inside["funcname"].names)
        case "A_Expr":
            note(operatorNames: inside["name"].names)
            if inside["kind"].string?.contains("BETWEEN") == true { names.operators.formUnion(["<", "<=", ">", ">="]) }
        case "SubLink": note(operatorNames: inside["operName"].names)
        case "RangeVar": noteRelation(inside)
        case "A_Indirection":
            // (x).f is the function f where x has no such field.
            for name in inside["indirection"].names { note(function: [name]) }
        case "RangeTableSample": note(function: inside["method"].names)
        case "TypeName": noteType(inside)
        default: break
        }
        walkFields(inside, keeps: keeps)
    }

    private mutating func visitCast(_ cast: SyntaxNode, keeps: Bool) {
        let type = cast["typeName"]
        noteType(type)
        let constant = cast["arg"]["A_Const"]
        let isLiteral = constant["sval"].exists || constant["bsval"].exists
        guard isLiteral, type.location < constant.location, cast.location < 0 else {
            return walk(cast["arg"], keeps: keeps)
        }
        guard !keeps else { return }
        let isInterval = type["names"].names.last == "interval"
        literals.append(
            LiteralSite(location: constant.location, typed: .init(start: type.location, isInterval: isInterval))
        )
    }

    private mutating func note(function name: [String]) {
        guard let last = name.last else { return }
        if name.count == 1 {
            names.functions.insert(last)
        } else if name != ["pg_catalog", last] {
            names.qualifiedFunctions.insert(name.suffix(2).joined(separator: "."))
        }
    }

    private mutating func note(operatorNames name: [String]) {
        guard let last = name.last, last != "BETWEEN" else { return }
        if name.count == 1 {
            names.operators.insert(last)
        } else if name != ["pg_catalog", last] {
            names.qualifiedOperators.insert(name.suffix(2).joined(separator: "."))
        }
    }

    private mutating func noteType(_ type: SyntaxNode) {
        guard let name = type["names"].names.last else { return }
        names.types.insert(name)
    }

    private mutating func noteRelation(_ relation: SyntaxNode) {
        guard let name = relation["relname"].string else { return }
        let schema = relation["schemaname"].string
        names.relations.insert(schema.map { "\($0).\(name)" } ?? name)
        walkFields(relation["alias"], keeps: true)
    }
}
