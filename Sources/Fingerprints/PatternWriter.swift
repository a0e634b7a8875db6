// SPDX-License-Identifier: Apache-2.0
import Domain

/// Writes the tokens of a statement as its pattern: literals and parameters as `?`, words in lower case, one canonical
/// spacing, lists of literals shortened.
///
/// The pattern is a function of the token sequence alone. Memory is fixed; the work is linear in the tokens.
struct PatternWriter: ~Copyable {
    /// A token already written, as far as later ones look back at it.
    struct Mark: BitwiseCopyable {
        /// How the token reads; `none` before the first one.
        enum Shape: UInt8, BitwiseCopyable {
            case none, word, quoted, literal, symbol, open, close, comma, semicolon, dot, cast, colon, other
        }

        var shape = Shape.none
        var keyword = Keyword.ordinary
    }

    /// Levels of parentheses whose lists are remembered while deeper ones are written; lists around those are not
    /// shortened once the deeper part is done.
    static let maximumDepth = 64

    var buffer: PatternBuffer
    /// The token written last, and the one before it.
    var previous = Mark()
    var beforePrevious = Mark()
    /// Where the token written last begins.
    private(set) var previousStart = 0
    /// The level of parentheses; never negative.
    var depth = 0
    /// The innermost level.
    var frame = ListFrame()
    /// The levels around it, outermost first; `maximumDepth` of them.
    var frames = [ListFrame](repeating: ListFrame(), count: maximumDepth)
    /// Minus signs in front of an operand, held back: a number swallows them.
    private var heldSigns = 0
    /// Whether NULL, TRUE and FALSE are values here and not parts of a definition.
    private(set) var foldsConstants = false
    private var isDefinition = false
    /// Where the statement's made-up names stand.
    var names = NameFolding()
    let keywords: KeywordTable

    init(hash: KeyedHash, keywords: KeywordTable) {
        buffer = PatternBuffer(hash: hash)
        self.keywords = keywords
    }

    /// Begins a new pattern.
    mutating func clear(headLimit: Int = 0) {
        buffer.clear(headLimit: headLimit)
        previous = Mark()
        beforePrevious = Mark()
        depth = 0
        frame = ListFrame()
        frame.isQuery = true
        heldSigns = 0
        foldsConstants = false
        isDefinition = false
        names = NameFolding()
    }

    /// Whether a number that comes next may swallow minus signs.
    var holdsSigns: Bool { heldSigns > 0 }

    /// Writes one token.
    ///
    /// `isTight`: after a number that ``holdsSigns``, whether an operator follows that binds tighter.
    mutating func write(_ token: Token, _ sql: RawSpan, isTight: Bool) {
        if names.phase != .none, foldsName(token, sql) { return }
        writeAsIs(token, sql, isTight: isTight)
    }

    /// Writes a token that stands where no made-up name is known to.
    @inline(__always)
    mutating func writeAsIs(_ token: Token, _ sql: RawSpan, isTight: Bool) {
        if heldSigns > 0 {
            if token.kind == .number, !isTight { heldSigns = 0 } else if !isMinus(token, sql) { releaseSigns() }
        }
        switch token.kind {
        case .number, .string, .parameter: writeLiteral()
        case .word:
            if token.keyword != .ordinary {
                names.note(token.keyword, depth: depth)
            } else if names.takeName(token, everywhere: !foldsConstants), writeGenerated(token, sql) {
                return
            }
            writeWord(token, sql)
        case .quoted:
            if names.takeName(token, everywhere: !foldsConstants), writeGenerated(token, sql) { return }
            writeQuoted(token, sql)
        case .unicodeQuoted:
            if names.takeName(token, everywhere: !foldsConstants), writeGenerated(token, sql) { return }
            writeUnicodeQuoted(token, sql)
        case .symbol: writeSymbol(token, sql)
        case .open: open(sql.byte(at: token.start))
        case .close: close(sql.byte(at: token.start))
        case .comma:
            names.takeComma(depth: depth)
            writeComma()
        case .semicolon: writePunctuation(.semicolon, ";")
        case .dot:
            if names.takeDot() { foldQualifier(sql) }
            writePunctuation(.dot, ".")
        case .colon: writePunctuation(.colon, ":")
        case .cast: writePunctuation(.cast, "::")
        case .assign: writePunctuation(.symbol, ":=")
        case .dots: writePunctuation(.symbol, "..")
        case .unterminated: writePunctuation(.other, "<unterminated>")
        case .stray: writeStray(sql.byte(at: token.start))
        case .end: break
        }
    }

    /// Writes what was held back; call it behind the last token.
    mutating func finish(_ sql: RawSpan) {
        if names.phase != .none { finishNames(sql) }
        releaseSigns()
    }

    /// Writes the signs that no number swallowed.
    mutating func releaseSigns() {
        while heldSigns > 0 {
            heldSigns &-= 1
            writePunctuation(.symbol, "-")
        }
    }

    /// Writes a literal, or a name that stands for any.
    mutating func writeLiteral() {
        begin(Mark(shape: .literal))
        buffer.append(UInt8(ascii: "?"))
        if frame.shortening == .literalRow, frame.firstEnd < 0 { frame.firstEnd = buffer.position }
    }

    @inline(__always)
    private mutating func writeWord(_ token: Token, _ sql: RawSpan) {
        let keyword = token.keyword
        if previous.shape == .none {
            foldsConstants = keyword.leadsQuery
            isDefinition = keyword == .create
        } else if isDefinition, keyword == .select || keyword == .values {
            foldsConstants = true
        }
        if foldsConstants, keyword == .null || keyword == .true || keyword == .false, isValue(keyword) {
            return writeLiteral()
        }
        begin(Mark(shape: .word, keyword: keyword))
        buffer.append(sql, token.start..<token.end, lowercase: true)
        if keyword == .values {
            // Rows are dropped as rows; the commas between them end no elements.
            frame.shortening = .none
            frame.expectRows()
            frame.rowBoundary = buffer.position
        }
    }

    /// Whether NULL, TRUE or FALSE is a value after what was written: not in `IS NULL`, `SET NULL`, `AS true`, `t.true`.
    private func isValue(_ keyword: Keyword) -> Bool {
        switch previous.keyword {
        case .is, .as: return false
        case .not: return keyword != .null && beforePrevious.keyword != .is
        case .on, .set, .or: return keyword != .null
        default: return previous.shape != .dot
        }
    }

    private mutating func writeSymbol(_ token: Token, _ sql: RawSpan) {
        if isMinus(token, sql), heldSigns > 0 || isBeforeOperand {
            heldSigns = heldSigns &+ 1
            return
        }
        begin(Mark(shape: .symbol))
        if token.end &- token.start == 2, sql.byte(at: token.start) == UInt8(ascii: "!"),
            sql.byte(at: token.start &+ 1) == UInt8(ascii: "=")
        {
            buffer.append("<>")
        } else {
            buffer.append(sql, token.start..<token.end, lowercase: false)
        }
    }

    private func isMinus(_ token: Token, _ sql: RawSpan) -> Bool {
        token.kind == .symbol && token.end &- token.start == 1 && sql.byte(at: token.start) == UInt8(ascii: "-")
    }

    /// Whether a minus sign after what was written is a sign and no subtraction.
    private var isBeforeOperand: Bool {
        switch previous.shape {
        case .none, .symbol, .open, .comma, .semicolon, .cast, .colon: true
        case .word: !previous.keyword.endsOperand
        case .quoted, .literal, .close, .dot, .other: false
        }
    }

    mutating func writePunctuation(_ shape: Mark.Shape, _ text: StaticString) {
        begin(Mark(shape: shape))
        buffer.append(text)
    }

    /// A byte that begins no token, as `\x1F` unless it is printable ASCII.
    private mutating func writeStray(_ byte: UInt8) {
        begin(Mark(shape: .other))
        guard byte < 0x20 || byte >= 0x7F else { return buffer.append(byte) }
        buffer.append("\\x")
        buffer.appendHexadecimal(byte)
    }

    /// Writes the blank before a token, if it has one, and notes the token.
    mutating func begin(_ mark: Mark) {
        if isSpaced(mark.shape) { buffer.append(UInt8(ascii: " ")) }
        noteInList(mark)
        noteInSort(mark)
        previousStart = buffer.position
        beforePrevious = previous
        previous = mark
    }

    private func isSpaced(_ shape: Mark.Shape) -> Bool {
        switch previous.shape {
        case .none, .open, .dot, .cast: return false
        default: break
        }
        switch shape {
        case .comma, .semicolon, .close, .dot, .cast: return false
        case .open:
            switch previous.shape {
            case .word: return previous.keyword.isSpacedFromParenthesis
            case .quoted: return false
            default: return true
            }
        default: return true
        }
    }
}

extension Keyword {
    /// Whether a parenthesis that begins so holds a subquery and no list.
    var beginsSubquery: Bool {
        switch self {
        case .select, .with, .values, .table: true
        default: false
        }
    }

    /// Whether NULL, TRUE and FALSE in a statement that begins so are values.
    var leadsQuery: Bool {
        switch self {
        case .select, .insert, .update, .delete, .merge, .with, .values, .table, .explain, .declare, .copy, .prepare,
            .execute, .call:
            true
        default: false
        }
    }
}
