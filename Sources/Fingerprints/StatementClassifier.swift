// SPDX-License-Identifier: Apache-2.0

import Domain

/// Tells from the leading words of a statement what it does, which name it carries and which semicolons belong to it.
struct StatementClassifier {
    private enum Phase {
        /// Before the first word.
        case start
        /// After WITH: a name is next, or the main verb may come.
        case withName, withBody
        case afterBegin, afterCommit, afterRollback, afterDiscard
        case prepareName, prepareAs, prepareBody, executeName, deallocateName, deallocatePrepare
        /// After CREATE [OR REPLACE].
        case create
        /// In CREATE FUNCTION or CREATE PROCEDURE; `routineBegin` after BEGIN.
        case routine, routineBegin
        case done
    }

    private(set) var kind = StatementKind.utility
    private(set) var name = 0..<0
    private(set) var body = 0
    private var phase = Phase.start
    /// The level of the first token that is no parenthesis.
    private var level = 0
    /// PREPARE's name is the word TRANSACTION.
    private var isNamedTransaction = false
    /// Open BEGIN ATOMIC and CASE; END closes them.
    private var bodies = 0

    /// Whether a semicolon ends a statement of the body, and not the statement itself
    /// (documentation, CREATE FUNCTION, `BEGIN ATOMIC … END`).
    var isInBody: Bool { bodies > 0 }

    /// Whether further tokens cannot change anything.
    var isDone: Bool { phase == .done }

    /// Takes the next token; `depth` is the level of parentheses it stands at, before it if it is a parenthesis.
    mutating func accept(_ token: Token, depth: Int) {
        switch phase {
        case .done: break
        case .start: acceptFirst(token, depth: depth)
        case .withName, .withBody: acceptInWith(token, depth: depth)
        case .afterBegin:
            if token.keyword == .transaction { kind = .begin }
            phase = .done
        case .afterCommit:
            if token.keyword == .prepared { kind = .utility }
            phase = .done
        case .afterRollback: acceptAfterRollback(token)
        case .afterDiscard:
            if token.keyword == .all { kind = .discardAll }
            phase = .done
        case .prepareName, .prepareAs, .prepareBody: acceptInPrepare(token, depth: depth)
        case .executeName: takeName(token, then: .done)
        case .deallocateName, .deallocatePrepare: acceptInDeallocate(token)
        case .create: acceptInCreate(token)
        case .routine, .routineBegin: acceptInRoutine(token, depth: depth)
        }
    }

    private mutating func acceptFirst(_ token: Token, depth: Int) {
        if token.kind == .open { return }
        level = depth
        phase = .done
        switch token.keyword {
        case .with: (kind, phase) = (.with, .withName)
        case .start: phase = .afterBegin
        case .commit, .end: (kind, phase) = (.commit, .afterCommit)
        case .rollback, .abort: (kind, phase) = (.rollback, .afterRollback)
        case .discard: phase = .afterDiscard
        case .prepare: (kind, phase) = (.prepare, .prepareName)
        case .execute: (kind, phase) = (.execute, .executeName)
        case .deallocate: (kind, phase) = (.deallocate, .deallocateName)
        case .create: phase = .create
        default: kind = token.keyword.statementKind
        }
    }

    /// `WITH [RECURSIVE] name … AS (…), …` and then the verb, at the level of WITH.
    private mutating func acceptInWith(_ token: Token, depth: Int) {
        guard depth == level else { return }
        if token.kind == .comma {
            phase = .withName
        } else if phase == .withName {
            if token.keyword != .recursive { phase = .withBody }
        } else if token.keyword.statementKind.isPlannable {
            kind = token.keyword.statementKind
            phase = .done
        }
    }

    /// ROLLBACK [WORK | TRANSACTION] [TO [SAVEPOINT] name], ROLLBACK PREPARED.
    private mutating func acceptAfterRollback(_ token: Token) {
        switch token.keyword {
        case .work, .transaction: return
        case .to: kind = .savepoint
        case .prepared: kind = .utility
        default: break
        }
        phase = .done
    }

    /// PREPARE name [(types)] AS statement; PREPARE TRANSACTION 'id' is something else.
    private mutating func acceptInPrepare(_ token: Token, depth: Int) {
        switch phase {
        case .prepareName:
            isNamedTransaction = token.keyword == .transaction
            takeName(token, then: .prepareAs)
        case .prepareAs:
            if isNamedTransaction, token.kind == .string {
                (kind, name, phase) = (.utility, 0..<0, .done)
            } else if token.keyword == .as, depth == level {
                phase = .prepareBody
            }
            isNamedTransaction = false
        default:
            body = token.start
            phase = .done
        }
    }

    /// DEALLOCATE [PREPARE] { name | ALL }; a statement may be called "prepare".
    private mutating func acceptInDeallocate(_ token: Token) {
        if token.keyword == .all {
            (kind, name, phase) = (.deallocateAll, 0..<0, .done)
        } else {
            let isPrepare = phase == .deallocateName && token.keyword == .prepare
            takeName(token, then: isPrepare ? .deallocatePrepare : .done)
        }
    }

    private mutating func takeName(_ token: Token, then next: Phase) {
        phase = .done
        guard token.kind == .word || token.kind == .quoted || token.kind == .unicodeQuoted else { return }
        name = token.start..<token.end
        phase = next
    }

    private mutating func acceptInCreate(_ token: Token) {
        switch token.keyword {
        case .or, .replace: break
        case .function, .procedure: phase = .routine
        default: phase = .done
        }
    }

    private mutating func acceptInRoutine(_ token: Token, depth: Int) {
        if bodies > 0 {
            if token.keyword == .case { bodies &+= 1 }
            if token.keyword == .end { bodies &-= 1 }
        } else if phase == .routineBegin, token.keyword == .atomic {
            bodies = 1
        }
        phase = token.keyword == .begin && depth == 0 ? .routineBegin : .routine
    }
}

extension Keyword {
    /// What a statement does that begins with this word, if the word alone tells.
    fileprivate var statementKind: StatementKind {
        switch self {
        case .select: .select
        case .insert: .insert
        case .update: .update
        case .delete: .delete
        case .merge: .merge
        case .values: .values
        case .table: .table
        case .begin: .begin
        case .savepoint, .release: .savepoint
        case .copy: .copy
        case .declare: .declare
        case .fetch, .move: .fetch
        case .close: .closeCursor
        case .set, .reset: .set
        case .show: .show
        case .explain: .explain
        case .call: .call
        case .alterReplicationSlot, .baseBackup, .createReplicationSlot, .dropReplicationSlot, .identifySystem,
            .readReplicationSlot, .startReplication, .timelineHistory, .uploadManifest:
            .replication
        default: .utility
        }
    }
}
