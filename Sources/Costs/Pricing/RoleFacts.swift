// SPDX-License-Identifier: Apache-2.0

/// What the server that is asked for plans says of roles: their settings decide what a statement's plan is.
public struct RoleFacts: Sendable, Equatable {
    /// A search_path that a role, a database, or a role in a database has (PostgreSQL documentation, "pg_db_role_setting").
    public struct Path: Sendable, Equatable {
        /// The role; `nil`: any.
        public var role: String?
        /// The database; `nil`: any.
        public var database: String?
        /// The list of schemas, as SHOW tells it.
        public var path: String

        /// A path.
        public init(role: String?, database: String?, path: String) {
            (self.role, self.database, self.path) = (role, database, path)
        }
    }

    /// Roles for which row-level security is passed over.
    public var bypassing: Set<String> = []
    /// Those of a role in a database, by role and then database.
    private var paths: [String?: [String?: String]] = [:]

    /// Nothing is known.
    public init() {}

    /// Facts as they were asked.
    public init(bypassing: Set<String>, paths list: [Path]) {
        self.bypassing = bypassing
        for entry in list { paths[entry.role, default: [:]][entry.database] = entry.path }
    }

    /// The search_path that a login begins with; `nil`: the server's own.
    ///
    /// What is set for a role comes before what is set for a database, what is set for both first.
    public func path(of role: String, in database: String) -> String? {
        if let own = paths[role], let path = own[database] ?? own[nil] { return path }
        return paths[nil].flatMap { $0[database] ?? $0[nil] }
    }
}
