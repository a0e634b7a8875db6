// SPDX-License-Identifier: Apache-2.0

import Domain

/// Finds the outermost LIMIT, OFFSET and FETCH FIRST of a statement (documentation, 7.6 "LIMIT and OFFSET").
struct RowLimits {
    private enum Phase {
        case idle, limit, offset, fetch, fetchCount
        /// Behind a literal that is the whole value unless an operator follows.
        case limitValue, offsetValue
    }

    private(set) var limit = Decade.absent
    private(set) var offset = Decade.absent
    /// Where the literal of `limit` stands, or -1 if it is none.
    private(set) var limitLiteral = -1
    /// Where the literal of `offset` stands, or -1 if it is none.
    private(set) var offsetLiteral = -1
    private var phase = Phase.idle
    /// Clauses at this level of parentheses or further out belong to the statement itself; -1 before the first token.
    private var level = -1
    /// What stands before the token can make LIMIT and the like a name.
    private var isName = false

    /// Takes the next token; `depth` is the level of parentheses it stands at, before it if it is a parenthesis.
    mutating func accept(_ token: Token, depth: Int, _ sql: RawSpan) {
        switch phase {
        case .idle: acceptOutside(token, depth: depth)
        case .limit, .offset: acceptValue(token, sql)
        case .limitValue, .offsetValue: acceptAfterValue(token, depth: depth)
        case .fetch: phase = token.keyword == .first || token.keyword == .next ? .fetchCount : .idle
        case .fetchCount:
            if token.keyword == .row || token.keyword == .rows {
                (limit, limitLiteral, phase) = (.upTo10, -1, .idle)
            } else {
                phase = .limit
                acceptValue(token, sql)
            }
        }
        isName = token.kind == .dot || token.keyword == .as || token.keyword == .connection
    }

    private mutating func acceptOutside(_ token: Token, depth: Int) {
        if level < 0 {
            // The first word: FETCH is a statement here.
            if token.kind != .open { level = depth }
            return
        }
        guard depth <= level, token.keyword != .ordinary, !isName else { return }
        switch token.keyword {
        case .limit: phase = .limit
        case .offset: phase = .offset
        case .fetch: phase = .fetch
        case .union, .intersect, .except:
            guard depth < level else { break }
            // What was found belongs to the first of several queries.
            self = RowLimits()
            level = depth
        default: break
        }
    }

    private mutating func acceptValue(_ token: Token, _ sql: RawSpan) {
        let isLimit = phase == .limit
        phase = isLimit ? .limitValue : .offsetValue
        switch token.kind {
        case .number, .string: set(isLimit, Decade(literalAt: token.start, in: sql), token.start)
        case .word where token.keyword == .all || token.keyword == .null: set(isLimit, .absent, -1)
        default:
            set(isLimit, .parameter, -1)
            phase = .idle
        }
    }

    /// A cast or an operator makes an expression of the value.
    private mutating func acceptAfterValue(_ token: Token, depth: Int) {
        let isLimit = phase == .limitValue
        phase = .idle
        switch token.kind {
        case .word: acceptOutside(token, depth: depth)
        case .close, .semicolon: break
        default: set(isLimit, .parameter, -1)
        }
    }

    private mutating func set(_ isLimit: Bool, _ decade: Decade, _ literal: Int) {
        if isLimit { (limit, limitLiteral) = (decade, literal) } else { (offset, offsetLiteral) = (decade, literal) }
    }
}

extension Decade {
    /// The decade of the number or string literal at `start`; `parameter` if it is no plain number.
    init(literalAt start: Int, in sql: RawSpan) {
        var offset = start
        if sql.byte(at: offset) == UInt8(ascii: "'") { offset &+= 1 }
        var value = 0.0
        var digits = 0
        while offset < sql.byteCount,
            ByteClass.isDigit(sql.byte(at: offset)) || sql.byte(at: offset) == UInt8(ascii: "_")
        {
            if sql.byte(at: offset) != UInt8(ascii: "_") {
                value = value * 10 + Double(sql.byte(at: offset) &- 0x30)
                digits &+= 1
            }
            offset &+= 1
        }
        let isPlain = digits > 0 && (offset == sql.byteCount || !Self.continuesNumber(sql.byte(at: offset)))
        self = isPlain ? Self(value) : .parameter
    }

    private static func continuesNumber(_ byte: UInt8) -> Bool {
        ByteClass.isWord(byte) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-")
    }

    private init(_ value: Double) {
        switch value {
        case ...0: self = .zero
        case ...10: self = .upTo10
        case ...100: self = .upTo100
        case ...1000: self = .upTo1000
        case ...10_000: self = .upTo10000
        case ...100_000: self = .upTo100000
        case ...1_000_000: self = .upTo1000000
        default: self = .over1000000
        }
    }
}
