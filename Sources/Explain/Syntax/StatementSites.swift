// SPDX-License-Identifier: Apache-2.0

/// A place of a statement's text that is written differently before a server sees it.
struct StatementSite: Equatable {
    /// `date '2026-01-01'`: where the type's name begins, and where qualifiers such as `day to second` end.
    struct TypedBy: Equatable {
        var start: Int
        var isInterval: Bool
        /// The type's name, where it has no schema.
        var name: String?
    }

    enum Kind: Equatable {
        /// A number or string; a type's name may introduce it, which a parameter cannot have.
        case literal(TypedBy?)
        /// TRUE, FALSE or NULL where it is more than a condition.
        case constant
        /// CURRENT_DATE and the like, of the type.
        case valueFunction(String)
        /// `now()` and the like, of the type: to the closing parenthesis.
        case call(String)
        /// `ARRAY[]`.
        case emptyArray
        /// `extract('year' FROM …)`: the string is a keyword.
        case keyword
        /// The name of a table or view without a schema.
        case relation(String)
        /// The name of a type without a schema.
        case type(String)
    }

    /// Where the syntax tree says it begins; a sign in front of a number belongs to it.
    var location: Int
    var kind: Kind
}
