// SPDX-License-Identifier: Apache-2.0
import Platform
import PostgresClient

/// How one statement is planned: admitted by its names, parsed, looked at once more, planned, looked at once more.
extension Explainer {
    func ask(
        _ statement: inout ParsedStatement,
        _ question: ParseRequest,
        _ request: PricingRequest,
        _ session: ExplainSession
    ) throws(PricingError) -> String {
        var written = statement
        let name = session.nextName()
        // It outlives the transaction, whatever comes of that.
        defer { session.release(name) }
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
            let relations = Self.keys(of: written.names, admission, request)
            if relations.contains(where: { isMoving($0) }) { throw .unsafe(Self.hasChanged) }
            do throws(PricingError) {
                return try plan(written, name, request, session, path: parsePath) { () throws(PricingError) in
                    guard options.checks.isOn(.recheck) else { return nil }
                    return try admit(written.names, schemas, session, locked: true).definitions
                }
            } catch {
                if case .unsafe(let finding) = error { rest(relations, isHarmless: finding == Self.hasChanged) }
                throw error
            }
        }
        statement = written
        guard let json else { throw .badPlan }
        return json
    }

    private static let hasChanged = SafetyFinding(
        check: .recheck,
        what: "a definition that changed while it was planned"
    )

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
        recheck: () throws(PricingError) -> Admission.Definitions?
    ) throws(PricingError) -> String? {
        let isOwn = path == ExplainSession.ownPath
        func parse(_ types: [UInt32]) throws(PostgresError) -> [UInt32] {
            let text = Array(statement.text.utf8)
            if !isOwn { try session.setPath(path) }
            try session.prepare(name, text, types: types)
            let types = try session.connection.parameterTypes(of: name, seconds: ExplainSession.timeout)
            if !isOwn { try session.setPath(ExplainSession.ownPath) }
            return types
        }
        let types = try Self.server { () throws(PostgresError) in
            let types = try parse(Self.known(request.types, of: statement))
            let bases = try BaseTypes.of(types, session)
            guard bases != types else { return types }
            session.release(name)
            return try parse(bases)
        }
        let definitions = try recheck()
        let nulls = Array(repeating: "NULL", count: max(types.count, statement.parameters)).joined(separator: ",")
        let json: String?
        do throws(PostgresError) {
            json = try session.plan(nulls.isEmpty ? name : "\(name)(\(nulls))", path: path, unless: definitions)
        } catch {
            if case .refused(_, ExplainSession.changed) = error { throw .unsafe(Self.hasChanged) }
            throw .server(error)
        }
        // No lock of a reader keeps out CREATE INDEX, CREATE STATISTICS and INHERITS: whoever came in after the last
        // comparison is seen here, and has no second try soon.
        _ = try recheck()
        return json
    }

    /// What ``moving`` knows relations by.
    private static func keys(of names: StatementNames, _ admission: Admission, _ request: PricingRequest) -> [String] {
        names.relations.map { relation in
            let schema = relation.schema.isEmpty ? admission.schemas.relations[relation.name] ?? "" : relation.schema
            return [request.database ?? "", schema, relation.name].joined(separator: "\u{0}")
        }
    }

    private func isMoving(_ key: String) -> Bool { moving[key].map { $0.until > SystemClock.now() } ?? false }

    /// Leaves relations alone whose definitions changed between two looks: longer each time, and as long as it goes where
    /// code of somebody else came in.
    private func rest(_ relations: [String], isHarmless: Bool) {
        if moving.count > 10_000 { moving = [:] }
        for relation in relations {
            let before = moving[relation]?.seconds ?? Self.firstRest / 2
            let seconds = isHarmless ? min(2 * before, Self.longestRest) : Self.longestRest
            moving[relation] = (SystemClock.now() + seconds, seconds)
        }
    }

    static func server<Value>(_ body: () throws(PostgresError) -> Value) throws(PricingError) -> Value {
        do throws(PostgresError) { return try body() } catch { throw .server(error) }
    }

    /// Types from the Parse message, for the statement's own parameters only: built-in ones, the others are found out.
    private static func known(_ types: [UInt32], of statement: ParsedStatement) -> [UInt32] {
        types.prefix(statement.ownParameters).map { $0 < 16_384 ? $0 : 0 }
    }
}
