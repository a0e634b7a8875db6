// SPDX-License-Identifier: Apache-2.0

/// What one user did in one database of one server, in numbers that pg_stat_statements has as well (PostgreSQL
/// documentation, F.32 "pg_stat_statements").
///
/// All of them are sums since the tap began.
public struct SeenCalls: Sendable, Hashable {
    /// The login and its database; `nil`: not known.
    public var user: String?, database: String?
    /// Where that was; `nil`: not told apart.
    public var server: Endpoint?
    /// Finished executions of planned queries.
    public var plannable: UInt64 = 0
    /// Finished utility statements; and DEALLOCATE, which is counted since PostgreSQL 17.
    public var utilities: UInt64 = 0, deallocations: UInt64 = 0
    /// Of ``utilities``, those sent by the extended protocol.
    public var extendedUtilities: UInt64 = 0
    /// Finished statements whose kind is not known, and statements of which it is not known whether they finished.
    public var unclassified: UInt64 = 0, uncertain: UInt64 = 0
    /// Logins that the server accepted.
    public var logins: UInt64 = 0

    /// Nothing was done.
    public init(user: String?, database: String?, server: Endpoint?) {
        (self.user, self.database, self.server) = (user, database, server)
    }
}
