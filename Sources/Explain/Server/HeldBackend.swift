// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform
import PostgresClient

/// A process of the server that did not end in time: it is cancelled, then terminated, from a second connection.
///
/// Neither reaches a loop that looks at no interrupt; while such a process is there, nothing more is asked.
struct HeldBackend {
    let pid: Int32
    private let parameters: String
    private let database: String?
    private let user: String?
    private var nextLook = 0.0

    /// Seconds between cancelling and terminating, and between two looks.
    private static let pause = 0.5

    /// Ends the process; `nil` once it is gone, or could not be looked at: then the server is not reached anyway.
    init?(_ pid: Int32, _ parameters: String, database: String?, user: String?) {
        (self.pid, self.parameters, self.database, self.user) = (pid, parameters, database, user)
        for function in ["pg_cancel_backend", "pg_terminate_backend"] {
            guard signal(function) else { return nil }
            let end = SystemClock.now() + Self.pause
            while SystemClock.now() < end {
                guard isActive else { return nil }
                SystemClock.sleep(seconds: 0.05)
            }
        }
        guard isActive else { return nil }
    }

    /// Whether it is there still; looked at once a while.
    mutating func isHeld() -> Bool {
        guard SystemClock.now() >= nextLook else { return true }
        nextLook = SystemClock.now() + Self.pause
        _ = signal("pg_terminate_backend")
        return isActive
    }

    private func ask(_ sql: String) -> [[String: String]]? {
        guard
            let connection = try? PostgresConnection(
                parameters,
                application: "pgweir explain",
                seconds: ExplainSession.timeout,
                database: database,
                user: user
            ),
            (try? connection.execute("SET search_path = pg_catalog, pg_temp", seconds: ExplainSession.timeout)) != nil
        else { return nil }
        return try? connection.execute(sql, [String(pid)], seconds: ExplainSession.timeout)
    }

    /// Of its own role's processes only, so that a number that is somebody else's by now is left alone.
    private func signal(_ function: String) -> Bool {
        ask(
            "SELECT \(function)(pid) FROM pg_stat_activity WHERE pid = $1::int AND usename = current_user AND state = 'active'"
        ) != nil
    }

    private var isActive: Bool {
        let rows = ask(
            "SELECT pid FROM pg_stat_activity WHERE pid = $1::int AND usename = current_user AND state = 'active'"
        )
        return rows?.isEmpty == false
    }
}
