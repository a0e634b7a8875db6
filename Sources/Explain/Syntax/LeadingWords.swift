// SPDX-License-Identifier: Apache-2.0
import Costs
import Fingerprints

/// What a statement is by its words alone, where its syntax is newer than libpg_query or it is too long to parse.
///
/// The class of a statement that is parsed is told by its node (``UtilityClass/init(node:)``); this gives the same one.
struct LeadingWords {
    /// The words at the outermost level, in small letters.
    private let words: [String]
    /// A parenthesis stands behind the first word.
    private let hasOptions: Bool

    /// The first 64 words of a statement.
    init(_ text: [UInt8], _ tokens: [LexicalToken]) {
        var words: [String] = []
        var depth = 0
        for token in tokens where words.count < 64 {
            switch token.kind {
            case .open: depth += 1
            case .close: depth -= 1
            case .word where depth == 0: words.append(String(decoding: text[token.range], as: UTF8.self).lowercased())
            default: break
            }
        }
        self.words = words
        hasOptions = tokens.count > 1 && tokens[1].kind == .open
    }

    /// The statement's class; `nil` for what a planner could be asked about, or what is not known.
    var utility: UtilityClass? {
        switch words.first {
        case "begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release", "set", "reset", "show",
            "prepare", "deallocate", "discard", "listen", "unlisten", "notify", "close", "fetch", "move", "lock",
            "checkpoint", "load":
            .instant
        // ANALYZE may be among the options in parentheses.
        case "explain": words.contains { $0 == "analyze" || $0 == "analyse" } || hasOptions ? nil : .explain
        case "alter", "drop", "grant", "revoke", "comment", "security", "reassign", "import", "truncate": .definition
        case "create": created
        case "vacuum", "analyze", "analyse", "cluster", "reindex", "refresh", "repack": .maintenance
        case "call", "do": .unknown
        // COPY TO reads a table or a query.
        case "copy": words.contains("from") && !words.contains("to") ? .instant : nil
        default: nil
        }
    }

    private var created: UtilityClass? {
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
