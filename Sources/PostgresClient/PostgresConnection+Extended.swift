// SPDX-License-Identifier: Apache-2.0
import CPostgres
import Glibc

/// The extended protocol: one statement at a time, whatever its text holds (PostgreSQL documentation, "Extended Query").
extension PostgresConnection {
    /// The server's version as a number, such as 150004.
    public var serverVersion: Int { unsafe Int(library.serverVersion(connection)) }

    /// The process at the server that serves this connection.
    public var backendPID: Int32 { unsafe library.backendPID(connection) }

    /// Runs a prepared statement with text parameters; returns the rows, by column name.
    public func execute(
        prepared name: String,
        _ parameters: [String?],
        seconds: Double
    ) throws(PostgresError) -> [[String: String]] {
        let sent = unsafe Self.withOptionalCStrings(parameters) { values in
            unsafe library.sendQueryPrepared(connection, name, Int32(clamping: parameters.count), values, nil, nil, 0)
        }
        guard sent == 1 else { throw failure() }
        return try unsafe collect(seconds) { rows, result in unsafe rows += read(result) }
    }

    /// Runs one statement with text parameters; returns the rows, by column name.
    ///
    /// A text of several statements is refused by the server.
    public func execute(
        _ sql: String,
        _ parameters: [String?] = [],
        seconds: Double
    ) throws(PostgresError) -> [[String: String]] {
        let sent = unsafe Self.withOptionalCStrings(parameters) { values in
            unsafe library.sendQueryParams(connection, sql, Int32(clamping: parameters.count), nil, values, nil, nil, 0)
        }
        guard sent == 1 else { throw failure() }
        return try unsafe collect(seconds) { rows, result in unsafe rows += read(result) }
    }

    /// Parses a statement under a name; `types` are those of its first parameters, 0 where the server shall tell.
    public func prepare(
        _ name: String,
        _ sql: [UInt8],
        types: [UInt32] = [],
        seconds: Double
    ) throws(PostgresError) {
        let text = sql.filter { $0 != 0 }.map { CChar(bitPattern: $0) } + [0]
        let sent = unsafe text.withUnsafeBufferPointer { text -> Int32 in
            guard let text = text.baseAddress else { return 0 }
            return unsafe types.withUnsafeBufferPointer { types in
                unsafe library.sendPrepare(connection, name, text, Int32(clamping: types.count), types.baseAddress)
            }
        }
        guard sent == 1 else { throw failure() }
        _ = try unsafe collect(seconds) { _, _ in }
    }

    /// The types of a prepared statement's parameters, by OID.
    public func parameterTypes(of name: String, seconds: Double) throws(PostgresError) -> [UInt32] {
        guard unsafe library.sendDescribePrepared(connection, name) == 1 else { throw failure() }
        var types: [UInt32] = []
        _ = try unsafe collect(seconds) { _, result in
            let count = unsafe library.parameters(result)
            types = (0..<max(0, count)).map { unsafe library.parameterType(result, $0) }
        }
        return types
    }

    /// Takes all results of what was sent; the first refusal is thrown once everything is read.
    func collect(
        _ seconds: Double,
        _ take: (inout [[String: String]], OpaquePointer) -> Void
    ) throws(PostgresError) -> [[String: String]] {
        var rows: [[String: String]] = []
        var refusal: PostgresError?
        let deadline = Self.now() + seconds
        while true {
            try wait(until: deadline, seconds)
            guard let result = unsafe library.getResult(connection) else { break }
            defer { unsafe library.clear(result) }
            switch unsafe library.resultStatus(result) {
            case PGRES_TUPLES_OK, PGRES_COMMAND_OK: unsafe take(&rows, result)
            case PGRES_EMPTY_QUERY: break
            default:
                let state = unsafe Self.text(library.resultErrorField(result, Int32(UInt8(ascii: "C"))))
                // Not the whole report, which quotes the statement.
                let primary = unsafe Self.text(library.resultErrorField(result, Int32(UInt8(ascii: "M"))))
                let reason = primary.isEmpty ? unsafe Self.text(library.resultErrorMessage(result)) : primary
                // Without a code it is libpq's own word: the connection broke.
                refusal =
                    refusal
                    ?? (state.isEmpty ? .cannotConnect(reason: reason) : .refused(reason: reason, sqlState: state))
            }
        }
        if let refusal { throw refusal }
        return rows
    }

    private static func withOptionalCStrings<Result>(
        _ strings: [String?],
        _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
    ) -> Result {
        let copies = unsafe strings.map { text in unsafe text.flatMap { unsafe strdup($0) } }
        defer { for index in unsafe copies.indices { unsafe free(copies[index]) } }
        var pointers = unsafe copies.map { copy in unsafe copy.map { unsafe UnsafePointer<CChar>($0) } }
        unsafe pointers.append(nil)
        return unsafe body(pointers)
    }
}
