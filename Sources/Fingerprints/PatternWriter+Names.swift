// SPDX-License-Identifier: Apache-2.0
import Domain

/// Names that programs make up, one for each use: they become `?`, as PostgreSQL 17 and 18 show them
/// (pg_stat_statements, "normalized"), and so do those of cursors and channels, which it shows as they are.
///
/// Words that may be left out in front of such a name are written in one way too.
extension PatternWriter {
    /// Takes a token by what the statement's first words were; false if it is to be written like any other.
    @inline(never)
    mutating func foldsName(_ token: Token, _ sql: RawSpan) -> Bool {
        switch names.phase {
        case .none: return false
        case .start: return begins(token)
        case .explain: return explains(token)
        case .create: return creates(token)
        case .current:
            names.phase = token.keyword == .of ? .name : .none
            return false
        case .fetch: return fetches(token, sql)
        case .set, .setName, .setRole, .setTime, .setZone, .setValue, .setRest: return sets(token, sql)
        case .rollback: return rollsBack(token, sql)
        case .prepare: return prepares(token, sql)
        case .deallocate: return deallocates(token)
        case .savepoint:
            writeName(after: "savepoint", .savepoint)
            if token.keyword == .savepoint { names.phase = .afterSavepoint }
            return true
        case .afterSavepoint:
            names.phase = .none
            return true
        case .close where token.keyword == .all, .unlisten where token.kind == .symbol && !isPlaceholder(token, sql):
            names.phase = .none
            return false
        case .name, .close, .unlisten:
            names.phase = .none
            writeLiteral()
            return true
        case .execute:
            names.phase = .none
            return writeCounter(token, sql)
        }
    }

    /// The statement is over.
    mutating func finishNames(_ sql: RawSpan) {
        let phase = names.phase
        names.phase = .none
        switch phase {
        case .fetch where names.held.kind != .end: writeCursor()
        case .prepare where names.held.kind != .end, .deallocate where names.held.kind != .end: writeLiteral()
        case .set, .rollback: release(sql)
        default: break
        }
    }

    private mutating func begins(_ token: Token) -> Bool {
        if token.kind == .open { return false }
        names.phase =
            switch token.keyword {
            case .savepoint, .declare, .listen, .notify: .name
            case .release: .savepoint
            case .rollback: .rollback
            case .deallocate: .deallocate
            case .prepare: .prepare
            case .close: .close
            case .unlisten: .unlisten
            case .execute: .execute
            case .fetch, .move: .fetch
            case .explain: .explain
            case .set: .set
            case .create: .create
            default: .none
            }
        return false
    }

    private mutating func explains(_ token: Token) -> Bool {
        guard depth == 0 else { return false }
        switch token.keyword {
        case .declare: names.phase = .name
        case .execute: names.phase = .execute
        case .select, .insert, .update, .delete, .merge, .with, .values, .table: names.phase = .none
        case .create: names.phase = .create
        default: break
        }
        return false
    }

    /// CREATE [GLOBAL | LOCAL] { TEMP | TEMPORARY } …: what is named up to the definition is temporary.
    private mutating func creates(_ token: Token) -> Bool {
        switch token.keyword {
        case .temp, .temporary:
            let isOption = previous.keyword == .create || previous.keyword == .local || previous.keyword == .replace
            let isBehindWord = previous.keyword == .ordinary && beforePrevious.keyword == .create
            names.isTemporary = isOption || isBehindWord
        case .as, .on, .from, .using, .select, .with, .values: (names.isTemporary, names.phase) = (false, .none)
        default: if token.kind == .open { (names.isTemporary, names.phase) = (false, .none) }
        }
        return false
    }

    /// ROLLBACK [WORK | TRANSACTION] TO [SAVEPOINT] name; without TO it names nothing.
    private mutating func rollsBack(_ token: Token, _ sql: RawSpan) -> Bool {
        if names.held.kind == .end, token.keyword == .work || token.keyword == .transaction {
            names.held = token
            return true
        }
        names.phase = token.keyword == .to ? .savepoint : .none
        if token.keyword == .to { names.held = Token() } else { release(sql) }
        return false
    }

    /// PREPARE name …, but PREPARE TRANSACTION 'id'.
    private mutating func prepares(_ token: Token, _ sql: RawSpan) -> Bool {
        if names.held.kind == .end, token.keyword == .transaction {
            names.held = token
            return true
        }
        names.phase = .none
        guard names.held.kind != .end else {
            writeLiteral()
            return true
        }
        if token.kind == .string || isPlaceholder(token, sql) { release(sql) } else { writeLiteral() }
        return false
    }

    /// DEALLOCATE [PREPARE] and a name or ALL.
    private mutating func deallocates(_ token: Token) -> Bool {
        if names.held.kind == .end, token.keyword == .prepare {
            names.held = token
            return true
        }
        names.phase = .none
        if token.keyword == .all { return false }
        writeLiteral()
        return true
    }

    /// FETCH and MOVE: the last token is the cursor's name; FROM and IN in front of it may be left out.
    private mutating func fetches(_ token: Token, _ sql: RawSpan) -> Bool {
        if token.keyword == .from || token.keyword == .in { return true }
        // Counts are literals, and their signs go with them.
        if isSign(token, sql) { return true }
        if names.held.kind != .end {
            names.hasDirection = true
            release(sql)
        }
        names.held = token
        return true
    }

    private mutating func writeCursor() {
        // Without a direction it is the next row.
        if !names.hasDirection { writeWord("next", .next) }
        writeName(after: "from", .from)
    }

    /// SET: values are folded even where they are written as names, as in `SET ROLE x` and `SET search_path TO a, b`.
    private mutating func sets(_ token: Token, _ sql: RawSpan) -> Bool {
        switch names.phase {
        case .set: return beginsSetting(token, sql)
        case .setName:
            guard isAssignment(token, sql) else { return false }
            names.phase = .setValue
            writePunctuation(.symbol, "=")
            return true
        case .setRole:
            if isAssignment(token, sql) {
                names.phase = .setValue
                return true
            }
            return setsValue(token)
        case .setTime:
            names.phase = token.keyword == .zone ? .setZone : .setName
            return token.keyword == .zone ? false : sets(token, sql)
        case .setZone:
            names.phase = .none
            let isName = token.kind == .word && token.keyword == .ordinary || token.kind == .quoted
            if isName { writeLiteral() }
            return isName
        case .setValue: return setsValue(token)
        default: return true
        }
    }

    private mutating func beginsSetting(_ token: Token, _ sql: RawSpan) -> Bool {
        let followsSession = names.held.kind != .end
        switch token.keyword {
        case .session where !followsSession:
            names.held = token
            return true
        case .authorization where followsSession:
            release(sql)
            names.phase = .setValue
        case .characteristics where followsSession:
            release(sql)
            names.phase = .none
        case .local where !followsSession && previous.keyword == .set: break
        case .role: names.phase = .setRole
        case .time: names.phase = .setTime
        case .transaction: names.phase = .none
        default:
            // A setting may be called "session", too.
            if followsSession, isAssignment(token, sql) { release(sql) }
            names.phase = .setName
            return sets(token, sql)
        }
        return false
    }

    private mutating func setsValue(_ token: Token) -> Bool {
        names.phase = token.keyword == .default ? .none : .setRest
        guard token.keyword != .default else { return false }
        writeLiteral()
        return true
    }

    private func isAssignment(_ token: Token, _ sql: RawSpan) -> Bool {
        token.keyword == .to
            || token.kind == .symbol && token.end &- token.start == 1 && sql.byte(at: token.start) == UInt8(ascii: "=")
    }

    private func isSign(_ token: Token, _ sql: RawSpan) -> Bool {
        let byte = sql.byte(at: token.start)
        return token.kind == .symbol && token.end &- token.start == 1
            && (byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+"))
    }

    /// Whether the token is the `?` of a pattern: a pattern is its own pattern.
    private func isPlaceholder(_ token: Token, _ sql: RawSpan) -> Bool {
        token.kind == .symbol && token.end &- token.start == 1 && sql.byte(at: token.start) == UInt8(ascii: "?")
    }

    /// Writes the token that was held back.
    private mutating func release(_ sql: RawSpan) {
        let token = names.held
        names.held = Token()
        if token.kind != .end { writeHeld(token, sql) }
    }

    @inline(never)
    private mutating func writeHeld(_ token: Token, _ sql: RawSpan) { writeAsIs(token, sql, isTight: false) }

    private mutating func writeWord(_ text: StaticString, _ keyword: Keyword) {
        begin(Mark(shape: .word, keyword: keyword))
        buffer.append(text)
    }

    private mutating func writeName(after text: StaticString, _ keyword: Keyword) {
        names.phase = .none
        writeWord(text, keyword)
        writeLiteral()
    }

    /// Writes a name that stands where relations do, if it is a ``GeneratedName``.
    @inline(never)
    mutating func writeGenerated(_ token: Token, _ sql: RawSpan) -> Bool {
        let isTemporary = names.isTemporary || names.isInTemporarySchema
        names.isInTemporarySchema = isTemporarySchema(token, sql)
        if names.phase != .create { names.isTemporary = false }
        guard let content = token.content, GeneratedName.isGenerated(sql, content, isTemporary: isTemporary) else {
            return false
        }
        names.forgetQualifier()
        return writeCounter(token, sql)
    }

    /// A dot follows the name just written: if it is a ``GeneratedName``, it is written anew, as one.
    mutating func foldQualifier(_ sql: RawSpan) {
        let token = names.qualifier
        names.forgetQualifier()
        guard let content = token.content, content.count < Self.longestQualifier, sql.hasDigit(in: content),
            previous.shape == .word || previous.shape == .quoted,
            GeneratedName.isGenerated(sql, content, isTemporary: false), !hasControls(sql, content)
        else { return }
        buffer.truncate(to: previousStart)
        appendCounter(token, content, sql, isPlain: previous.shape == .word)
    }

    /// Longer names are no names: PostgreSQL cuts them at 63 bytes.
    private static var longestQualifier: Int { 1024 }

    /// `pg_temp`, or the name of the schema behind it, such as `pg_temp_3`.
    private func isTemporarySchema(_ token: Token, _ sql: RawSpan) -> Bool {
        let name: StaticString = "pg_temp"
        guard let content = token.content, content.count >= name.utf8CodeUnitCount else { return false }
        for index in 0..<name.utf8CodeUnitCount {
            let byte = ByteClass.lowercased(sql.byte(at: content.lowerBound &+ index))
            guard unsafe byte == name.utf8Start[index] else { return false }
        }
        return true
    }

    /// Writes a name with `0` for what changes in it; false if the token is none, has nothing that does, or must be shown
    /// with escapes.
    private mutating func writeCounter(_ token: Token, _ sql: RawSpan) -> Bool {
        guard let content = token.content, sql.hasDigit(in: content), !hasControls(sql, content) else { return false }
        let isPlain = token.kind == .word || token.kind == .quoted && isPlain(sql, content)
        begin(Mark(shape: isPlain ? .word : .quoted))
        appendCounter(token, content, sql, isPlain: isPlain)
        return true
    }

    private mutating func appendCounter(_ token: Token, _ content: Range<Int>, _ sql: RawSpan, isPlain: Bool) {
        if token.kind == .unicodeQuoted { buffer.append("U&") }
        if !isPlain { buffer.append(UInt8(ascii: "\"")) }
        GeneratedName.append(sql, content, lowercase: token.kind == .word, to: &buffer)
        if !isPlain { buffer.append(UInt8(ascii: "\"")) }
    }
}
