// SPDX-License-Identifier: Apache-2.0

/// What was found wrong with a statement, and by which check.
public struct SafetyFinding: Equatable, Sendable, Codable {
    /// The check.
    public var check: SafetyChecks.Name
    /// What it found, such as a function's name; no literal.
    public var what: String
}

/// The checks that a statement passes before a server parses it.
///
/// All are on; a test of the checks themselves turns one off, in debug builds only, to see that it is needed.
public struct SafetyChecks: Sendable, Codable {
    /// A check.
    public enum Name: String, Sendable, Codable, CaseIterable {
        /// Only nodes of the grammar that are known here.
        case syntax
        /// No literal reaches the server but bare integers of LIMIT, OFFSET and ordinals.
        case literals
        /// No constant expression reaches the planner.
        case constants
        /// Functions named are reviewed ones of pg_catalog or of reviewed extensions.
        case functions
        /// The same for operators.
        case operators
        /// Types named resolve to built-in types, or to others whose parts pass.
        case types
        /// Columns and fields whose names are those of functions: `x.f` may be `f(x)`.
        case fields
        /// What the relations' views, policies, defaults, indexes, constraints and statistics run.
        case stored
        /// How large those may be, and how often they may multiply.
        case size
        /// Casts, of any type that is reached, by functions outside of the list.
        case casts
        /// Ranges' and operator classes' functions.
        case support
        /// Foreign tables, whose wrappers plan with code of their own.
        case foreign
        /// The statement is parsed under pg_catalog's names only, its relations with their schemas.
        case path
        /// All is asked again once the relations are locked.
        case recheck
    }

    private var off: Set<Name> = []

    /// All of them.
    public static let all = SafetyChecks()

    /// All without one.
    public init(without name: Name? = nil) { if let name { off.insert(name) } }

    func isOn(_ name: Name) -> Bool { !off.contains(name) }
    var namesOff: [String] { off.map(\.rawValue) }
}
