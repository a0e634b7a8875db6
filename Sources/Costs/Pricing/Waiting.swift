// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Statements that do nothing but wait.
public enum Waiting {
    private static let functions: Set<Substring> = [
        "pg_sleep", "pg_sleep_for", "pg_sleep_until", "pg_advisory_lock", "pg_advisory_lock_shared",
        "pg_advisory_xact_lock", "pg_advisory_xact_lock_shared",
    ]

    /// Whether a pattern is LOCK, or calls one of PostgreSQL's waiting functions and nothing else.
    ///
    /// Its arguments are literals or parameters: an expression could do work.
    public static func isWaiting(_ kind: StatementKind, pattern: [UInt8]) -> Bool {
        guard pattern.count <= 160, pattern.starts(with: "select pg_".utf8) || pattern.starts(with: "lock ".utf8) else {
            return false
        }
        var text = Substring(String(decoding: pattern, as: UTF8.self))
        if kind == .utility { return text.hasPrefix("lock ") }
        guard kind == .select, text.hasPrefix("select ") else { return false }
        text = text.dropFirst("select ".count)
        if text.hasPrefix("pg_catalog.") { text = text.dropFirst("pg_catalog.".count) }
        guard let open = text.firstIndex(of: "("), functions.contains(text[..<open]), text.last == ")" else {
            return false
        }
        let inside = text[text.index(after: open)...].dropLast()
        return inside.allSatisfy { $0 == "?" || $0 == "$" || $0 == "," || $0 == " " || $0.isNumber || $0 == "." }
    }
}
