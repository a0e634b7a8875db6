// SPDX-License-Identifier: Apache-2.0
import PostgresClient

/// How large the planner takes tables to be: what ANALYZE, VACUUM and autovacuum change, which pass by on no wire.
///
/// From pg_class, which replicas have too; the statistics views are each server's own.
struct TableSizes {
    private var tables: [String: (rows: Double, pages: Double)] = [:]

    /// Asks for the tables, named as `schema.table`.
    static func ask(_ session: ExplainSession, _ names: [String]) throws(PostgresError) -> TableSizes {
        let rows = try session.execute(
            """
            SELECT n.nspname || '.' || c.relname AS name, c.reltuples, c.relpages FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'm', 'p') AND n.nspname || '.' || c.relname = ANY ($1::text[])
            """,
            [Admission.array(names)]
        )
        var sizes = TableSizes()
        for row in rows {
            guard let name = row["name"], let tuples = row["reltuples"].flatMap({ Double($0) }),
                let pages = row["relpages"].flatMap({ Double($0) })
            else { continue }
            sizes.tables[name] = (tuples, pages)
        }
        return sizes
    }

    /// Tables that are a fifth larger or smaller than before, or were there before only.
    func changed(since before: TableSizes) -> [String] {
        before.tables.compactMap { name, old in
            guard let new = tables[name] else { return name }
            return Self.differs(old.rows, new.rows) || Self.differs(old.pages, new.pages) ? name : nil
        }
    }

    private static func differs(_ old: Double, _ new: Double) -> Bool { abs(new - old) > 0.2 * max(abs(old), 10) }
}
