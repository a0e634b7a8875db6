// SPDX-License-Identifier: Apache-2.0
import PostgresClient

/// A domain parameter would have its constraints checked on the NULL that is bound for it: the base type is asked for.
enum BaseTypes {
    static func of(_ types: [UInt32], _ session: ExplainSession) throws(PostgresError) -> [UInt32] {
        guard types.contains(where: { $0 >= 16_384 }) else { return types }
        let rows = try session.execute(
            """
            WITH RECURSIVE base(first, oid) AS (
                SELECT oid, oid FROM pg_catalog.pg_type WHERE oid = ANY ($1::pg_catalog.oid[])
                UNION ALL
                SELECT base.first, typbasetype FROM base JOIN pg_catalog.pg_type t ON t.oid = base.oid WHERE typtype = 'd')
            SELECT first, base.oid AS base FROM base JOIN pg_catalog.pg_type t ON t.oid = base.oid WHERE typtype <> 'd'
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
}
