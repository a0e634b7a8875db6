// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Tells statements apart by pattern: lexes a text once, forward, and sketches its statements one by one.
///
/// The lexical rules are PostgreSQL's (documentation, 4.1 "Lexical Structure"; `scan.l`). Literals and parameters
/// become `?`, words are folded, lists of literals shortened; whatever the bytes are, nothing traps, and no literal
/// reaches a pattern's text. One for each worker: it owns fixed scratch memory and allocates nothing per statement.
public struct Normalizer: ~Copyable {
    /// The longest pattern text, in bytes; longer ones end in `…`.
    public static let longestText = 16 * 1024

    let keywords = KeywordTable()
    var writer: PatternWriter
    private var skeleton: Skeleton
    private var memo = SketchMemo()

    /// A normalizer whose fingerprints are keyed by `hash`.
    public init(hash: KeyedHash) {
        writer = PatternWriter(hash: hash, keywords: keywords)
        skeleton = Skeleton(hash: hash)
    }

    /// Sketches the statement at or after byte `start` of `sql`; `nil` when only white space, comments and semicolons
    /// are left.
    ///
    /// The next statement is found from the upper bound of the sketch's range.
    ///
    /// - Parameter backslashEscapes: `standard_conforming_strings` is off for the session.
    public mutating func sketch(
        _ sql: RawSpan,
        from start: Int,
        backslashEscapes: Bool = false
    ) -> StatementSketch? {
        guard start >= 0, start < sql.byteCount else { return nil }
        guard start == 0, !backslashEscapes, let key = skeleton.key(sql) else {
            return exactSketch(sql, from: start, backslashEscapes: backslashEscapes)
        }
        if var known = memo.find(key) {
            known.range = skeleton.start..<skeleton.end
            return known
        }
        let sketch = exactSketch(sql, from: 0)
        if let sketch { memo.store(sketch, for: key) }
        return sketch
    }

    /// ``sketch(_:from:backslashEscapes:)`` by the full rules every time; the same result.
    public mutating func exactSketch(
        _ sql: RawSpan,
        from start: Int,
        backslashEscapes: Bool = false
    ) -> StatementSketch? {
        guard start >= 0, start < sql.byteCount else { return nil }
        return read(sql, start..<sql.byteCount, backslashEscapes, headLimit: 0)
    }

    /// The pattern text of a statement that was sketched, such as `select a from t where b = ?`.
    public mutating func patternText(
        _ sql: RawSpan,
        _ range: Range<Int>,
        backslashEscapes: Bool = false
    ) -> [UInt8] {
        let clamped = range.clamped(to: 0..<sql.byteCount)
        guard read(sql, clamped, backslashEscapes, headLimit: Self.longestText) != nil else { return [] }
        var text = writer.buffer.text(limit: Self.longestText)
        if writer.buffer.position > Self.longestText {
            text.removeLast(min(3, text.count))
            text += Array("…".utf8)
        }
        return text
    }

    /// Reads one statement of `range`: its tokens go to the writer and to the classifier.
    private mutating func read(
        _ sql: RawSpan,
        _ range: Range<Int>,
        _ backslashEscapes: Bool,
        headLimit: Int
    ) -> StatementSketch? {
        var lexer = Lexer(range, backslashEscapes: backslashEscapes)
        var token = lexer.next(sql, keywords)
        while token.kind == .semicolon { token = lexer.next(sql, keywords) }
        guard token.kind != .end else { return nil }
        writer.clear(headLimit: headLimit)
        var classifier = Classifier()
        let first = token.start
        var end = range.upperBound
        while token.kind != .end {
            if token.kind == .semicolon, writer.depth == 0, !classifier.isInBody {
                end = token.start
                break
            }
            classifier.take(token, sql, depth: writer.depth)
            let isTight = token.kind == .number && writer.holdsSigns && lexer.isBeforeTightOperator(sql)
            writer.write(token, sql, isTight: isTight)
            token = lexer.next(sql, keywords)
        }
        writer.releaseSigns()
        var sketch = classifier.sketch
        sketch.fingerprint = writer.buffer.fingerprint
        sketch.range = first..<max(first, end)
        return sketch
    }
}
