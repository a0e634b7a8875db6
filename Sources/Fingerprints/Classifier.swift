// SPDX-License-Identifier: Apache-2.0
import Domain

/// Tells from a statement's tokens what it does, what it names, and how large its outermost LIMIT and OFFSET are.
struct Classifier {
    private(set) var sketch = StatementSketch()
    /// Words seen outside parentheses, as far as they decide the kind.
    private var words = 0
    private var first = Keyword.ordinary
    private var second = Keyword.ordinary
    /// After WITH: the verb is still to come.
    private var awaitsVerb = false
    private var awaitsName = false
    private var awaitsBody = false
    /// Which clause's number comes next.
    private var clause = Clause.none
    /// Nested `BEGIN ATOMIC … END` and `CASE … END` of an SQL-standard function body.
    private var bodyDepth = 0
    private var previous = Keyword.ordinary

    private enum Clause { case none, limit, offset, fetch }

    /// Whether semicolons belong to the body of a function.
    var isInBody: Bool { bodyDepth > 0 }

    mutating func take(_ token: Token, _ sql: RawSpan, depth: Int) {
        if clause != .none { takeNumber(token, sql) }
        if awaitsBody, depth == 0, sketch.body == 0, previous == .as {
            sketch.body = token.start
            awaitsBody = false
        }
        if awaitsName, token.kind == .word || token.kind == .quoted || token.kind == .unicodeQuoted {
            takeName(token)
        }
        guard token.kind == .word else {
            if token.kind != .open { previous = .ordinary }
            if words > 0 { words += 1 }
            return
        }
        let keyword = token.keyword
        if words == 0 {
            lead(keyword)
            words = 1
            previous = keyword
            return
        }
        words += 1
        if words == 2 { second = keyword }
        if words <= 4 { refine(keyword) }
        if depth == 0 || isInBody { follow(keyword, depth) }
        previous = keyword
    }

    /// The first word, perhaps inside parentheses.
    private mutating func lead(_ keyword: Keyword) {
        first = keyword
        switch keyword {
        case .select: sketch.kind = .select
        case .insert: sketch.kind = .insert
        case .update: sketch.kind = .update
        case .delete: sketch.kind = .delete
        case .merge: sketch.kind = .merge
        case .values: sketch.kind = .values
        case .table: sketch.kind = .table
        case .with: (sketch.kind, awaitsVerb) = (.with, true)
        case .prepare: (sketch.kind, awaitsName, awaitsBody) = (.prepare, true, true)
        case .execute: (sketch.kind, awaitsName) = (.execute, true)
        case .deallocate: (sketch.kind, awaitsName) = (.deallocate, true)
        case .begin, .start: sketch.kind = .begin
        case .commit, .end: sketch.kind = .commit
        case .rollback, .abort: sketch.kind = .rollback
        case .savepoint, .release: sketch.kind = .savepoint
        case .copy: sketch.kind = .copy
        case .declare: sketch.kind = .declare
        case .fetch, .move: sketch.kind = .fetch
        case .close: sketch.kind = .closeCursor
        case .set, .reset: sketch.kind = .set
        case .show: sketch.kind = .show
        case .explain: sketch.kind = .explain
        case .call: sketch.kind = .call
        case .alterReplicationSlot, .baseBackup, .createReplicationSlot, .dropReplicationSlot, .identifySystem,
            .readReplicationSlot, .startReplication, .timelineHistory, .uploadManifest:
            sketch.kind = .replication
        default: sketch.kind = .utility
        }
    }

    /// The words right behind the first one.
    private mutating func refine(_ keyword: Keyword) {
        switch (first, keyword) {
        case (.prepare, .transaction) where words == 2:
            (sketch.kind, sketch.name, awaitsName, awaitsBody) = (.utility, 0..<0, false, false)
        case (.commit, .prepared), (.rollback, .prepared): sketch.kind = .utility
        case (.rollback, .to): sketch.kind = .savepoint
        case (.discard, .all) where words == 2: sketch.kind = .discardAll
        case (.deallocate, .all): (sketch.kind, sketch.name, awaitsName) = (.deallocateAll, 0..<0, false)
        default: break
        }
    }

    private mutating func takeName(_ token: Token) {
        // DEALLOCATE PREPARE name: the noise word is no name, unless it stands last.
        if first == .deallocate, token.keyword == .prepare, words == 1 {
            sketch.name = token.start..<token.end
            return
        }
        sketch.name = token.start..<token.end
        awaitsName = false
    }

    private mutating func follow(_ keyword: Keyword, _ depth: Int) {
        if awaitsVerb, depth == 0 { takeVerb(keyword) }
        switch keyword {
        case .limit where depth == 0: clause = .limit
        case .offset where depth == 0: clause = .offset
        case .first where previous == .fetch, .next where previous == .fetch:
            if depth == 0, first != .fetch, first != .move { clause = .fetch }
        case .atomic where previous == .begin && first == .create: bodyDepth += 1
        case .case where isInBody: bodyDepth += 1
        case .end where isInBody: bodyDepth -= 1
        default: break
        }
    }

    private mutating func takeVerb(_ keyword: Keyword) {
        switch keyword {
        case .select: sketch.kind = .select
        case .insert: sketch.kind = .insert
        case .update: sketch.kind = .update
        case .delete: sketch.kind = .delete
        case .merge: sketch.kind = .merge
        case .values: sketch.kind = .values
        case .table: sketch.kind = .table
        default: return
        }
        awaitsVerb = false
    }

    private mutating func takeNumber(_ token: Token, _ sql: RawSpan) {
        let decade: Decade
        switch token.kind {
        case .number: decade = Self.decade(sql, token)
        case .word where token.keyword == .all || token.keyword == .null: decade = .absent
        // FETCH FIRST ROW ONLY means one row.
        case .word where clause == .fetch: decade = .upTo10
        default: decade = .parameter
        }
        if clause == .offset { sketch.offset = decade } else { sketch.limit = decade }
        clause = .none
    }

    /// The decade of a decimal number; other notations count as expressions.
    private static func decade(_ sql: RawSpan, _ token: Token) -> Decade {
        var value = 0
        for offset in token.start..<token.end {
            let digit = sql.byte(at: offset) &- 0x30
            guard digit <= 9 else { return .parameter }
            value = min(value * 10 + Int(digit), 10_000_000)
        }
        switch value {
        case 0: return .zero
        case ...10: return .upTo10
        case ...100: return .upTo100
        case ...1000: return .upTo1000
        case ...10_000: return .upTo10000
        case ...100_000: return .upTo100000
        case ...1_000_000: return .upTo1000000
        default: return .over1000000
        }
    }
}
