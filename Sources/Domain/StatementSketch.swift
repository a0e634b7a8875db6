// SPDX-License-Identifier: Apache-2.0

/// What a statement does, told from its leading keywords alone.
public enum StatementKind: UInt8, Sendable, BitwiseCopyable, CaseIterable {
    /// The text was never seen.
    case unknown
    /// Only white space, comments and semicolons.
    case empty
    case select, insert, update, delete, merge, values, table
    /// `WITH` in front of a query or of a data-modifying statement whose verb could not be told.
    case with
    /// SQL-level prepared statements: `PREPARE name AS …`, `EXECUTE name`, `DEALLOCATE name`, `DEALLOCATE ALL`.
    case prepare, execute, deallocate, deallocateAll
    /// `DISCARD ALL`, which also forgets prepared statements; `DISCARD PLANS` and the like are `utility`.
    case discardAll
    case begin, commit, rollback, savepoint
    case copy, declare, fetch, closeCursor
    case set, show, explain, call
    /// Everything else: DDL, VACUUM, LISTEN, …
    case utility
    /// A walsender command (PostgreSQL documentation, "Streaming Replication Protocol").
    case replication

    /// Whether pg_stat_statements counts executions of it as planned queries.
    public var isPlannable: Bool {
        switch self {
        case .select, .insert, .update, .delete, .merge, .values, .table, .with: true
        default: false
        }
    }
}

extension StatementKind {
    /// Whether others may wait for what a statement locks: it begins or ends a transaction, or wrote for long.
    @inline(__always)
    public func holdsLocks(longerThan least: Int64, _ duration: Int64) -> Bool {
        switch self {
        case .begin, .commit, .rollback: true
        case .insert, .update, .delete, .merge, .with, .utility, .call: duration >= least
        default: false
        }
    }
}

/// The order of magnitude of a LIMIT or OFFSET: prices differ by it although the pattern is one.
public enum Decade: UInt8, Sendable, BitwiseCopyable {
    /// No such clause, or `LIMIT ALL`, or `LIMIT NULL`.
    case absent
    /// A parameter (`$1`) or an expression.
    case parameter
    case zero, upTo10, upTo100, upTo1000, upTo10000, upTo100000, upTo1000000, over1000000
}

/// What the lexer tells about one statement of a text, in one pass and without an allocation.
public struct StatementSketch: Sendable, BitwiseCopyable {
    /// The key of the statement's pattern.
    public var fingerprint = Fingerprint.unknown
    /// What the statement does.
    public var kind = StatementKind.unknown
    /// The size of the outermost LIMIT or FETCH FIRST.
    public var limit = Decade.absent
    /// The size of the outermost OFFSET.
    public var offset = Decade.absent
    /// Backslashes escaped in its plain strings (`standard_conforming_strings` off); its pattern's text must be read
    /// the same way, or it would show what the sketch took for a literal.
    public var backslashEscapes = false
    /// Where the statement stands in the text: from its first token up to its semicolon or the end of the text.
    public var range: Range<Int> {
        get { Int(start)..<Int(end) }
        set { (start, end) = (Self.place(newValue.lowerBound), Self.place(newValue.upperBound)) }
    }
    /// For PREPARE, EXECUTE and DEALLOCATE: where the name stands, quotes included; empty otherwise.
    public var name: Range<Int> {
        get { Int(nameStart)..<Int(nameEnd) }
        set { (nameStart, nameEnd) = (Self.place(newValue.lowerBound), Self.place(newValue.upperBound)) }
    }
    /// For PREPARE: where the statement after AS begins; 0 otherwise.
    public var body: Int {
        get { Int(bodyStart) }
        set { bodyStart = Self.place(newValue) }
    }

    // Sketches are copied for every statement, and no text is longer than 1 GiB: 32 bits will do. The setters keep
    // the bounds ordered.
    private var start: Int32 = 0
    private var end: Int32 = 0
    private var nameStart: Int32 = 0
    private var nameEnd: Int32 = 0
    private var bodyStart: Int32 = 0

    private static func place(_ offset: Int) -> Int32 { Int32(clamping: offset) }

    /// A sketch of nothing.
    public init() {}
}
