// SPDX-License-Identifier: Apache-2.0

/// What a version of PgBouncer does with its configuration that an operator who limits users should know.
public struct PgBouncerTrap: Sendable, Hashable {
    /// How it bears on limits.
    public enum Kind: Sendable {
        /// No limit can be set because of it.
        case fatal
        /// It shows when limits are set, or keeps some from being set.
        case limits
        /// It has nothing to do with limits; whoever looks after the PgBouncer should know.
        case other
    }

    /// How it bears on limits.
    public let kind: Kind
    /// What happens.
    public let text: String
    /// What to do.
    public let remedy: String

    /// All that a version does.
    ///
    /// - Parameters:
    ///   - config: SHOW CONFIG.
    ///   - users: the settings that lines of `[users]` hold.
    public static func all(
        _ version: PgBouncerVersion,
        config: [String: String],
        users: Set<String> = []
    ) -> [Self] {
        var traps: [Self] = []
        func note(_ kind: Kind, _ text: String, _ remedy: String) {
            traps.append(Self(kind: kind, text: "PgBouncer \(version) \(text)", remedy: remedy))
        }
        if version.refusal != nil {
            note(.fatal, "may end at RELOAD (issue 1105): no limit is set", "upgrade it to 1.24 or later")
        }
        let mode = config["server_tls_sslmode"] ?? "disable"
        if version.reloadRecyclesTLS, mode != "disable" {
            note(
                .limits,
                "replaces all server connections at each change of a limit, as server_tls_sslmode is \(mode): all users "
                    + "log in again at once",
                "upgrade it to 1.24 or later, or set server_tls_sslmode = disable if the server is reached without TLS"
            )
        }
        if version.reloadBreaksHandshakes, mode != "disable" {
            note(
                .limits,
                "may end when its files are loaded while a TLS handshake with a server is under way; limits wait for a "
                    + "moment without one, yours by hand do not",
                "set server_tls_sslmode = disable if the server is reached without TLS, or upgrade it to 1.26 or later"
            )
        }
        if version.breaksQueriedUsers, let query = config["auth_query"], !query.isEmpty,
            config["auth_user"]?.isEmpty == false
        {
            note(.limits, "cannot limit users of auth_query: only those of auth_file", "upgrade it to 1.24 or later")
        }
        if version.mixesIdleTimeouts, users.contains("client_idle_timeout") {
            note(
                .other,
                "closes other users' clients by one user's client_idle_timeout",
                "take client_idle_timeout out of [users], or upgrade it to 1.26 or later"
            )
        }
        if version.miscountsClients, users.contains("max_user_client_connections") {
            note(.other, "counts max_user_client_connections wrongly (issue 1238)", "upgrade it to 1.24.1 or later")
        }
        if version.letsStatsUsersKill {
            note(.other, "lets stats_users KILL_CLIENT (CVE-2026-6667)", "upgrade it to 1.25.2 or later")
        }
        return traps
    }

    /// Names of the settings that lines of `[users]` in a pgbouncer.ini hold, and in the files that it includes.
    public static func userSettings(in path: String) -> Set<String> { OperatorFile(path: path, own: []).userSettings }
}
