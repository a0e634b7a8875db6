// SPDX-License-Identifier: Apache-2.0
import CPgQuery
import Glibc

/// libpg_query (PostgreSQL 15's own parser as a library), loaded when it is first needed.
@safe struct PgQueryLibrary: Sendable {
    private typealias Parse = @convention(c) (UnsafePointer<CChar>) -> PgQueryParseResult
    private typealias Free = @convention(c) (PgQueryParseResult) -> Void

    private let parse: Parse
    private let free: Free

    /// The library, or `nil` where it is not installed.
    static let shared = PgQueryLibrary()

    private init?() {
        // Debian's name, and that of a library built by hand.
        var library: UnsafeMutableRawPointer?
        for name in ["libpg_query.so.1504.0", "libpg_query.so"] where unsafe library == nil {
            unsafe library = dlopen(name, RTLD_NOW | RTLD_LOCAL)
        }
        guard let handle = unsafe library, let parse = unsafe dlsym(handle, "pg_query_parse"),
            let free = unsafe dlsym(handle, "pg_query_free_parse_result")
        else { return nil }
        unsafe self.parse = unsafeBitCast(parse, to: Parse.self)
        unsafe self.free = unsafeBitCast(free, to: Free.self)
    }

    /// The parse tree of `sql`, which holds no zero byte, as JSON; call it on a deep stack only.
    func tree(of sql: [UInt8]) -> Result<[UInt8], SyntaxError> {
        let text = sql.map { CChar(bitPattern: $0) } + [0]
        let result = unsafe text.withUnsafeBufferPointer { buffer -> PgQueryParseResult? in
            guard let start = buffer.baseAddress else { return nil }
            return unsafe parse(start)
        }
        guard let result = unsafe result else { return .failure(.notParsed(reason: "empty text")) }
        defer { unsafe free(result) }
        if let error = unsafe result.error {
            let message = unsafe error.pointee.message.map { unsafe String(cString: $0) } ?? "syntax error"
            return .failure(.notParsed(reason: message))
        }
        guard let tree = unsafe result.parse_tree else { return .failure(.notParsed(reason: "no parse tree")) }
        return .success(unsafe Array(UnsafeRawBufferPointer(start: tree, count: strlen(tree))))
    }
}
