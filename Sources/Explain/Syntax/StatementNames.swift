// SPDX-License-Identifier: Apache-2.0

/// What a statement uses by name, as far as its text tells.
struct StatementNames: Equatable, Sendable, Codable {
    /// A name that may stand behind a schema's.
    struct Qualified: Hashable, Sendable, Codable, Comparable {
        /// Empty: to be looked for along the search_path.
        var schema = ""
        var name: String

        static func < (left: Qualified, right: Qualified) -> Bool {
            (left.schema, left.name) < (right.schema, right.name)
        }
    }

    var functions: Set<Qualified> = []
    var operators: Set<Qualified> = []
    var types: Set<Qualified> = []
    /// Tables and views, without the names of WITH clauses.
    var relations: Set<Qualified> = []
    /// The last names of column references and of field selections: `x.f` is `f(x)` where `x` has no such column.
    var fields: Set<String> = []

    /// Tells of a name as the grammar lists it, such as `["pg_catalog", "lower"]`.
    static func qualified(_ list: [String]) -> Qualified? {
        guard let last = list.last, list.count <= 2 else { return nil }
        return Qualified(schema: list.count == 2 ? list[0] : "", name: last)
    }
}
