// SPDX-License-Identifier: Apache-2.0
public import Costs
import PostgresClient

/// A statement to be priced.
public struct PricingRequest: Sendable {
    /// One statement, literals included: it stays in memory.
    public var text: [UInt8]
    /// Type OIDs of its first parameters, from the Parse message; 0: not told.
    public var types: [UInt32]
    /// The database it ran in; `nil`: that of the connection string.
    public var database: String?
    /// The role that ran it, whose settings tell the search_path; it is logged in as only where that is asked for.
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
    /// A generic plan, by a server of a version such as 150018.
    case plan(Plan, version: Int)
    /// A class price.
    case fixed(UtilityClass)
}

/// Asks a server what statements cost in general: `Parse`, then `EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE` under
/// `plan_cache_mode = force_generic_plan`, on PostgreSQL 12 to 18.
///
/// Nothing is executed, and none of a tenant's code runs: a statement's constants become parameters, and what it names, and
/// all that this depends on, is judged by our own query before the server parses it (``Admission``). Every statement goes
/// through the extended protocol, alone, in a READ ONLY transaction, with timeouts. For one thread.
public final class Explainer {
    /// How it asks.
    public struct Options: Sendable {
        /// A connection string of a read replica.
        public var parameters: String
        /// A primary may be asked.
        public var allowsPrimary = false
        /// Log in as the role that ran the statement: then its rights and row-level security hold.
        public var asTenant = false
        /// The program that parses foreign text, and its arguments; `nil`: this process does.
        public var parserCommand: [String]?
        /// The checks of statements.
        public var checks = SafetyChecks.all

        /// Options for a connection string.
        public init(parameters: String) { self.parameters = parameters }
    }

    private let options: Options
    private let parser: any StatementParser
    private var sessions: [String: ExplainSession] = [:]
    /// Sessions in the order of their last use.
    private var order: [String] = []
    /// A process of the server that ended by no means.
    private var held: HeldBackend?
    /// How often that happened.
    public private(set) var heldCount: UInt64 = 0
    /// More databases (or roles) than this are asked in turn.
    private static let maxSessions = 16

    /// Answers of the server that a change of the text may cure.
    private static let curable: Set<String> = [
        "42P18", "42803", "42P10", "42725", "42883", "42804", "42P08", "42846", "22P02", "42601", "42809",
    ]
    private static let maxRepairs = 4

    /// An explainer; it connects when it is first asked.
    public init(_ options: Options) {
        self.options = options
        parser = options.parserCommand.map { ParserProcess(command: $0) } ?? LocalParser()
    }

    /// The price of a statement.
    public func price(_ request: PricingRequest) throws(PricingError) -> PricingResult {
        let question = ParseRequest(
            text: request.text,
            backslashEscapes: request.backslashEscapes,
            checks: options.checks
        )
        switch try parser.parse(question) {
        case .fixed(let name): return .fixed(UtilityClass(rawValue: name) ?? .unknown)
        case .notOneStatement: throw .notOneStatement
        case .failed(let error): throw .syntax(error)
        case .plan(let statement):
            if let refusal = statement.refusal { throw .unsafe(refusal) }
            if held != nil {
                if let pid = held?.pid, held?.isHeld() == true { throw .backendHeld(pid: pid) }
                held = nil
            }
            let session = try session(for: request)
            do throws(PricingError) {
                return try explain(statement, question, request, session)
            } catch {
                if error.isTimeout { end(session, request) }
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

    /// The statement with its constants as parameters, as it is sent to the server first.
    func genericText(of request: PricingRequest) throws(PricingError) -> String? {
        let question = ParseRequest(
            text: request.text,
            backslashEscapes: request.backslashEscapes,
            checks: options.checks
        )
        switch try parser.parse(question) {
        case .plan(let statement):
            if let refusal = statement.refusal { throw .unsafe(refusal) }
            return statement.text
        case .fixed: return nil
        case .notOneStatement: throw .notOneStatement
        case .failed(let error): throw .syntax(error)
        }
    }

    // MARK: The server

    private func explain(
        _ statement: ParsedStatement,
        _ question: ParseRequest,
        _ request: PricingRequest,
        _ session: ExplainSession
    ) throws(PricingError) -> PricingResult {
        var question = question
        var statement = statement
        var tried: Set<GenericStatement.Style> = []
        var failure = PricingError.badPlan
        for _ in 0...Self.maxRepairs where tried.insert(question.style).inserted {
            do throws(PricingError) {
                let json = try ask(&statement, question, request, session)
                guard let plan = try parser.plan(json: json) else { throw .badPlan }
                return .plan(plan, version: session.version)
            } catch {
                failure = error
                guard case .server(.refused(let reason, let state)) = error, Self.curable.contains(state) else { break }
                question.style = StatementRepair.next(
                    after: question.style,
                    state: state,
                    reason: reason,
                    of: statement
                )
            }
        }
        throw failure
    }

    private func ask(
        _ statement: inout ParsedStatement,
        _ question: ParseRequest,
        _ request: PricingRequest,
        _ session: ExplainSession
    ) throws(PricingError) -> String {
        var written = statement
        let name = session.nextName()
        let json = try session.inReadOnlyTransaction { () throws(PricingError) -> String? in
            let path = try Self.server { () throws(PostgresError) in
                if let path = request.searchPath { return path }
                return try Admission.defaultPath(session, user: request.user)
            }
            guard let listed = SearchPath.names(path, user: request.user) else {
                throw .server(.refused(reason: "invalid search_path", sqlState: "22023"))
            }
            let schemas = SearchPath.effective(listed)
            let admission = try admit(written.names, schemas, session, locked: false)
            var question = question
            question.schemas = admission.schemas
            guard case .plan(let now) = try parser.parse(question) else { throw .parserFailed }
            written = now
            // Where nobody else's names can be found: those of tables and types stand in the text with their schemas.
            let narrow = ["pg_catalog"] + admission.extensionSchemas.map(GenericStatement.quoted) + ["pg_temp"]
            let parsePath = options.checks.isOn(.path) ? narrow.joined(separator: ", ") : path
            return try plan(written, name, request, session, path: parsePath) { () throws(PricingError) in
                if options.checks.isOn(.recheck) { _ = try admit(written.names, schemas, session, locked: true) }
            }
        }
        statement = written
        release(name, session)
        guard let json else { throw .badPlan }
        return json
    }

    private func admit(
        _ names: StatementNames,
        _ path: [String],
        _ session: ExplainSession,
        locked: Bool
    ) throws(PricingError) -> Admission {
        let admission = try Self.server { () throws(PostgresError) in
            try Admission.ask(session, names, path: path, locked: locked, checks: options.checks)
        }
        if let refusal = admission.refusal { throw .unsafe(refusal) }
        return admission
    }

    /// Parses under `path`, looks once more, and has it planned.
    private func plan(
        _ statement: ParsedStatement,
        _ name: String,
        _ request: PricingRequest,
        _ session: ExplainSession,
        path: String,
        recheck: () throws(PricingError) -> Void
    ) throws(PricingError) -> String? {
        let isOwn = path == ExplainSession.ownPath
        func parse(_ types: [UInt32]) throws(PostgresError) -> [UInt32] {
            let text = Array(statement.text.utf8)
            if !isOwn { try session.setPath(path) }
            try session.connection.prepare(name, text, types: types, seconds: ExplainSession.planTimeout)
            let types = try session.connection.parameterTypes(of: name, seconds: ExplainSession.timeout)
            if !isOwn { try session.setPath(ExplainSession.ownPath) }
            return types
        }
        let types = try Self.server { () throws(PostgresError) in
            let types = try parse(Self.known(request.types, of: statement))
            let bases = try BaseTypes.of(types, session)
            guard bases != types else { return types }
            _ = try session.execute("DEALLOCATE \(name)")
            return try parse(bases)
        }
        try recheck()
        return try Self.server { () throws(PostgresError) in
            if !isOwn { try session.setPath(path) }
            let nulls = Array(repeating: "NULL", count: max(types.count, statement.parameters)).joined(separator: ",")
            let call = nulls.isEmpty ? name : "\(name)(\(nulls))"
            return try session.connection.execute(
                "EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE \(call)",
                seconds: ExplainSession.planTimeout
            ).first?.values.first
        }
    }

    private static func server<Value>(_ body: () throws(PostgresError) -> Value) throws(PricingError) -> Value {
        do throws(PostgresError) { return try body() } catch { throw .server(error) }
    }

    /// Types from the Parse message, for the statement's own parameters only: built-in ones, the others are found out.
    private static func known(_ types: [UInt32], of statement: ParsedStatement) -> [UInt32] {
        types.prefix(statement.ownParameters).map { $0 < 16_384 ? $0 : 0 }
    }

    private func release(_ name: String, _ session: ExplainSession) {
        // In a failed transaction this is refused: then the name is simply never used again.
        _ = try? session.execute("DEALLOCATE \(name)")
    }

    /// Ends the process of a session that did not answer in time.
    private func end(_ session: ExplainSession, _ request: PricingRequest) {
        held = HeldBackend(
            session.connection.backendPID,
            options.parameters,
            database: request.database,
            user: options.asTenant ? request.user : nil
        )
        if held != nil { heldCount &+= 1 }
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
        if order.count >= Self.maxSessions { sessions[order.removeFirst()] = nil }
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
