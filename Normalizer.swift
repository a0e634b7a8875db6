// SPDX-License-Identifier: Apache-2.0

public import Domain

/// Tells of SQL texts which pattern they follow: the exact rules, one forward pass, fixed memory.
///
/// One per worker. The rules are those of PostgreSQL's lexer (documentation, 4.1 "Lexical Structure") and grammar; no
/// bytes whatsoever make it trap, and the work is linear in their number.
public struct Normalizer: ~Copyable {
    /// The longest pattern text ``patternText(_:_:backslashEscapes:)`` returns, in bytes, without the ellipsis.
    public static let maximumPatternText = 16 * 1024

    private let keywords: KeywordTable
    private var writer: PatternWriter

    /// A normalizer whose fingerprints are made with `hash`. Allocates its scratch memory; nothing is allocated later.
    public init(hash: KeyedHash) {
        keywords = KeywordTable()
        writer = PatternWriter(hash: hash, keywords: keywords)
    }

    /// Sketches the statement that begins at or after byte `start` of `sql`, the text of a Query or Parse message.
    ///
    /// The range of the sketch ends at the statement's semicolon or at the end of the text; the search for the next
    /// statement may begin there. No allocation.
    /// - Parameters:
    ///   - sql: The text, without the NUL that ends it in the protocol.
    ///   - start: Where to begin; anything outside the text counts as its end.
    ///   - backslashEscapes: Whether the session has `standard_conforming_strings` off.
    /// - Returns: `nil` if only white space, comments and semicolons remain.
    public mutating func sketch(
        _ sql: RawSpan,
        from start: Int,
        backslashEscapes: Bool = false
    ) -> StatementSketch? {
        guard start >= 0, start < sql.byteCount else { return nil }
        let lexer = Lexer(start..<sql.byteCount, backslashEscapes: backslashEscapes)
        writer.clear()
        return scan(sql, lexer)?.sketch
    }

    /// The pattern of the statement that stands in `range` of `sql`: one line, `?` for every literal and parameter.
    ///
    /// Meant for patterns new to the caller. A text longer than ``maximumPatternText`` is cut there and ends in `…`.
    public mutating func patternText(_ sql: RawSpan, _ range: Range<Int>, backslashEscapes: Bool = false) -> [UInt8] {
        let range = range.clamped(to: 0..<sql.byteCount)
        writer.clear(headLimit: Self.maximumPatternText)
        _ = scan(sql, Lexer(range, backslashEscapes: backslashEscapes))
        var text = writer.buffer.text(limit: Self.maximumPatternText)
        guard writer.buffer.position > Self.maximumPatternText else { return text }
        while let last = text.last, last & 0xC0 == 0x80 { text.removeLast() }
        if let last = text.last, last >= 0xC0 { text.removeLast() }
        text.append(contentsOf: "…".utf8)
        return text
    }

    /// What the exact rules tell of one statement.
    struct Findings {
        var sketch = StatementSketch()
        /// Where the literals of LIMIT and OFFSET stand, or -1.
        var limitLiteral = -1
        var offsetLiteral = -1
    }

    /// Applies the exact rules to the first statement the lexer finds; `nil` if there is none.
    private mutating func scan(_ sql: RawSpan, _ lexer: consuming Lexer) -> Findings? {
        var lexer = lexer
        var token = lexer.next(sql, keywords)
        while token.kind == .semicolon { token = lexer.next(sql, keywords) }
        guard token.kind != .end else { return nil }
        var classifier = StatementClassifier()
        var limits = RowLimits()
        let first = token.start
        while token.kind != .end {
            let depth = writer.depth
            if token.kind == .semicolon, depth == 0, !classifier.isInBody { break }
            if !classifier.isDone { classifier.accept(token, depth: depth) }
            limits.accept(token, depth: depth, sql)
            let isTight = writer.holdsSigns && token.kind == .number && lexer.isBeforeTightOperator(sql)
            writer.write(token, sql, isTight: isTight)
            token = lexer.next(sql, keywords)
        }
        writer.releaseSigns()
        var findings = Findings()
        findings.sketch.fingerprint = writer.buffer.fingerprint
        findings.sketch.kind = classifier.kind
        findings.sketch.range = first..<token.start
        findings.sketch.name = classifier.name
        findings.sketch.body = classifier.body
        findings.sketch.limit = limits.limit
        findings.sketch.offset = limits.offset
        findings.limitLiteral = limits.limitLiteral
        findings.offsetLiteral = limits.offsetLiteral
        return findings
    }
}
