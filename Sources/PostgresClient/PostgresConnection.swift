// SPDX-License-Identifier: Apache-2.0
import CPostgres
import Domain
import Glibc
import Platform

/// Why a server could not be asked.
public enum PostgresError: Error, Equatable, CustomStringConvertible {
    /// No connection.
    case cannotConnect(reason: String)
    /// The server refused the query.
    case refused(reason: String, sqlState: String)
    /// No answer in time.
    case timedOut(seconds: Double)

    /// What happened; the caller says to what.
    public var description: String {
        switch self {
        case .cannotConnect(let reason): reason
        case .refused(let reason, _): reason
        case .timedOut(let seconds): "no answer within \(seconds) s"
        }
    }
}

/// A connection by libpq (PostgreSQL documentation, chapter "libpq"), for one thread.
///
/// Every wait has an end, so a server that hangs delays its own thread only, and that for a known time.
@safe public final class PostgresConnection {
    let library: LibPQ
    let connection: OpaquePointer

    deinit { unsafe library.finish(connection) }

    /// Connects; `parameters` is a connection string or URI, which service files, password files and PG* variables
    /// complete.
    ///
    /// `database` and `user` take the place of those that it names; they are names of accounts as
    /// ``Swift/String/init(accountName:)`` has them.
    public init(
        _ parameters: String,
        application: String,
        seconds: Double,
        database: String? = nil,
        user: String? = nil
    ) throws(PostgresError) {
        guard let library = LibPQ.shared else {
            throw .cannotConnect(reason: "libpq is not installed (`apt-get install libpq5`)")
        }
        // The last of two values for one parameter holds, and dbname may be a whole connection string.
        var keys = ["application_name", "connect_timeout", "dbname"]
        var values = [application, String(max(2, Int(seconds.rounded(.up)))), parameters].map { Array($0.utf8) }
        // A second dbname is not expanded: it is a name, whatever it looks like.
        if let database { (keys, values) = (keys + ["dbname"], values + [database.accountNameBytes]) }
        if let user { (keys, values) = (keys + ["user"], values + [user.accountNameBytes]) }
        let started: OpaquePointer? = unsafe Self.withCStrings(keys.map { Array($0.utf8) }) { keys in
            unsafe Self.withCStrings(values) { values in unsafe library.connect(keys, values, 1) }
        }
        guard let connection = unsafe started else { throw .cannotConnect(reason: "out of memory") }
        self.library = library
        unsafe self.connection = connection
        guard unsafe library.status(connection) == CONNECTION_OK else {
            throw .cannotConnect(reason: unsafe Self.text(library.errorMessage(connection)))
        }
        // Notices are nobody's business here, least of all standard error's.
        _ = unsafe library.setNoticeProcessor(connection, { _, _ in }, nil)
    }

    /// Runs one query by the simple protocol, which PgBouncer's console knows too; returns the rows, by column name.
    ///
    /// What stands in a column of `names` is as ``Swift/String/init(accountName:)`` has it.
    public func rows(
        of sql: String,
        seconds: Double,
        names: Set<String> = nameColumns
    ) throws(PostgresError) -> [[String: String]] {
        try rows(of: Array(sql.utf8), seconds: seconds, names: names)
    }

    /// The same for a text that names of any bytes stand in.
    public func rows(
        of sql: [UInt8],
        seconds: Double,
        names: Set<String> = nameColumns
    ) throws(PostgresError) -> [[String: String]] {
        let isSent = unsafe Self.withCStrings([sql]) { texts in
            guard let text = unsafe texts[0] else { return false }
            return unsafe library.sendQuery(connection, text) == 1
        }
        guard isSent else { throw failure() }
        return try unsafe collect(seconds) { rows, result in unsafe rows += read(result, names) }
    }

    /// Waits until the next result is there, or the query has ended.
    func wait(until deadline: Double, _ seconds: Double) throws(PostgresError) {
        while unsafe library.isBusy(connection) == 1 {
            let left = deadline - Self.now()
            guard left > 0 else { throw .timedOut(seconds: seconds) }
            var waiting = pollfd(fd: unsafe library.socket(connection), events: Int16(POLLIN), revents: 0)
            _ = unsafe poll(&waiting, 1, Int32(left * 1000) + 1)
            guard unsafe library.consumeInput(connection) == 1 else { throw failure() }
        }
    }

    func failure() -> PostgresError {
        .cannotConnect(reason: unsafe Self.text(library.errorMessage(connection)))
    }

    /// Columns of catalogs and statistics views that name a role or a database.
    ///
    /// Such names are bytes: as plain text, two of them could be taken for one.
    public static let nameColumns: Set<String> = [
        "usename", "datname", "rolname", "user", "database", "role", "member",
    ]
    /// The same for PgBouncer's console.
    public static let consoleNameColumns: Set<String> = ["name", "user", "database", "force_user"]

    func read(_ result: OpaquePointer, _ accounts: Set<String> = nameColumns) -> [[String: String]] {
        let columns = unsafe library.columns(result)
        let names = (0..<columns).map { unsafe Self.text(library.columnName(result, $0)) }
        return unsafe (0..<library.rows(result)).map { row in
            var values: [String: String] = [:]
            for column in 0..<columns where unsafe library.isNull(result, row, column) == 0 {
                let (name, value) = (names[Int(column)], unsafe library.value(result, row, column))
                values[name] = unsafe accounts.contains(name) ? Self.name(value) : Self.text(value)
            }
            return values
        }
    }

    static func text(_ pointer: UnsafePointer<CChar>?) -> String {
        guard let pointer = unsafe pointer else { return "" }
        let text = unsafe String(cString: pointer)
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }

    private static func name(_ pointer: UnsafePointer<CChar>?) -> String {
        guard let pointer = unsafe pointer else { return "" }
        let bytes = unsafe UnsafeBufferPointer(start: pointer, count: strlen(pointer)).map { UInt8(bitPattern: $0) }
        return String(accountName: bytes.rawSpan)
    }

    /// The strings as C wants them: an array of pointers that ends in a null; a string ends at its first zero byte.
    static func withCStrings<Result>(
        _ strings: [[UInt8]],
        _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
    ) -> Result {
        let copies = unsafe strings.map { text in
            unsafe text.withUnsafeBytes { bytes -> UnsafeMutablePointer<CChar>? in
                guard let copy = unsafe calloc(bytes.count &+ 1, 1) else { return nil }
                if let start = bytes.baseAddress { _ = unsafe memcpy(copy, start, bytes.count) }
                return unsafe copy.assumingMemoryBound(to: CChar.self)
            }
        }
        defer { for index in unsafe copies.indices { unsafe free(copies[index]) } }
        var pointers = unsafe copies.map { unsafe UnsafePointer<CChar>($0) }
        unsafe pointers.append(nil)
        return unsafe body(pointers)
    }

    static func now() -> Double {
        SystemClock.now()
    }
}
