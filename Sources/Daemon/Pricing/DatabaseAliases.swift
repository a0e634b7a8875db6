// SPDX-License-Identifier: Apache-2.0
import PostgresClient

/// What poolers call databases: a client of PgBouncer names an entry of `[databases]`, whose `dbname` the server knows.
struct DatabaseAliases {
    /// Connection strings of consoles.
    private let consoles: [String]
    private var last: Double?
    private var found: [String: String] = [:]

    /// Seconds between two looks.
    private static let interval = 60.0
    private static let patience = 2.0

    init(_ consoles: [String]) { self.consoles = consoles }

    /// Databases by the poolers' names, where those differ; asked for anew once a minute.
    ///
    /// A console that does not answer changes nothing. Where two poolers disagree, the name stays what it is.
    mutating func current(at now: Double) -> [String: String] {
        guard !consoles.isEmpty, last.map({ abs(now - $0) >= Self.interval }) ?? true else { return found }
        last = now
        var names: [String: Set<String>] = [:]
        for console in consoles {
            guard let rows = try? Self.ask(console) else { return found }
            for row in rows {
                guard let name = row["name"], let database = row["database"], name != "pgbouncer" else { continue }
                names[name, default: []].insert(database)
            }
        }
        found = names.compactMapValues { $0.count == 1 ? $0.first : nil }.filter { $0.key != $0.value }
        return found
    }

    private static func ask(_ console: String) throws(PostgresError) -> [[String: String]] {
        let connection = try PostgresConnection(
            console,
            application: "pgweir prices",
            seconds: patience,
            database: "pgbouncer"
        )
        return try connection.rows(
            of: "SHOW DATABASES",
            seconds: patience,
            names: PostgresConnection.consoleNameColumns
        )
    }
}
