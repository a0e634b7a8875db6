// SPDX-License-Identifier: Apache-2.0

/// Where in a statement names stand that programs make up, one for each use: cursors, savepoints, prepared statements,
/// channels, values of settings, temporary tables.
struct NameFolding: BitwiseCopyable {
    /// What the statement's leading words have told so far.
    enum Phase: UInt8, BitwiseCopyable {
        /// Before the first word.
        case start
        /// Nothing is expected, nothing held back.
        case none
        /// The next token is a name.
        case name
        /// Behind RELEASE or ROLLBACK TO: SAVEPOINT, which may be left out, and the name.
        case savepoint
        /// SAVEPOINT was the name, unless a token follows.
        case afterSavepoint
        /// Behind ROLLBACK; WORK or TRANSACTION is held back.
        case rollback
        /// Behind DEALLOCATE; PREPARE is held back.
        case deallocate
        /// Behind PREPARE; TRANSACTION is held back.
        case prepare
        /// Behind CLOSE: a name, or ALL.
        case close
        /// Behind UNLISTEN: a name, or `*`.
        case unlisten
        /// Behind EXECUTE.
        case execute
        /// In FETCH or MOVE; the token that may be the name is held back.
        case fetch
        /// Behind EXPLAIN and its options.
        case explain
        /// Behind SET; SESSION is held back.
        case set
        /// In the name of a setting; behind ROLE; behind TIME, and behind ZONE.
        case setName, setRole, setTime, setZone
        /// Before the value of a setting; behind it.
        case setValue, setRest
        /// Behind CREATE, up to the object's definition.
        case create
        /// Behind CURRENT.
        case current
    }

    var phase = Phase.start
    /// A token that only the next one tells the meaning of; its kind is `end` if there is none.
    var held = Token()
    /// In FETCH or MOVE: something stands in front of the name.
    var hasDirection = false
    /// The object being named is temporary, whatever its name is.
    var isTemporary = false
    /// The name behind the next dot is in `pg_temp`.
    var isInTemporarySchema = false
    /// A relation's name is next.
    private var expectsRelation = false
    /// The token before is a relation's name, or qualifies one.
    private var followsRelation = false
    /// The token before is INTO: TEMP may follow.
    private var followsInto = false
    /// A comma at this level of parentheses is followed by a relation; -1: none is.
    private var listDepth = -1

    /// The name just taken, if it was written as it is: a dot behind it makes a qualifier of it.
    private(set) var qualifier = Token()

    /// Takes a name that is no keyword; whether it stands where a relation is named.
    ///
    /// `everywhere`: names of relations may stand at any place, as in definitions.
    @inline(__always)
    mutating func takeName(_ token: Token, everywhere: Bool) -> Bool {
        qualifier = token
        followsRelation = expectsRelation
        expectsRelation = false
        return followsRelation || everywhere
    }

    @inline(__always)
    mutating func takeComma(depth: Int) { expectsRelation = depth == listDepth }

    /// Takes a dot; whether the name before it is to be looked at as a qualifier.
    @inline(__always)
    mutating func takeDot() -> Bool {
        expectsRelation = followsRelation
        return qualifier.kind != .end
    }

    /// The name was written with its counter folded, or the dot behind it was taken.
    mutating func forgetQualifier() { qualifier = Token() }

    /// Takes a keyword.
    mutating func note(_ keyword: Keyword, depth: Int) {
        followsRelation = false
        qualifier.kind = .end
        let isInto = followsInto
        followsInto = keyword == .into
        switch keyword {
        case .from, .using, .update, .table, .only:
            (expectsRelation, listDepth) = (true, depth)
        case .join, .into, .copy: expectsRelation = true
        case .temp, .temporary: (isTemporary, expectsRelation) = (isTemporary || isInto, isInto)
        case .lateral: break
        case .where, .set, .group, .order, .having, .window, .limit, .offset, .union, .intersect, .except, .for,
            .returning, .values, .select, .fetch:
            (expectsRelation, listDepth) = (false, -1)
        case .current where phase == .none: phase = .current
        default: expectsRelation = false
        }
    }
}
