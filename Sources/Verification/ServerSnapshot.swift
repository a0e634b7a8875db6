// SPDX-License-Identifier: Apache-2.0
import Domain

/// A user in a database: whose statements are compared.
struct Account: Sendable, Hashable, Comparable {
    var user: String, database: String

    static func < (left: Account, right: Account) -> Bool {
        (left.user, left.database) < (right.user, right.database)
    }
}

/// An entry of pg_stat_statements.
struct StatementEntry: Sendable, Hashable {
    var account: Account
    var query: String
    var isTopLevel: Bool
}

/// What a server had counted at one time.
struct ServerSnapshot: Sendable {
    /// Calls of each entry.
    var entries: [StatementEntry: UInt64] = [:]
    /// Entries that were given up because there are too many texts (`pg_stat_statements_info.dealloc`, since PostgreSQL 14).
    var deallocated: UInt64 = 0
    /// When the counts were set to zero, as the server writes it; `nil`: not told.
    var reset: String?
    /// Sessions that began in each database (`pg_stat_database.sessions`, since PostgreSQL 14).
    var sessions: [String: UInt64] = [:]
    /// Questions that this program had asked by then, this one included.
    var own: UInt64 = 0
}

/// A session as pg_stat_activity shows it.
struct ServerSession: Sendable {
    var process: String
    var account: Account?
    /// Its client's end; `nil`: a Unix socket, or none at all.
    var client: Endpoint?
    var kind: String
    var isBusy: Bool, isTLS: Bool, isGSS: Bool, isOwn: Bool
    /// Seconds since it began.
    var age: Double

    /// A row of ``StatementStatistics``' question.
    init(_ row: [String: String]) {
        process = row["pid"] ?? ""
        if let user = row["usename"], let database = row["datname"] {
            account = Account(user: user, database: database)
        }
        if let address = row["client_addr"], let port = row["client_port"].flatMap({ UInt16($0) }) {
            client = Endpoint(address: address, port: port)
        }
        kind = row["backend_type"] ?? ""
        // A session in a transaction may hold a portal whose statement is counted when the transaction ends.
        isBusy = row["state"].map { !["idle", "disabled"].contains($0) } ?? false
        (isTLS, isGSS, isOwn) = (row["ssl"] == "t", row["gss"] == "t", row["own"] == "t")
        age = Double(row["age"] ?? "") ?? 0
    }
}
