// SPDX-License-Identifier: Apache-2.0
import Domain
import Fingerprints

/// What an entry of pg_stat_statements counts.
enum StatementClass: Sendable {
    /// A planned query, or the executions of an SQL-prepared one, which stand under the text of its PREPARE.
    case query
    case utility
    /// The check of a foreign key, which no client sent: a deferred one is made at COMMIT, and counted as top level.
    case foreignKey
    /// A question of this program.
    case own

    /// In every question of this module, where no server takes it off the text.
    static let mark = "/* pgweir verify */"

    /// The class by the text; `normalizer` is that of the tap, so that both sides take one text for the same.
    init(_ text: String, _ normalizer: inout Normalizer) {
        if text.contains(Self.mark) {
            self = .own
            return
        }
        // As ri_triggers.c writes them.
        if text.contains("OPERATOR(pg_catalog.") {
            let isCheck =
                text.hasPrefix("SELECT ") && text.contains(" FROM ONLY ") && text.hasSuffix("FOR KEY SHARE OF x")
            if isCheck || text.hasPrefix("DELETE FROM ONLY ") || text.hasPrefix("UPDATE ONLY ") {
                self = .foreignKey
                return
            }
        }
        let bytes = Array(text.utf8)
        let kind = normalizer.sketch(bytes.rawSpan, from: 0)?.kind ?? .unknown
        // PostgreSQL 15 shows SELECT TRUE as `$1`.
        self = kind.isPlannable || kind == .prepare || text.hasPrefix("$") ? .query : .utility
    }
}
