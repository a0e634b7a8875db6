// SPDX-License-Identifier: Apache-2.0
import Domain

/// The number of a column that ORDER BY, GROUP BY or DISTINCT ON names by its place (documentation, SELECT): it decides
/// what is sorted, so it belongs to the pattern as it does to PostgreSQL's query identifier.
enum Ordinal {
    /// No list of columns is longer (`MaxTupleAttributeNumber` of `htup_details.h`); larger numbers are errors at the
    /// server, and stay literals here.
    static let most = 1664

    /// The value of the integer literal at `start`, as `scan.l` of PostgreSQL 16 and later reads it; 0 if it is none
    /// from 1 to ``most``.
    static func value(at start: Int, in sql: RawSpan) -> Int {
        var offset = start
        var radix = 10
        if sql.byte(at: start) == UInt8(ascii: "0"), start &+ 1 < sql.byteCount {
            switch sql.byte(at: start &+ 1) | 0x20 {
            case UInt8(ascii: "x"): radix = 16
            case UInt8(ascii: "o"): radix = 8
            case UInt8(ascii: "b"): radix = 2
            default: break
            }
            if radix != 10 { offset &+= 2 }
        }
        var value = 0
        var digits = 0
        while offset < sql.byteCount {
            if sql.byte(at: offset) == UInt8(ascii: "_"), digits > 0 || radix != 10 { offset &+= 1 }
            // An underscore without a digit behind it is left over, and the number none.
            guard offset < sql.byteCount, let digit = digit(sql.byte(at: offset), radix) else { break }
            value = min(value &* radix &+ digit, most &+ 1)
            digits &+= 1
            offset &+= 1
        }
        guard digits > 0, sql.byte(at: offset &- 1) != UInt8(ascii: "_"), value <= most else { return 0 }
        guard offset < sql.byteCount else { return value }
        let after = sql.byte(at: offset)
        return ByteClass.isWord(after) || after == UInt8(ascii: ".") ? 0 : value
    }

    private static func digit(_ byte: UInt8, _ radix: Int) -> Int? {
        let value = ByteClass.isDigit(byte) ? byte &- 0x30 : (byte | 0x20) &- 0x61 < 6 ? (byte | 0x20) &- 0x57 : 255
        return Int(value) < radix ? Int(value) : nil
    }
}

extension Lexer {
    /// Whether a literal that was just read is all of an element of ORDER BY, GROUP BY or DISTINCT ON.
    ///
    /// - Parameters:
    ///   - parentheses: how many stand around it inside of the element.
    ///   - isList: other elements may stand beside it in them, as in `GROUP BY (1, 2)`.
    func endsSortElement(_ sql: RawSpan, _ keywords: KeywordTable, parentheses: Int, isList: Bool) -> Bool {
        var ahead = self
        var left = parentheses
        while true {
            let token = ahead.scan(sql, keywords)
            switch token.kind {
            case .close where left > 0: left &-= 1
            case .comma where left > 0: return isList
            case .comma, .close, .semicolon, .end: return left == 0
            case .word: return left == 0 && !token.keyword.continuesExpression
            default: return false
            }
        }
    }
}

extension PatternWriter {
    /// What the elements of a list are, as far as a number that is one may be an ordinal.
    enum SortList: UInt8, BitwiseCopyable {
        /// It is none.
        case none
        /// ORDER BY, and DISTINCT ON.
        case order
        /// GROUP BY, whose elements may be lists: `(1, 2)`, `ROLLUP (1, 2)`.
        case group
    }

    /// Whether a number that comes next begins an element whose ordinal it may be.
    var expectsOrdinal: Bool { frame.isAtSortElement && !holdsSigns && names.phase == .none }

    /// Writes an ordinal.
    mutating func writeOrdinal(_ value: Int) {
        begin(Mark(shape: .literal))
        var divisor = 1000
        while divisor > 1, value < divisor { divisor /= 10 }
        while divisor > 0 {
            buffer.append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: value / divisor % 10))
            divisor /= 10
        }
        if frame.shortening == .literalRow, frame.firstEnd < 0 { frame.firstEnd = buffer.position }
    }

    /// Keeps track of sort lists when a token other than an opening parenthesis is written.
    @inline(__always)
    mutating func noteInSort(_ mark: Mark) {
        if previous.shape == .open, mark.keyword.beginsSubquery { frame.isQuery = true }
        switch mark.shape {
        case .word where mark.keyword != .ordinary: noteInSort(mark.keyword)
        case .comma:
            frame.isAtSortElement = frame.sort == .group || frame.sort == .order && frame.sortParentheses == 0
        case .semicolon: (frame.sort, frame.isAtSortElement) = (.none, false)
        default: frame.isAtSortElement = false
        }
    }

    @inline(never)
    private mutating func noteInSort(_ keyword: Keyword) {
        switch keyword {
        case .by:
            // In an aggregate's ORDER BY and in a window's, numbers are constants (SQL99 rules of parse_clause.c).
            guard frame.isQuery else {
                frame.isAtSortElement = false
                return
            }
            switch previous.keyword {
            case .order: beginSort(.order)
            case .group: beginSort(.group)
            default: frame.isAtSortElement = false
            }
        case .distinct, .all, .rollup, .cube, .grouping:
            frame.isAtSortElement = frame.isAtSortElement && frame.sort == .group
        case .sets: frame.isAtSortElement = frame.isAtSortElement && previous.keyword == .grouping
        case .select, .with, .values, .table, .having, .window, .limit, .offset, .fetch, .for, .union, .intersect,
            .except, .returning, .on, .order, .group:
            (frame.sort, frame.isAtSortElement) = (.none, false)
        default: frame.isAtSortElement = false
        }
    }

    private mutating func beginSort(_ list: SortList) {
        frame.sort = list
        frame.sortParentheses = 0
        frame.isAtSortElement = true
        // A query in parentheses behind IN is no list.
        frame.shortening = .none
    }

    /// What the parenthesis that is written next means for the sort lists: to be called before it is.
    mutating func openSort(_ inner: inout ListFrame) {
        // `((SELECT …) UNION … ORDER BY 1)`, but not `f((a) ORDER BY 1)`.
        if previous.shape == .open, frame.mayNest { frame.isQuery = true }
        inner.mayNest = previous.shape != .quoted && (previous.shape != .word || previous.keyword != .ordinary)
        if previous.keyword == .on, beforePrevious.keyword == .distinct {
            (inner.sort, inner.isAtSortElement) = (.order, true)
        } else if frame.isAtSortElement {
            inner.sort = frame.sort
            inner.isAtSortElement = true
            switch previous.keyword {
            case .rollup, .cube, .sets: break
            default: inner.sortParentheses = frame.sortParentheses < .max ? frame.sortParentheses &+ 1 : .max
            }
            if inner.sort == .group { inner.shortening = .none }
        }
        frame.isAtSortElement = false
    }
}

extension Keyword {
    /// Whether an expression goes on behind an operand with this word.
    fileprivate var continuesExpression: Bool {
        switch self {
        case .and, .at, .between, .collate, .ilike, .in, .is, .isnull, .like, .not, .notnull, .operator, .or,
            .overlaps, .similar:
            true
        default: false
        }
    }
}
