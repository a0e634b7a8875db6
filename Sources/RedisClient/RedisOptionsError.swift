// SPDX-License-Identifier: Apache-2.0

/// What is wrong with a URL; says no part of it that might be of a password.
public enum RedisOptionsError: Error, Equatable, Sendable, CustomStringConvertible {
    /// No `scheme://`, or one that is not ours.
    case unknownScheme
    /// TLS, which hiredis 0.14 has not.
    case noTLS
    /// No host, or one of the list is missing.
    case missingHost
    /// A host with characters that no name or address has.
    case badHost
    /// A port that is none.
    case badPort
    /// A `[` without `]`.
    case openBracket
    /// Several hosts where one belongs.
    case severalHosts
    /// A database that is no number.
    case badDatabase
    /// A database other than 0 in a cluster.
    case clusterDatabase
    /// No name of a master after the sentinels.
    case missingMaster
    /// More in the path than belongs there.
    case longPath
    /// A path of a socket that is not absolute, or longer than the system allows.
    case badSocketPath
    /// An option after `?` that there is none.
    case unknownOption
    /// A `%` without two hexadecimal digits, or bytes that are not UTF-8.
    case badEscape
    /// A `@` after the host, or a `#`.
    case unescapedPassword
    /// A user without a password.
    case userWithoutPassword

    /// What is wrong, and what to write.
    public var description: String { "the Redis URL " + fault }

    private var fault: String {
        switch self {
        case .unknownScheme:
            "does not begin with redis://, unix://, redis+sentinel:// or redis+cluster://"
        case .noTLS:
            "asks for TLS, which hiredis 0.14 does not have: let stunnel listen on 127.0.0.1 and connect on by TLS, "
                + "and write redis://127.0.0.1:PORT"
        case .missingHost: "lacks a host: write redis://HOST:PORT"
        case .badHost: "has a host that is none: write a name, an IPv4 address or [IPv6]"
        case .badPort: "has a port that is no number from 1 to 65535"
        case .openBracket: "has an IPv6 address without its ]: write redis://[::1]:6379"
        case .severalHosts:
            "has several hosts: write redis+sentinel://A,B,C/MASTER for sentinels, redis+cluster://A,B,C for a cluster"
        case .badDatabase: "has a database that is no number from 0 to 1000000: write redis://HOST/0"
        case .clusterDatabase: "names a database, but a cluster has only 0: leave it out"
        case .missingMaster: "lacks the name of the master: write redis+sentinel://A,B,C/mymaster"
        case .longPath: "has too long a path: only the database follows the host (for sentinels: /MASTER/DATABASE)"
        case .badSocketPath: "needs an absolute path of at most 107 bytes: write unix:///run/redis/redis.sock"
        case .unknownOption: "has an option that there is none: only ?db=N, after unix://"
        case .badEscape: "has a % that no two hexadecimal digits follow, or no UTF-8: write %25 for a percent sign"
        case .unescapedPassword:
            "has an @ or # out of place: in a user or password write %40 for @, %2F for /, %3F for ?, %23 for #"
        case .userWithoutPassword: "has a user without a password: write USER:PASSWORD@, or :PASSWORD@ without a user"
        }
    }
}
