// SPDX-License-Identifier: Apache-2.0

/// The words the normalizer treats specially: the keywords that PostgreSQL does not take as a column name (documentation,
/// appendix C "SQL Key Words": reserved, function-or-type and column-name classes), and those that lead statements.
enum Keyword: String, CaseIterable {
    /// Any other word.
    case ordinary = ""
    case all, analyse, analyze, and, any, array, `as`, asc, asymmetric, authorization, between, bigint, binary, bit,
        boolean, both, `case`, cast, char, character, check, coalesce, collate, collation, column, concurrently,
        constraint, create, cross
    case currentCatalog = "current_catalog"
    case currentDate = "current_date"
    case
        currentRole = "current_role"
    case currentSchema = "current_schema"
    case currentTime = "current_time"
    case
        currentTimestamp = "current_timestamp"
    case currentUser = "current_user"
    case dec, decimal, `default`, deferrable,
        desc, distinct, `do`, `else`, end, except, exists, extract, `false`, fetch, float, `for`, foreign, freeze,
        from, full, grant, greatest, group, grouping, having, ilike, `in`, initially, inner, `inout`, int, integer,
        intersect, interval, into, `is`, isnull, join, lateral, leading, least, left, like, limit, localtime,
        localtimestamp, national, natural, nchar, none, normalize, not, notnull, null, nullif, numeric, offset, on,
        only, or, order, out, outer, overlaps, overlay, placing, position, precision, primary, real, references,
        returning, right, row, select
    case sessionUser = "session_user"
    case setof, similar, smallint, some, substring,
        symmetric
    case systemUser = "system_user"
    case table, tablesample, then, time, timestamp, to, trailing, treat, trim,
        `true`, union, unique, user, using, values, varchar, variadic, verbose, when, `where`, window, with,
        xmlattributes, xmlconcat, xmlelement, xmlexists, xmlforest, xmlnamespaces, xmlparse, xmlpi, xmlroot,
        xmlserialize, xmltable

    // Unreserved, but they tell what a statement is or how to read it.
    case abort, atomic, begin, by, call, close, commit, connection, copy, cube, deallocate, declare, delete,
        discard, escape, execute, explain, filter, first, function, insert, merge, move, next, over, prepare,
        prepared, procedure, recursive, release, replace, reset, rollback, rollup, rows, savepoint, set, sets, show,
        start, transaction, uescape, update, within, work, zone

    // Unreserved, but an expression goes on with them.
    case at, `operator`

    // Unreserved, but names that programs make up stand behind them.
    case characteristics, current, listen, local, notify, of, role, session, temp, temporary, unlisten

    // Walsender commands (documentation, 55.4 "Streaming Replication Protocol").
    case alterReplicationSlot = "alter_replication_slot"
    case baseBackup = "base_backup"
    case
        createReplicationSlot = "create_replication_slot"
    case dropReplicationSlot = "drop_replication_slot"
    case
        identifySystem = "identify_system"
    case readReplicationSlot = "read_replication_slot"
    case
        startReplication = "start_replication"
    case timelineHistory = "timeline_history"
    case
        uploadManifest = "upload_manifest"
}

extension Keyword {
    /// Whether a column or table of this name needs double quotes; a quoted one then means something else than a bare one.
    var needsQuotes: Bool {
        switch self {
        case .ordinary, .abort, .alterReplicationSlot, .at, .atomic, .baseBackup, .begin, .by, .call, .characteristics,
            .close, .commit, .connection, .copy, .createReplicationSlot, .cube, .current, .deallocate, .declare,
            .delete, .discard, .dropReplicationSlot, .escape, .execute, .explain, .filter, .first, .function,
            .identifySystem, .insert, .listen, .local, .merge, .move, .next, .notify, .of, .operator, .over, .prepare,
            .prepared,
            .procedure, .readReplicationSlot, .recursive, .release, .replace, .reset, .role, .rollback, .rollup,
            .rows, .savepoint, .session, .set, .sets, .show, .start, .startReplication, .temp, .temporary,
            .timelineHistory, .transaction, .uescape, .unlisten, .update, .uploadManifest, .within, .work, .zone:
            false
        default: true
        }
    }

    /// Whether the word is a complete operand, so that a `-` after it subtracts instead of changing the sign.
    var endsOperand: Bool {
        switch self {
        case .ordinary, .abort, .alterReplicationSlot, .at, .atomic, .baseBackup, .begin, .bigint, .bit, .boolean,
            .call,
            .char, .character, .characteristics, .close, .commit, .connection, .copy, .createReplicationSlot, .cube,
            .current, .currentCatalog,
            .currentDate, .currentRole, .currentSchema, .currentTime, .currentTimestamp, .currentUser, .deallocate,
            .dec, .decimal, .declare, .default, .delete, .discard, .dropReplicationSlot, .end, .escape, .execute,
            .explain, .false, .filter, .first, .float, .function, .identifySystem, .insert, .int, .integer,
            .interval, .isnull, .listen, .local, .localtime, .localtimestamp, .merge, .move, .nchar, .next, .notify,
            .notnull, .null, .numeric, .of, .operator, .over, .precision, .prepare, .prepared, .procedure,
            .readReplicationSlot,
            .real, .recursive,
            .release, .replace, .reset, .role, .rollback, .rollup, .rows, .savepoint, .session, .sessionUser, .set,
            .sets, .show, .smallint, .start, .startReplication, .temp, .temporary, .time, .timelineHistory, .timestamp,
            .transaction, .true, .uescape, .unlisten, .update, .uploadManifest, .user, .varchar, .within, .work, .zone:
            true
        default: false
        }
    }

    /// Whether a pattern has a blank between the word and `(`, as in `IN (` but not in `count(`.
    var isSpacedFromParenthesis: Bool {
        switch self {
        case .all, .analyse, .analyze, .and, .as, .asc, .asymmetric, .between, .both, .by, .case, .check, .collate,
            .column, .constraint, .create, .cross, .deferrable, .desc, .distinct, .do, .else, .end, .escape,
            .except, .exists, .explain, .fetch, .filter, .for, .foreign, .freeze, .from, .full, .grant, .group,
            .having, .ilike, .in, .initially, .inner, .intersect, .into, .is, .isnull, .join, .lateral, .leading,
            .like, .limit, .natural, .not, .notnull, .offset, .on, .only, .or, .order, .outer, .over, .placing,
            .primary, .references, .returning, .select, .set, .sets, .similar, .symmetric, .tablesample, .then, .to,
            .trailing, .union, .unique, .using, .values, .variadic, .verbose, .when, .where, .window, .with, .within:
            true
        default: false
        }
    }
}
