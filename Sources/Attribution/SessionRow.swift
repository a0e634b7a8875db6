// SPDX-License-Identifier: Apache-2.0
public import Domain
import Glibc

/// A session as a server or a pooler lists it.
public struct SessionRow: Sendable, Equatable {
    /// The client's end as the server sees it.
    public var client: Endpoint
    /// The server's end; `nil`: any address, as pg_stat_activity does not tell.
    public var server: Endpoint?
    /// How long it is there, in seconds; `nil`: not told.
    public var age: Double?
    /// When it came, by the pooler's clock and in whole seconds; `nil`: not told.
    public var connected: Timestamp?
    /// Whose it is.
    public var identity: SessionIdentity

    /// A row of pg_stat_activity; `nil` for what has no client on the network or no user yet.
    init?(activity row: [String: String]) {
        guard let client = Endpoint(row, "client_addr", "client_port"), let user = row["usename"],
            let database = row["datname"]
        else { return nil }
        self.client = client
        age = row["age"].flatMap { Double($0) }
        identity = SessionIdentity(user: user, database: database, application: row["application_name"] ?? "")
    }

    /// A row of PgBouncer's `SHOW CLIENTS`.
    init?(pooler row: [String: String]) {
        guard let client = Endpoint(row, "addr", "port"), let server = Endpoint(row, "local_addr", "local_port"),
            let user = row["user"],
            let database = row["database"]
        else { return nil }
        self.client = client
        self.server = server
        connected = row["connect_time"].flatMap { Timestamp(connectTime: $0) }
        identity = SessionIdentity(user: user, database: database, application: row["application_name"] ?? "")
    }
}

extension Endpoint {
    /// An end of a connection in two columns of a row; `nil` for what is not on the network.
    init?(_ row: [String: String], _ address: String, _ port: String) {
        guard let address = row[address], let port = row[port].flatMap({ UInt16($0) }) else { return nil }
        self.init(address: address, port: port)
    }
}

extension Timestamp {
    /// A time as PgBouncer prints it, such as `2026-11-23 17:39:00 UTC`; `nil` in another time zone.
    init?(connectTime text: String) {
        let parts = text.split(whereSeparator: { " -:".contains($0) })
        let numbers = parts.prefix(6).compactMap { Int32($0) }
        guard parts.count == 7, parts[6] == "UTC", numbers.count == 6 else { return nil }
        var time = unsafe tm()
        unsafe (time.tm_year, time.tm_mon, time.tm_mday) = (numbers[0] &- 1900, numbers[1] &- 1, numbers[2])
        unsafe (time.tm_hour, time.tm_min, time.tm_sec) = (numbers[3], numbers[4], numbers[5])
        self.init(nanoseconds: Int64(unsafe timegm(&time)) &* 1_000_000_000)
    }
}
