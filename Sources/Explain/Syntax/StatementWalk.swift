// SPDX-License-Identifier: Apache-2.0

/// Walks over a syntax tree: finds what to rewrite, what it uses by name, and whether it holds only what is known here.
///
/// The planner evaluates constant expressions, and for a tenant's expression that means running the tenant's code or
/// computing for as long as the tenant likes. So no constant stays that an expression could be made of: literals, TRUE,
/// FALSE, NULL, CURRENT_DATE, `now()` and empty arrays become parameters. What stays, since a parameter in its place means
/// something else: a bare integer of LIMIT and OFFSET, and as ordinal of ORDER BY, GROUP BY and DISTINCT ON; type
/// modifiers; TRUE, FALSE and NULL as a condition or compared in one, which select partial indexes; the current time
/// compared in a condition, which PostgreSQL looks up in the column's histogram.
struct StatementWalk {
    private(set) var sites: [StatementSite] = []
    private(set) var names = StatementNames()
    /// The highest `$n` that stands in the text.
    private(set) var highestParameter = 0
    /// Where integers stand that stay.
    private(set) var keptIntegers: Set<Int> = []
    /// Why it is not to be planned; the first reason.
    private(set) var refusal: SafetyFinding?

    private let checks: SafetyChecks
    /// Names that the WITH clauses around define, the innermost last.
    private var scopes: [Set<String>] = []

    /// What the place of an expression means for constants in it.
    private enum Place {
        /// Anywhere else.
        case value
        /// A condition, or a part of one that AND, OR or NOT joins.
        case condition
        /// Compared in a condition.
        case operand
        /// An element of ORDER BY, DISTINCT ON: a number alone is a column's number.
        case ordinal
        /// An element of GROUP BY: the same, and in a list of such.
        case grouping
        /// LIMIT or OFFSET.
        case limit
        /// The inference clause of ON CONFLICT, whose literals must be those of an index.
        case inference
    }

    /// Walks over one statement and all below it.
    init(_ statement: SyntaxNode, checks: SafetyChecks = .all) {
        self.checks = checks
        // PostgreSQL uses it where nobody wrote it: IN, CASE x WHEN, USING, NULLIF.
        names.operators = [.init(name: "=")]
        walk(statement, .value)
        if ExpansionWeight(statement).isTooLarge { refuse(.size, "sub-queries that multiply what they compute") }
    }

    private mutating func refuse(_ check: SafetyChecks.Name, _ what: String) {
        guard checks.isOn(check), refusal == nil else { return }
        refusal = SafetyFinding(check: check, what: what)
    }

    private mutating func walk(_ node: SyntaxNode, _ place: Place) {
        switch node {
        case .array(let items): for item in items { walk(item, place) }
        case .object:
            if let (kind, inside) = node.unwrapped {
                visit(kind, inside, place)
            } else {
                walkFields(node, place)
            }
        default: break
        }
    }

    /// The fields of a node in the order of their names; what stands in them is a value unless the field says more.
    private mutating func walkFields(_ node: SyntaxNode, _ place: Place, without done: Set<String> = []) {
        for (name, value) in node.fields where !done.contains(name) {
            switch name {
            // The sides of UNION and the like are statements of their own, with WITH clauses of their own.
            case "larg" where value.unwrapped == nil, "rarg" where value.unwrapped == nil: visitStatement(value)
            case "typeName": noteType(value)
            case "relation" where value["relname"].exists: noteRelation(value, isTarget: true)
            case "limitCount", "limitOffset": walk(value, .limit)
            case "infer": walk(value, .inference)
            case "whereClause", "havingClause", "quals", "joinCondition", "condition", "agg_filter":
                walk(value, place == .inference ? .inference : .condition)
            case "groupClause", "content": for item in value.items { walk(item, .grouping) }
            case "distinctClause", "sortClause": for item in value.items { walk(item, .ordinal) }
            case "useOp": note(operator: value.names)
            case "cycle_clause":
                if [value["cycle_mark_value"], value["cycle_mark_default"]].contains(where: { $0.isWritten }) {
                    refuse(.literals, "a literal in CYCLE")
                }
            case "lockingClause", "alias", "join_using_alias", "collClause": break
            default: walk(value, place == .inference ? .inference : .value)
            }
        }
    }

    private mutating func visit(_ kind: String, _ inside: SyntaxNode, _ place: Place) {
        switch kind {
        case "A_Const": visitConstant(inside, place)
        case "ParamRef":
            if case .number(let number) = inside["number"] { highestParameter = max(highestParameter, number) }
        case "TypeCast": visitCast(inside, place)
        case "FuncCall": visitCall(inside, place)
        case "SQLValueFunction": visitValueFunction(inside, place)
        case "SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt": visitStatement(inside)
        case "BoolExpr": walk(inside["args"], [.condition, .inference].contains(place) ? place : .value)
        case "A_Expr":
            note(operator: inside["name"].names)
            if inside["kind"].string?.contains("BETWEEN") == true {
                for name in ["<", "<=", ">", ">="] { names.operators.insert(.init(name: name)) }
            }
            let compares = ["AEXPR_OP", "AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT"].contains(inside["kind"].string)
            let inner: Place = place == .inference ? .inference : place == .condition && compares ? .operand : .value
            walk(inside["lexpr"], inner)
            walk(inside["rexpr"], inner)
        case "ColumnRef":
            // A column alone is no field of anything.
            if inside["fields"].items.count > 1, let last = inside["fields"].items.last?["String"]["sval"].string {
                names.fields.insert(last)
            }
        case "A_Indirection":
            names.fields.formUnion(inside["indirection"].names)
            walkFields(inside, place == .inference ? .inference : .value)
        case "A_ArrayExpr" where inside["elements"].items.isEmpty:
            sites.append(StatementSite(location: inside.location, kind: .emptyArray))
        case "RowExpr" where place == .grouping && inside["row_format"].string == "COERCE_IMPLICIT_CAST":
            // GROUP BY (1, 2) is GROUP BY 1, 2 (flatten_grouping_sets of parse_clause.c).
            for item in inside["args"].items { walk(item, .grouping) }
        case "RowExpr" where inside["args"].items.isEmpty: refuse(.constants, "a row without columns")
        case "SubLink":
            note(operator: inside["operName"].names)
            walkFields(inside, .value)
        case "RangeVar": noteRelation(inside, isTarget: false)
        case "RangeFunction": visitRangeFunction(inside)
        case "RangeTableSample":
            note(function: inside["method"].names)
            walkFields(inside, .value)
        case "TypeName": noteType(inside)
        case "ResTarget":
            names.fields.formUnion(inside["indirection"].names)
            walkFields(inside, place)
        case "IndexElem":
            if inside["opclass"].exists { refuse(.syntax, "an operator class") }
            walkFields(inside, .inference)
        case "SortBy":
            // PARTITION BY 1 is no ordinal, ORDER BY 1 is one.
            note(operator: inside["useOp"].names)
            walk(inside["node"], place)
        case _ where Self.known.contains(kind): walkFields(inside, place)
        default: refuse(.syntax, "syntax that is not known here (\(kind))")
        }
    }

    /// Nodes of which no more is to be said than that their fields are walked over (`parsenodes.h`, `primnodes.h`).
    private static let known: Set<String> = [
        "A_Star", "A_Indices", "A_ArrayExpr", "RowExpr", "NullTest", "BooleanTest", "CaseExpr", "CaseWhen",
        "CoalesceExpr", "MinMaxExpr", "NamedArgExpr", "CollateClause", "GroupingFunc", "GroupingSet", "WindowDef",
        "RangeSubselect", "JoinExpr", "CommonTableExpr", "CTESearchClause", "OnConflictClause", "InferClause",
        "SetToDefault", "MultiAssignRef", "MergeWhenClause", "List", "String", "ColumnDef", "XmlExpr", "XmlSerialize",
        "RangeTableFunc", "RangeTableFuncCol", "Integer", "Float", "Boolean",
    ]

    // MARK: Statements

    /// A statement with its WITH clause, whose names hold in it alone.
    private mutating func visitStatement(_ inside: SyntaxNode) {
        let clause = inside["withClause"]
        scopes.append([])
        let expressions = clause["ctes"].items
        let defined = expressions.compactMap { $0["CommonTableExpr"]["ctename"].string }
        // With RECURSIVE all see all, else each sees those before it.
        if clause["recursive"].exists { scopes[scopes.count - 1].formUnion(defined) }
        for expression in expressions {
            walk(expression, .value)
            if let name = expression["CommonTableExpr"]["ctename"].string { scopes[scopes.count - 1].insert(name) }
        }
        walkFields(inside, .value, without: ["withClause"])
        scopes.removeLast()
    }

    private mutating func noteRelation(_ relation: SyntaxNode, isTarget: Bool) {
        guard let name = relation["relname"].string else { return }
        let schema = relation["schemaname"].string ?? ""
        // What is written to is never a WITH clause's.
        if schema.isEmpty, !isTarget, scopes.contains(where: { $0.contains(name) }) { return }
        let qualified = StatementNames.Qualified(schema: schema, name: name)
        names.relations.insert(qualified)
        if schema.isEmpty { sites.append(StatementSite(location: relation.location, kind: .relation(name))) }
    }

    /// A function in FROM, which the planner replaces by its result where that is constant.
    private mutating func visitRangeFunction(_ inside: SyntaxNode) {
        for function in inside["functions"].items {
            for item in function["List"]["items"].items {
                let isConstant =
                    item.isBareCall && item["FuncCall"]["funcname"].names.last.flatMap(ConstantCalls.type(of:)) != nil
                guard isConstant || item["SQLValueFunction"].exists else { continue }
                refuse(.constants, "a function without arguments in FROM")
            }
        }
        walkFields(inside, .value)
    }

    // MARK: Constants

    private mutating func visitConstant(_ constant: SyntaxNode, _ place: Place) {
        // The grammar makes constants of its own, which stand nowhere.
        guard constant.location >= 0 else { return }
        if constant["isnull"].exists || constant["boolval"].exists {
            let stays = [.condition, .operand, .limit, .inference].contains(place) || !checks.isOn(.constants)
            if !stays { sites.append(StatementSite(location: constant.location, kind: .constant)) }
            return
        }
        switch place {
        case .limit, .ordinal, .grouping:
            if constant["ival"].exists {
                keptIntegers.insert(constant.location)
                return
            }
            if place == .limit, !checks.isOn(.literals) { return }
        case .inference: refuse(.literals, "a literal in the inference clause of ON CONFLICT")
        default: break
        }
        sites.append(StatementSite(location: constant.location, kind: .literal(nil)))
    }

    private mutating func visitCast(_ cast: SyntaxNode, _ place: Place) {
        let type = cast["typeName"]
        let inner: Place = place == .inference ? .inference : .value
        let constant = cast["arg"]["A_Const"]
        let isString = constant["sval"].exists || constant["bsval"].exists
        guard place != .inference, isString, type.location < constant.location, cast.location < 0 else {
            noteType(type)
            return walk(cast["arg"], inner)
        }
        noteType(type, isPrefix: true)
        let list = type["names"].names
        let isInterval = list.last == "interval"
        sites.append(
            StatementSite(
                location: constant.location,
                kind: .literal(
                    .init(start: type.location, isInterval: isInterval, name: list.count == 1 ? list.first : nil)
                )
            )
        )
    }

    private mutating func visitValueFunction(_ function: SyntaxNode, _ place: Place) {
        guard let operation = function["op"].string, let type = ConstantCalls.type(operation: operation) else {
            return refuse(.syntax, "a value function that is not known here")
        }
        guard checks.isOn(.constants), place != .operand || type == "name" else { return }
        sites.append(StatementSite(location: function.location, kind: .valueFunction(type)))
    }

    private mutating func visitCall(_ call: SyntaxNode, _ place: Place) {
        let name = call["funcname"].names
        note(function: name)
        if SyntaxNode.object(["FuncCall": call]).isBareCall, let last = name.last, checks.isOn(.constants) {
            if let type = ConstantCalls.type(of: last), name.count == 1 || name.first == "pg_catalog" {
                if place != .operand || !ConstantCalls.isTime(last) {
                    sites.append(StatementSite(location: call.location, kind: .call(type)))
                }
            } else if !ConstantCalls.isNeverConstant(last) {
                refuse(.constants, "function \(last)() without arguments")
            }
        }
        var arguments = call["args"].items
        // The grammar makes a string of extract's first argument, a word or a string.
        if name == ["pg_catalog", "extract"], arguments.first?["A_Const"]["sval"].exists == true {
            sites.append(StatementSite(location: arguments.removeFirst()["A_Const"].location, kind: .keyword))
        }
        for argument in arguments { walk(argument, place == .inference ? .inference : .value) }
        walkFields(call, place == .inference ? .inference : .value, without: ["args", "funcname"])
    }

    // MARK: Names

    private mutating func note(function list: [String]) {
        guard let name = StatementNames.qualified(list) else { return refuse(.functions, "a name of three parts") }
        names.functions.insert(name)
    }

    private mutating func note(operator list: [String]) {
        guard !list.isEmpty else { return }
        guard let name = StatementNames.qualified(list) else { return refuse(.operators, "a name of three parts") }
        if !name.name.contains("BETWEEN") { names.operators.insert(name) }
    }

    private mutating func noteType(_ type: SyntaxNode, isPrefix: Bool = false) {
        let list = type["names"].names
        guard !list.isEmpty else { return }
        guard let name = StatementNames.qualified(list) else { return refuse(.types, "a name of three parts") }
        names.types.insert(name)
        if name.schema.isEmpty, !isPrefix {
            sites.append(StatementSite(location: type.location, kind: .type(name.name)))
        }
        if type["setof"].exists || type["pct_type"].exists { refuse(.syntax, "a set or a column as type") }
        if type["arrayBounds"].items.contains(where: { ![.nothing, .number(-1)].contains($0["Integer"]["ival"]) }) {
            refuse(.literals, "an array type with bounds")
        }
        for modifier in type["typmods"].items {
            let constant = modifier["A_Const"]
            if constant["ival"].exists {
                keptIntegers.insert(constant.location)
            } else if !modifier["ColumnRef"].exists {
                refuse(.literals, "a type modifier that is no integer")
            }
        }
    }
}

extension SyntaxNode {
    /// A constant that stands in the text.
    fileprivate var isWritten: Bool {
        self["A_Const"].exists && self["A_Const"].location >= 0 || self["TypeCast"].exists
    }

    /// A call without arguments that is neither `count(*)` nor a window's.
    fileprivate var isBareCall: Bool {
        let call = self["FuncCall"]
        return call.exists && call["args"].items.isEmpty && !call["agg_star"].exists && !call["over"].exists
            && !call["agg_within_group"].exists
    }
}
