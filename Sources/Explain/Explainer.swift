// SPDX-License-Identifier: Apache-2.0
public import Costs
import Fingerprints
import PostgresClient

/// A statement to be priced.
public struct PricingRequest: Sendable {
    /// One statement, literals included: it stays in memory.
    public var text: [UInt8]
    /// Type OIDs of its first parameters, from the Parse message; 0: not told.
    public var types: [UInt32]
    /// The database it ran in; `nil`: that of the connection string.
    public var database: String?
    /// The role that ran it; it is logged in as only where that is asked for.
    public var user: String?
    /// The search_path it ran under, as `SET` takes it; `nil`: the login's own.
    public var searchPath: String?
    /// `standard_conforming_strings` was off.
    public var backslashEscapes: Bool

    /// A request.
    public init(
        text: [UInt8],
        types: [UInt32] = [],
        database: String? = nil,
        user: String? = nil,
        searchPath: String? = nil,
        backslashEscapes: Bool = false
    ) {
        self.text = text
        self.types = types
        self.database = database
        self.user = user
        self.searchPath = searchPath
        self.backslashEscapes = backslashEscapes
    }
}

/// A price as the planner gave it, or the class of a statement that it knows no price for.
public enum PricingResult: Sendable {
    /// A generic plan, or with `isLiteral` that of the very statement.
    case plan(Plan, isLiteral: Bool, version: Int)
    /// A class price.
    case fixed(UtilityClass)
}

/// Asks a server what statements cost in general: `Parse`, then `EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE` under
/// `plan_cache_mode = force_generic_plan`, on PostgreSQL 12 to 18.
///
/// Nothing is executed: every statement goes through the extended protocol, alone, in a READ ONLY transaction, with
/// timeouts, as a role without rights to change anything; what could run foreign code while it is planned is refused. For one thread.
public final class Explainer {
    /// How it asks.
    public struct Options: Sendable {
        /// A connection string of a read replica.
        public var parameters: String
        /// A primary may be asked.
        public var allowsPrimary = false
        /// Log in as the role that ran the statement: then its rights hold, its functions are its own, and where no
        /// generic plan is to be had the statement itself may be explained.
        public var asTenant = false

        /// Options for a connection string.
        public init(parameters: String) { self.parameters = parameters }
    }

    private let options: Options
    private var sessions: [String: ExplainSession] = [:]
    /// Sessions in the order of their last use.
    private var order: [String] = []
    /// More databases (or roles) than this are asked in turn.
    private static let mostSessions = 16

    /// Answers of the server that a change of the text may cure.
    private static let curable: Set<String> = [
        "42P18", "42803", "42P10", "42725", "42883", "42804", "42P08", "42846", "22P02", "42601", "42809",
    ]
    private static let mostRepairs = 4

    /// An explainer; it connects when it is first asked.
    public init(_ options: Options) { self.options = options }

    /// The price of a statement.
    public func price(_ request: PricingRequest) throws(PricingError) -> PricingResult {
        switch try target(of: request) {
        case .fixed(let utility): return .fixed(utility)
        case .plan(let text):
            let statement = try generic(text)
            let session = try session(for: request)
            do throws(PricingError) {
                return try explain(statement, request, session)
            } catch {
                if error.isConnectionLost || error.isTimeout { forget(request) }
                throw error
            }
        }
    }

    /// How large tables of a database are taken to be.
    func sizes(of tables: [String], database: String) throws(PricingError) -> TableSizes {
        // As nobody in particular: the same for all roles.
        let request = PricingRequest(text: [], database: database.isEmpty ? nil : database)
        let session = try session(for: request)
        do throws(PostgresError) {
            return try TableSizes.ask(session, tables)
        } catch {
            forget(request)
            throw .server(error)
        }
    }

    /// Roles for which row-level security is passed over.
    func bypassingRoles() throws(PricingError) -> Set<String> {
        let request = PricingRequest(text: [], database: nil)
        let session = try session(for: request)
        do throws(PostgresError) {
            let rows = try session.execute("SELECT rolname FROM pg_roles WHERE rolsuper OR rolbypassrls", [])
            return Set(rows.compactMap { $0["rolname"] })
        } catch {
            forget(request)
            throw .server(error)
        }
    }

    /// The statement with its literals as parameters, as it is sent to the server first.
    public func genericText(of request: PricingRequest) throws(PricingError) -> [UInt8]? {
        guard case .plan(let text) = try target(of: request) else { return nil }
        return try generic(text).render(.init()).text
    }

    private func target(of request: PricingRequest) throws(PricingError) -> StatementTarget {
        let text = Self.standardStrings(request)
        let tokens = LexicalTokens.scan(text)
        let (kind, node) = try root(text, tokens)
        return StatementTarget.of(kind, node, text, tokens)
    }

    /// The statement in standard strings: where backslashes escaped, plain strings become E'' ones.
    private static func standardStrings(_ request: PricingRequest) -> [UInt8] {
        guard request.backslashEscapes else { return request.text }
        var result: [UInt8] = []
        var place = 0
        for token in LexicalTokens.scan(request.text, backslashEscapes: true)
        where token.kind == .string && request.text[token.range.lowerBound] == UInt8(ascii: "'") {
            result += request.text[place..<token.range.lowerBound] + [UInt8(ascii: "E")]
            place = token.range.lowerBound
        }
        return result + request.text[place...]
    }

    private func root(_ text: [UInt8], _ tokens: [LexicalToken]) throws(PricingError) -> (String, SyntaxNode) {
        let statements: [SyntaxNode]
        do throws(SyntaxError) {
            statements = try SyntaxTree.statements(text, tokens: tokens)
        } catch {
            throw .syntax(error)
        }
        guard statements.count == 1, let (kind, node) = statements.first?.unwrapped else { throw .notOneStatement }
        return (kind, node)
    }

    private func generic(_ text: [UInt8]) throws(PricingError) -> GenericStatement {
        let tokens = LexicalTokens.scan(text)
        let (kind, node) = try root(text, tokens)
        // What was cut out must be something that EXPLAIN never executes.
        guard ["SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"].contains(kind),
            !node["intoClause"].exists,
            let statement = GenericStatement(text, .object([kind: node]), tokens: tokens)
        else { throw .notOneStatement }
        return statement
    }

    // MARK: The server

    private func explain(
        _ statement: GenericStatement,
        _ request: PricingRequest,
        _ session: ExplainSession
    ) throws(PricingError) -> PricingResult {
        var style = GenericStatement.Style()
        var tried: Set<GenericStatement.Style> = []
        var failure = PricingError.badPlan
        for _ in 0...Self.mostRepairs where tried.insert(style).inserted {
            do throws(PricingError) {
                let plan = try ask(statement, style, request, session)
                return .plan(plan, isLiteral: false, version: session.version)
            } catch {
                failure = error
                guard case .server(.refused(let reason, let state)) = error, Self.curable.contains(state) else { break }
                style = StatementRepair.next(after: style, state: state, reason: reason, of: statement)
            }
        }
        guard options.asTenant, !failure.isConnectionLost, !failure.isTimeout, statement.hasLiterals,
            statement.ownParameters == 0
        else {
            throw failure
        }
        return try explainLiteral(statement, request, session)
    }

    private func ask(
        _ statement: GenericStatement,
        _ style: GenericStatement.Style,
        _ request: PricingRequest,
        _ session: ExplainSession
    ) throws(PricingError) -> Plan {
        let (text, count) = statement.render(style)
        var found: String?
        var answer: [[String: String]] = []
        var name = session.nextName()
        do throws(PostgresError) {
            defer { release(name, session) }
            try session.inReadOnlyTransaction(searchPath: request.searchPath) { () throws(PostgresError) in
                try session.connection.prepare(
                    name,
                    text,
                    types: known(request.types, of: statement),
                    seconds: ExplainSession.patience
                )
                var types = try session.connection.parameterTypes(of: name, seconds: ExplainSession.patience)
                if !options.asTenant { found = try SafetyCheck.ask(session, statement.names) }
                guard found == nil else { return }
                let bases = try SafetyCheck.baseTypes(session, types)
                if bases != types {
                    release(name, session)
                    name = session.nextName()
                    types = bases
                    try session.connection.prepare(name, text, types: bases, seconds: ExplainSession.patience)
                }
                let nulls = Array(repeating: "NULL", count: max(types.count, count)).joined(separator: ",")
                let call = nulls.isEmpty ? name : "\(name)(\(nulls))"
                answer = try session.execute("EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE \(call)")
            }
        } catch {
            throw .server(error)
        }
        if let found { throw .unsafe(what: found) }
        return try Self.plan(in: answer)
    }

    private static func plan(in answer: [[String: String]]) throws(PricingError) -> Plan {
        guard let json = answer.first?.values.first, let plan = Plan(json: json) else { throw .badPlan }
        return plan
    }

    /// The statement itself: its functions may run, so only as the tenant whose functions they are.
    private func explainLiteral(
        _ statement: GenericStatement,
        _ request: PricingRequest,
        _ session: ExplainSession
    ) throws(PricingError) -> PricingResult {
        var answer: [[String: String]] = []
        let text = String(decoding: statement.source, as: UTF8.self)
        do throws(PostgresError) {
            try session.inReadOnlyTransaction(searchPath: request.searchPath) { () throws(PostgresError) in
                answer = try session.execute("EXPLAIN (VERBOSE, FORMAT JSON) " + text)
            }
        } catch {
            throw .server(error)
        }
        return .plan(try Self.plan(in: answer), isLiteral: true, version: session.version)
    }

    /// Types from the Parse message, for the statement's own parameters only.
    private func known(_ types: [UInt32], of statement: GenericStatement) -> [UInt32] {
        Array(types.prefix(statement.ownParameters))
    }

    private func release(_ name: String, _ session: ExplainSession) {
        // In a failed transaction this is refused: then the name is simply never used again.
        _ = try? session.execute("DEALLOCATE \(name)")
    }

    // MARK: Sessions

    private func key(_ request: PricingRequest) -> String {
        "\(request.database ?? "")\u{0}\(options.asTenant ? request.user ?? "" : "")"
    }

    private func session(for request: PricingRequest) throws(PricingError) -> ExplainSession {
        let key = key(request)
        order.removeAll { $0 == key }
        if let known = sessions[key] {
            order.append(key)
            return known
        }
        let session = try ExplainSession(
            options.parameters,
            database: request.database,
            user: options.asTenant ? request.user : nil,
            allowsPrimary: options.allowsPrimary
        )
        if order.count >= Self.mostSessions { sessions[order.removeFirst()] = nil }
        sessions[key] = session
        order.append(key)
        return session
    }

    private func forget(_ request: PricingRequest) {
        let key = key(request)
        sessions[key] = nil
        order.removeAll { $0 == key }
    }
}
