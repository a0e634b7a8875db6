// SPDX-License-Identifier: Apache-2.0
import PostgresClient

/// Whether a statement may be planned, by what its names resolve to: asked before the server parses any of it.
///
/// The planner evaluates functions of constants, and stable ones to estimate; it does so inside views, index expressions,
/// constraints, defaults, policies and statistics, with the rights of whoever plans. So a name passes only if everything
/// of that name that the search_path reaches is reviewed, and a relation passes only if all that it depends on does. The
/// question runs under `search_path = pg_catalog`, so that nobody's operators take part in it.
struct Admission: Equatable {
    /// Relations that a statement reaches, as an array of object ids, and a hash of how they are defined.
    struct Definitions: Equatable {
        var relations: String
        var hash: String
    }

    /// Where relations and types were found that were named without a schema.
    var schemas = GenericStatement.Schemas()
    /// Schemas of extensions whose operators the statement may mean, to be searched after pg_catalog.
    var extensionSchemas: [String] = []
    /// What it reaches, as ``AdmissionQuery/unchanged`` takes it; where the relations are locked.
    var definitions: Definitions?
    /// Why it is not to be planned; the first reason.
    var refusal: SafetyFinding?

    /// Asks about the names of a statement.
    ///
    /// - Parameter locked: the relations that this transaction has locked are looked at besides, which are those that the
    ///   statement reaches once it was parsed.
    static func ask(
        _ session: ExplainSession,
        _ names: StatementNames,
        path: [String],
        locked: Bool,
        checks: SafetyChecks
    ) throws(PostgresError) -> Admission {
        var lists: [String?] = [array(path)]
        for set in [names.functions, names.operators, names.types, names.relations] {
            let sorted = set.sorted()
            lists += [array(sorted.map(\.schema)), array(sorted.map(\.name))]
        }
        lists += [array(names.fields.sorted()), locked ? "t" : "f"]
        let rows = try session.admission(lists)
        var admission = Admission()
        for row in rows {
            let (name, more) = (row["name"] ?? "", row["more"] ?? "")
            switch row["kind"] ?? "" {
            case "relation": admission.schemas.relations[name] = more
            case "type": if more != "pg_catalog" { admission.schemas.types[name] = more }
            case "definitions": admission.definitions = Definitions(relations: name, hash: more)
            case "extension": admission.extensionSchemas.append(name)
            case let kind:
                guard let check = SafetyChecks.Name(rawValue: kind), checks.isOn(check) else { continue }
                if admission.refusal == nil { admission.refusal = SafetyFinding(check: check, what: name) }
            }
        }
        return admission
    }

    /// The path of a login that set none: by ALTER ROLE or ALTER DATABASE, else the server's.
    static func defaultPath(_ session: ExplainSession, user: String?) throws(PostgresError) -> String {
        let rows = try session.execute(
            """
            SELECT coalesce(
                (SELECT substr(value, 13) FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) value
                    WHERE value LIKE 'search\\_path=%'
                        AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
                        AND s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = $1))
                    ORDER BY s.setrole = 0, s.setdatabase = 0 LIMIT 1),
                (SELECT boot_val FROM pg_settings WHERE name = 'search_path')) AS path
            """,
            [user ?? ""]
        )
        return rows.first?["path"] ?? ""
    }

    /// A text array as PostgreSQL reads it.
    static func array(_ values: some Sequence<String>) -> String {
        let quoted = values.map { value in
            "\"" + value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
        }
        return "{" + quoted.joined(separator: ",") + "}"
    }
}
