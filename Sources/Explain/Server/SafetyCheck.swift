// SPDX-License-Identifier: Apache-2.0
import PostgresClient

/// Whether planning a statement could run code that somebody else than PostgreSQL's makers wrote.
///
/// The planner evaluates immutable functions of constants, and stable ones to estimate; it does so inside views, index
/// expressions, constraints, defaults (a domain's too), casts and policies, with the rights of whoever plans. Functions of the languages C
/// and internal, which only superusers can make, are trusted; so is all in pg_catalog. What the statement names is known
/// from its syntax; which relations it reaches, through views and policies too, is known from the locks that parsing it
/// took, which also keep those relations from being changed until the plan is there.
enum SafetyCheck {
    /// What was found, or `nil` for nothing.
    ///
    /// To be asked in the transaction that parsed the statement.
    static func ask(_ session: ExplainSession, _ names: StatementNames) throws(PostgresError) -> String? {
        let rows = try session.execute(
            query,
            [
                array(names.functions), array(names.qualifiedFunctions), array(names.operators), array(names.types),
                array(names.qualifiedOperators),
            ]
        )
        return rows.first?["found"]
    }

    /// A domain parameter would have its constraints checked on the NULL that is bound for it: the base type is asked for.
    static func baseTypes(_ session: ExplainSession, _ types: [UInt32]) throws(PostgresError) -> [UInt32] {
        guard types.contains(where: { $0 >= 16_384 }) else { return types }
        let rows = try session.execute(
            """
            WITH RECURSIVE base(first, oid) AS (
                SELECT oid, oid FROM pg_type WHERE oid = ANY ($1::oid[])
                UNION ALL
                SELECT base.first, typbasetype FROM base JOIN pg_type t ON t.oid = base.oid WHERE typtype = 'd')
            SELECT first, base.oid AS base FROM base JOIN pg_type t ON t.oid = base.oid WHERE typtype <> 'd'
            """,
            ["{" + types.map(String.init).joined(separator: ",") + "}"]
        )
        var bases: [UInt32: UInt32] = [:]
        for row in rows {
            guard let first = row["first"].flatMap({ UInt32($0) }), let base = row["base"].flatMap({ UInt32($0) })
            else { continue }
            bases[first] = base
        }
        return types.map { bases[$0] ?? $0 }
    }

    /// A text array as PostgreSQL reads it.
    static func array(_ values: some Sequence<String>) -> String {
        let quoted = values.map { value in
            "\"" + value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
        }
        return "{" + quoted.sorted().joined(separator: ",") + "}"
    }

    /// 12 and 13 are the languages internal and C, 11 is the schema pg_catalog, 10 the role that initdb made.
    private static let query = """
        WITH RECURSIVE path AS (
            SELECT n.oid FROM pg_namespace n WHERE n.nspname = ANY (current_schemas(true))),
        safe AS (SELECT oid FROM pg_namespace WHERE oid = 11 OR (nspname = 'information_schema' AND nspowner = 10)),
        used(oid) AS (
            SELECT l.relation FROM pg_locks l
            WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.relation >= 16384
                AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            UNION
            SELECT i.inhrelid FROM used JOIN pg_inherits i ON i.inhparent = used.oid),
        types(oid) AS (
            (SELECT a.atttypid FROM used JOIN pg_attribute a ON a.attrelid = used.oid AND a.attnum > 0
            UNION SELECT t.oid FROM pg_type t WHERE t.typname = ANY ($4::text[]))
            UNION
            SELECT inner_type.oid FROM types JOIN pg_type t ON t.oid = types.oid CROSS JOIN LATERAL (
                SELECT t.typelem UNION ALL SELECT t.typbasetype
                UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE r.rngtypid = t.oid
                UNION ALL SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0)
                AS inner_type(oid)
            WHERE inner_type.oid <> 0),
        parts(classid, objid) AS (
            SELECT 'pg_type'::regclass, oid FROM types
            UNION ALL SELECT 'pg_constraint'::regclass, c.oid FROM types JOIN pg_constraint c ON c.contypid = types.oid
            UNION ALL
            SELECT 'pg_class'::regclass, oid FROM used
            UNION ALL SELECT 'pg_class'::regclass, i.indexrelid FROM used JOIN pg_index i ON i.indrelid = used.oid
            UNION ALL SELECT 'pg_rewrite'::regclass, r.oid FROM used JOIN pg_rewrite r ON r.ev_class = used.oid
            UNION ALL SELECT 'pg_constraint'::regclass, c.oid FROM used JOIN pg_constraint c ON c.conrelid = used.oid
            UNION ALL SELECT 'pg_attrdef'::regclass, d.oid FROM used JOIN pg_attrdef d ON d.adrelid = used.oid
            UNION ALL SELECT 'pg_policy'::regclass, p.oid FROM used JOIN pg_policy p ON p.polrelid = used.oid
            UNION ALL
            SELECT 'pg_statistic_ext'::regclass, s.oid FROM used JOIN pg_statistic_ext s ON s.stxrelid = used.oid),
        needed(oid) AS (
            SELECT d.refobjid FROM parts JOIN pg_depend d USING (classid, objid)
            WHERE d.refclassid = 'pg_proc'::regclass
            UNION
            SELECT o.oprcode::oid FROM parts JOIN pg_depend d USING (classid, objid)
                JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
            UNION
            SELECT p.oid FROM pg_proc p
            WHERE p.proname = ANY ($1::text[]) AND p.pronamespace IN (SELECT oid FROM path)
            UNION
            SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
            WHERE n.nspname || '.' || p.proname = ANY ($2::text[])
            UNION
            SELECT o.oprcode::oid FROM pg_operator o
            WHERE o.oprname = ANY ($3::text[]) AND o.oprnamespace IN (SELECT oid FROM path)
            UNION
            SELECT o.oprcode::oid FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
            WHERE n.nspname || '.' || o.oprname = ANY ($5::text[])),
        casts(oid) AS (
            SELECT c.castfunc FROM pg_cast c
            WHERE c.castfunc >= 16384
                AND (c.castsource < 16384 OR c.castsource IN (SELECT oid FROM types))
                AND (c.casttarget < 16384 OR c.casttarget IN (SELECT oid FROM types))),
        untrusted(oid) AS (
            SELECT p.oid FROM pg_proc p
            WHERE p.oid IN (SELECT oid FROM needed UNION SELECT oid FROM casts)
                AND p.prolang NOT IN (12, 13) AND p.pronamespace NOT IN (SELECT oid FROM safe))
        SELECT coalesce(
            (SELECT 'function ' || oid::regprocedure FROM untrusted LIMIT 1),
            (SELECT 'foreign table ' || c.oid::regclass FROM used JOIN pg_class c USING (oid)
                WHERE c.relkind = 'f' LIMIT 1)) AS found
        """
}
