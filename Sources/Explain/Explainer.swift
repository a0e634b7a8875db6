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

    let options: Options
    /// What poolers call databases, where the server has another name.
    public var aliases: [String: String] = [:]
    let parser: any StatementParser
    private var sessions: [String: ExplainSession] = [:]
    /// Sessions in the order of their last use.
    private var order: [String] = []
    /// Relations whose definitions changed while statements on them were planned, and until when they are left alone.
    var moving: [String: (until: Double, seconds: Double)] = [:]
    /// An index that its owner adds once delays a price by this, in seconds.
    static let firstRest = 30.0
    static let longestRest = 600.0
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
        switch try target(of: question) {
        case .fixed(let utility): return .fixed(utility)
        case .plan(let statement):
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

    /// What of a statement the planner can be asked about.
    enum Target {
        case plan(ParsedStatement)
        /// A class of its own has a price.
        case fixed(UtilityClass)
    }

    /// Parses a statement; what is not to be planned is thrown.
    func target(of question: ParseRequest) throws(PricingError) -> Target {
        switch try parser.parse(question) {
        case .fixed(let name): return .fixed(UtilityClass(rawValue: name) ?? .unknown)
        case .notOneStatement: throw .notOneStatement
        case .failed(let error): throw .syntax(error)
        case .plan(let statement):
            if let refusal = statement.refusal { throw .unsafe(refusal) }
            return .plan(statement)
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

    /// For which roles row-level security is passed over, and with which search_path logins begin.
    func roles() throws(PricingError) -> RoleFacts {
        let request = PricingRequest(text: [], database: nil)
        let session = try session(for: request)
        do throws(PostgresError) {
            let rows = try session.execute("SELECT rolname FROM pg_roles WHERE rolsuper OR rolbypassrls", [])
            let paths = try session.execute(
                """
                SELECT r.rolname, d.datname, substr(value, 13) AS path
                FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) value
                LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase
                WHERE value LIKE 'search\\_path=%' AND (s.setrole = 0 OR r.oid IS NOT NULL)
                    AND (s.setdatabase = 0 OR d.oid IS NOT NULL)
                ORDER BY 1, 2 LIMIT 10000
                """
            )
            return RoleFacts(
                bypassing: Set(rows.compactMap { $0["rolname"] }),
                paths: paths.map { .init(role: $0["rolname"], database: $0["datname"], path: $0["path"] ?? "") }
            )
        } catch {
            forget(request)
            throw .server(error)
        }
    }

    /// Predefined roles that the login is a member of though planning does not need them: what a trap could use.
    public func needlessRights() throws(PricingError) -> [String] {
        let session = try session(for: PricingRequest(text: []))
        return try Self.server { () throws(PostgresError) in
            try session.execute(
                "SELECT rolname FROM pg_roles WHERE rolname LIKE 'pg\\_%' AND pg_has_role(current_user, oid, 'USAGE') ORDER BY 1"
            ).compactMap { $0["rolname"] }
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

    /// Ends the process of a session that did not answer in time.
    private func end(_ session: ExplainSession, _ request: PricingRequest) {
        held = HeldBackend(
            session.connection.backendPID,
            options.parameters,
            database: database(of: request),
            user: options.asTenant ? request.user : nil
        )
        if held != nil { heldCount &+= 1 }
    }

    // MARK: Sessions

    /// The database as the server knows it.
    private func database(of request: PricingRequest) -> String? { request.database.map { aliases[$0] ?? $0 } }

    private func key(_ request: PricingRequest) -> String {
        "\(database(of: request) ?? "")\u{0}\(options.asTenant ? request.user ?? "" : "")"
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
            database: database(of: request),
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
