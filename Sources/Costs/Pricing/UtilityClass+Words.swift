// SPDX-License-Identifier: Apache-2.0

extension UtilityClass {
    /// The class of a statement by its words at the outermost level, where nobody parses it: no planner is asked, its syntax is
    /// newer than libpg_query, or it is too long; `nil` for what has a plan, or is not known.
    ///
    /// The class of a statement that is parsed is told by its node (``UtilityClass/init(node:)``); this gives the same one.
    /// `hasOptions`: a parenthesis stands behind the first word.
    public init?(words: [String], hasOptions: Bool) {
        switch words.first {
        case "begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release", "set", "reset", "show",
            "prepare", "deallocate", "discard", "listen", "unlisten", "notify", "close", "fetch", "move", "lock",
            "checkpoint", "load":
            self = .instant
        case "explain":
            // ANALYZE may be among the options in parentheses: then it runs.
            guard !hasOptions, !words.contains(where: { $0 == "analyze" || $0 == "analyse" }) else { return nil }
            self = .explain
        case "alter", "drop", "grant", "revoke", "comment", "security", "reassign", "import", "truncate":
            self = .definition
        case "create":
            guard let created = Self.created(words) else { return nil }
            self = created
        case "vacuum", "analyze", "analyse", "cluster", "reindex", "refresh", "repack": self = .maintenance
        case "call", "do": self = .unknown
        case "copy":
            // COPY TO reads a table or a query.
            guard words.contains("from"), !words.contains("to") else { return nil }
            self = .instant
        default: return nil
        }
    }

    private static func created(_ words: [String]) -> UtilityClass? {
        let options: Set<String> = [
            "or", "replace", "global", "local", "temp", "temporary", "unlogged", "unique", "recursive", "trusted",
            "procedural", "foreign", "constraint", "event",
        ]
        switch words.dropFirst().first(where: { !options.contains($0) }) {
        case "index": return .maintenance
        // What is created from a query costs what the query does.
        case "table", "materialized": return words.contains("as") ? nil : .definition
        case nil: return nil
        default: return .definition
        }
    }
}
