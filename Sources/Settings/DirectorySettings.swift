// SPDX-License-Identifier: Apache-2.0

/// A database that says who is in which tier.
public struct DirectorySettings: Sendable, Hashable {
    /// The server, as libpq takes it.
    public var server: String
    /// Tiers by role: members, direct or not, are in the tier of the first role that they are members of.
    public var roles: [Role] = []
    /// A query that returns a user and a tier a row; it goes before roles.
    public var query: String?
    /// How often it is asked, in seconds.
    public var every: Int64 = 60

    /// The tier of a role's members.
    public struct Role: Sendable, Hashable {
        /// The role.
        public var name: String
        /// The tier.
        public var tier: String
    }
}
