// SPDX-License-Identifier: Apache-2.0
public import Domain

extension UtilityClass {
    /// The class of a statement by its kind and its pattern's text, for which no planner was asked; `nil`: it has a plan, or
    /// may hold one.
    public init?(_ kind: StatementKind, pattern: [UInt8]) {
        switch kind {
        case .begin, .commit, .rollback, .savepoint, .prepare, .deallocate, .deallocateAll, .discardAll, .fetch,
            .closeCursor, .set, .show:
            self = .instant
        case .copy:
            // COPY table FROM: what it writes is paid by the row. COPY … TO reads a table, or runs a query.
            guard Self.words(pattern, 64).contains("from"), !pattern.contains(UInt8(ascii: "(")) else { return nil }
            self = .instant
        case .explain:
            // With ANALYZE it runs.
            guard Self.words(pattern, 8).allSatisfy({ $0 != "analyze" && $0 != "analyse" }) else { return nil }
            self = .explain
        case .call: self = .unknown
        case .utility:
            guard let known = Self.utility(Self.words(pattern, 12)) else { return nil }
            self = known
        default: return nil
        }
    }

    /// The class of a command by its first words (PostgreSQL documentation, "SQL Commands").
    private static func utility(_ words: [Substring]) -> UtilityClass? {
        guard let verb = words.first else { return nil }
        switch verb {
        case "abort", "discard", "listen", "unlisten", "notify", "lock", "load", "checkpoint": return .instant
        case "vacuum", "analyze", "analyse", "cluster", "reindex", "refresh", "repack": return .maintenance
        case "do": return .unknown
        case "create":
            if words.contains("index") { return .maintenance }
            // CREATE TABLE … AS and CREATE MATERIALIZED VIEW run a query.
            let makesRows = words.contains("materialized") || words.contains("table") && words.contains("as")
            return makesRows ? nil : .definition
        case "alter", "drop", "grant", "revoke", "comment", "truncate", "security", "reassign", "import", "end":
            return .definition
        default: return nil
        }
    }

    /// The first words of a normalized text.
    private static func words(_ text: [UInt8], _ count: Int) -> [Substring] {
        let head = String(decoding: text.prefix(512), as: UTF8.self).lowercased()
        return Array(head.split(maxSplits: count, whereSeparator: { !$0.isLetter && $0 != "_" }).prefix(count))
    }
}

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
        guard pattern.count <= 160 else { return false }
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
