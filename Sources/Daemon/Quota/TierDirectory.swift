// SPDX-License-Identifier: Apache-2.0
import Domain
import PostgresClient
import Settings

/// Asks a database who is in which tier, on a thread that nothing waits for.
struct TierDirectory: Sendable {
    let settings: DirectorySettings

    private static let patience = 10.0

    /// Tiers by user: from the query, and else from the first role in the configuration that the user is a member of.
    func read(known tiers: Set<String>) throws(PostgresError) -> [String: String] {
        let connection = try PostgresConnection(settings.server, application: "pgweir", seconds: 5)
        var found: [String: String] = [:]
        if !settings.roles.isEmpty {
            for row in try connection.rows(of: Self.members, seconds: Self.patience) {
                guard let user = row["member"], let role = row["role"] else { continue }
                guard let rank = settings.roles.firstIndex(where: { $0.name == role }) else { continue }
                let known = found[user].flatMap { tier in settings.roles.firstIndex { $0.tier == tier } } ?? .max
                if rank < known { found[user] = settings.roles[rank].tier }
            }
        }
        if let query = settings.query {
            // What it may do is what its login may do; it reads.
            _ = try connection.rows(of: "SET default_transaction_read_only = on", seconds: Self.patience)
            for row in try connection.rows(of: query, seconds: Self.patience) {
                guard let user = row["user"] ?? row["usename"] ?? row["rolname"], let tier = row["tier"],
                    tiers.contains(tier)
                else { continue }
                found[user] = tier
            }
        }
        return found
    }

    /// Members of roles, direct or not (PostgreSQL documentation, "pg_auth_members").
    private static let members = """
        WITH RECURSIVE m (role, member) AS (
            SELECT roleid, member FROM pg_auth_members
            UNION SELECT m.role, a.member FROM m JOIN pg_auth_members a ON a.roleid = m.member)
        SELECT r.rolname AS role, u.rolname AS member FROM m
        JOIN pg_roles r ON r.oid = m.role JOIN pg_roles u ON u.oid = m.member
        """
}
