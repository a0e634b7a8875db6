// SPDX-License-Identifier: Apache-2.0

/// A version of PgBouncer, and what it means for limits.
public struct PgBouncerVersion: Comparable, Hashable, Sendable, CustomStringConvertible {
    /// Its three numbers, such as 1, 25 and 2.
    public let major: Int, minor: Int, patch: Int

    /// A version by its numbers.
    public init(_ major: Int, _ minor: Int, _ patch: Int) {
        (self.major, self.minor, self.patch) = (major, minor, patch)
    }

    /// The version in the answer to SHOW VERSION, such as `PgBouncer 1.18.0`; `nil` where there is none.
    public init?(_ text: String) {
        let word = text.split(separator: " ").first { $0.first?.isNumber == true } ?? ""
        let numbers = word.split(separator: ".").map { part in Int(part.prefix { $0.isASCII && $0.isNumber }) }
        guard numbers.count >= 2, let major = numbers[0], let minor = numbers[1] else { return nil }
        self.init(major, minor, numbers.count > 2 ? numbers[2] ?? 0 : 0)
    }

    /// Such as `1.25.2`.
    public var description: String { "\(major).\(minor).\(patch)" }

    /// Orders by age.
    public static func < (left: Self, right: Self) -> Bool {
        (left.major, left.minor, left.patch) < (right.major, right.minor, right.patch)
    }

    /// Whether a name of any characters can be written, in single quotes.
    public var quotesNames: Bool { self >= Self(1, 25, 0) }
    /// Whether SHOW USERS tells limits and connections.
    public var tellsLimits: Bool { self >= Self(1, 23, 0) }
    /// Whether a line for a user of `auth_query` shuts that user out or ends the process.
    public var breaksQueriedUsers: Bool { self < Self(1, 23, 0) }
    /// Whether RELOAD closes every connection to servers where `server_tls_sslmode` is not `disable`, also where the server
    /// then refuses TLS (pgbouncer issue 1157).
    public var reloadRecyclesTLS: Bool { self < Self(1, 24, 0) }
    /// Whether the process may end when RELOAD meets a TLS handshake with a server.
    public var reloadBreaksHandshakes: Bool { (Self(1, 25, 0)...Self(1, 25, 2)).contains(self) }
    /// Whether one user's `client_idle_timeout` closes clients of others.
    public var mixesIdleTimeouts: Bool { self == Self(1, 25, 2) }
    /// Whether `max_user_client_connections` counts wrongly (pgbouncer issue 1238).
    public var miscountsClients: Bool { self == Self(1, 24, 0) }
    /// Whether a user of `stats_users` may also KILL_CLIENT (CVE-2026-6667).
    public var letsStatsUsersKill: Bool { (Self(1, 24, 0)...Self(1, 25, 1)).contains(self) }

    /// Why nothing may be loaded by this version; `nil`: it may.
    public var refusal: String? {
        guard self == Self(1, 23, 0) else { return nil }
        return "PgBouncer 1.23.0 may crash on RELOAD (pgbouncer issue 1105; one tag of 1.23.1 calls itself so, too): "
            + "upgrade it to 1.24 or later"
    }
}
