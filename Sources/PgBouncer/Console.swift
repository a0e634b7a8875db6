// SPDX-License-Identifier: Apache-2.0
import Platform
import PostgresClient

/// The console of one PgBouncer: SHOW for stats_users, RELOAD and SET for admin_users.
///
/// It knows the simple protocol only, one command at a time; names of users never go into one.
final class Console {
    /// Seconds that an answer may take. (libpq gives a connection that hangs two.)
    static let patience = 1.0
    let parameters: String
    private var connection: PostgresConnection?
    private var retry = 0.0
    /// Why there is no connection; `nil`: there is one.
    private(set) var absence: String? = "not connected yet"
    /// Counts connections: another number may be another process.
    private(set) var epoch = 0

    init(_ parameters: String) { self.parameters = parameters }

    var isOpen: Bool { connection != nil }

    /// Connects if need be, and not again and again; returns whether there is a connection.
    func open() -> Bool {
        if connection != nil { return true }
        let started = SystemClock.now()
        guard started >= retry else { return false }
        do throws(PostgresError) {
            connection = try PostgresConnection(parameters, application: "pgweir", seconds: Self.patience)
            (absence, epoch) = (nil, epoch &+ 1)
            return true
        } catch {
            let now = SystemClock.now()
            // One that hangs is asked more rarely, so that it does not take up our time.
            retry = now + max(1, 5 * (now - started))
            absence = error.description
            return false
        }
    }

    /// Runs one command.
    func run(_ command: String) throws(PostgresError) -> [[String: String]] {
        guard let connection else { throw .cannotConnect(reason: absence ?? "not connected") }
        do throws(PostgresError) {
            return try connection.rows(
                of: command,
                seconds: Self.patience,
                names: PostgresConnection.consoleNameColumns
            )
        } catch {
            // What was refused leaves the connection as it was.
            guard case .refused = error else {
                self.connection = nil
                absence = error.description
                throw error
            }
            throw error
        }
    }
}
