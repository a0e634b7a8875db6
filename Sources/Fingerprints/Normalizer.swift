// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Tells statements apart by pattern: lexes a text once, forward, and sketches its statements one by one.
///
/// The lexical rules are PostgreSQL's (documentation, 4.1 "Lexical Structure"; `scan.l`). Literals and parameters
/// become `?`, words are folded, lists of literals shortened; whatever the bytes are, nothing traps, and no literal
/// reaches a pattern's text. One for each worker: it owns fixed scratch memory and allocates nothing per statement.
///
/// The exact rules are applied token by token, but only once for each *skeleton* (see ``SkeletonScanner``) that keeps
/// coming back: what they told is remembered.
public struct Normalizer: ~Copyable {
    /// The longest pattern text, in bytes; longer ones end in `…`.
    public static let longestText = 16 * 1024

    private let keywords = KeywordTable()
    private let hash: KeyedHash
    private var writer: PatternWriter
    private var scanner = SkeletonScanner()
    private var memo = SketchMemo()
    private var texts = TextMemo()
    /// Where literals stand that may be ordinals, of the statement read last; their number may be larger.
    private var ordinalOffsets = [Int](repeating: 0, count: 64)
    private var ordinalCount = 0

    /// A normalizer whose fingerprints are keyed by `hash`.
    public init(hash: KeyedHash) {
        self.hash = hash
        writer = PatternWriter(hash: hash, keywords: keywords)
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
        guard start == 0, !backslashEscapes, texts.isWorthwhile else {
            // Mostly a text is one statement, and a semicolon is what is left of it.
            if start > 0, Lexer.isBlank(sql, from: start) { return nil }
            return sketchNew(sql, from: start, backslashEscapes: backslashEscapes)
        }
        // The very same text again, as drivers send what they prepare: no need to look inside.
        let key = hash.hash(sql)
        if let known = texts.find(key) { return known }
        guard let sketch = sketchNew(sql, from: 0, backslashEscapes: false) else { return nil }
        texts.insert(key, sketch)
        return sketch
    }

    private mutating func sketchNew(_ sql: RawSpan, from start: Int, backslashEscapes: Bool) -> StatementSketch? {
        var lexer = Lexer(start..<sql.byteCount, backslashEscapes: backslashEscapes)
        guard !backslashEscapes, lexer.skipToStatement(sql), scanner.scan(sql, from: lexer.offset) else {
            return read(sql, start..<sql.byteCount, backslashEscapes, headLimit: 0)?.sketch
        }
        let first = lexer.offset
        let key = scanner.skeleton.fingerprint(hash)
        let known = memo.find(key)
        if let known {
            if known.ordinals == 0 { return recall(known, sql, first) }
            let whole = scanner.skeleton.fingerprint(key, known.ordinals, in: sql, hash)
            if let entry = memo.find(whole) { return recall(entry, sql, first) }
        }
        guard let findings = read(sql, first..<sql.byteCount, backslashEscapes, headLimit: 0) else { return nil }
        if let entry = entry(of: findings) {
            if known == nil { memo.insert(key, entry) }
            if entry.ordinals != 0 {
                memo.insert(scanner.skeleton.fingerprint(key, entry.ordinals, in: sql, hash), entry)
            }
        }
        return findings.sketch
    }

    /// ``sketch(_:from:backslashEscapes:)`` by the exact rules every time; the same result.
    public mutating func exactSketch(
        _ sql: RawSpan,
        from start: Int,
        backslashEscapes: Bool = false
    ) -> StatementSketch? {
        guard start >= 0, start < sql.byteCount else { return nil }
        return read(sql, start..<sql.byteCount, backslashEscapes, headLimit: 0)?.sketch
    }

    /// The pattern text of a statement that was sketched, such as `select a from t where b = ?`.
    public mutating func patternText(_ sql: RawSpan, _ sketch: StatementSketch) -> [UInt8] {
        let clamped = sketch.range.clamped(to: 0..<sql.byteCount)
        guard read(sql, clamped, sketch.backslashEscapes, headLimit: Self.longestText) != nil else { return [] }
        var text = writer.buffer.text(limit: Self.longestText)
        guard writer.buffer.position > Self.longestText else { return text }
        text.removeLast(min(3, text.count))
        // Not in the middle of a character.
        while let last = text.last, last & 0xC0 == 0x80 { text.removeLast() }
        if let last = text.last, last >= 0xC0 { text.removeLast() }
        text += Array("…".utf8)
        return text
    }

    /// What the exact rules tell of a statement.
    private struct Findings {
        var sketch = StatementSketch()
        /// Where the literals of LIMIT and OFFSET stand, or -1.
        var limitLiteral = -1
        var offsetLiteral = -1
    }

    /// Applies the exact rules to the first statement of `range`: its tokens go to the writer and to the classifiers.
    private mutating func read(
        _ sql: RawSpan,
        _ range: Range<Int>,
        _ backslashEscapes: Bool,
        headLimit: Int
    ) -> Findings? {
        var lexer = Lexer(range, backslashEscapes: backslashEscapes)
        var token = lexer.next(sql, keywords)
        while token.kind == .semicolon { token = lexer.next(sql, keywords) }
        guard token.kind != .end else { return nil }
        writer.clear(headLimit: headLimit)
        ordinalCount = 0
        var classifier = StatementClassifier()
        var limits = RowLimits()
        let first = token.start
        while token.kind != .end {
            let depth = writer.depth
            if token.kind == .semicolon, depth == 0, !classifier.isInBody { break }
            classifier.accept(token, depth: depth)
            limits.accept(token, depth: depth, sql)
            let isTight = token.kind == .number && writer.holdsSigns && lexer.isBeforeTightOperator(sql)
            let ordinal = token.kind == .number && writer.expectsOrdinal ? ordinal(token, lexer, sql) : 0
            if ordinal > 0 { writer.writeOrdinal(ordinal) } else { writer.write(token, sql, isTight: isTight) }
            if token.kind == .number, writer.dropsNextLiteral { lexer.skipRepeatedNumbers(sql) }
            token = lexer.next(sql, keywords)
        }
        writer.finish(sql)
        var findings = Findings()
        findings.sketch.backslashEscapes = backslashEscapes
        findings.sketch.fingerprint = writer.buffer.fingerprint
        findings.sketch.kind = classifier.kind
        findings.sketch.limit = limits.limit
        findings.sketch.offset = limits.offset
        findings.sketch.range = first..<max(first, token.start)
        findings.sketch.name = classifier.name
        findings.sketch.body = classifier.body
        findings.limitLiteral = limits.limitLiteral
        findings.offsetLiteral = limits.offsetLiteral
        return findings
    }

    /// The value of a number that begins an element of ORDER BY or the like; 0 if it is no ordinal.
    @inline(never)
    private mutating func ordinal(_ token: Token, _ lexer: Lexer, _ sql: RawSpan) -> Int {
        let (parentheses, isList) = (Int(writer.frame.sortParentheses), writer.frame.sort == .group)
        guard parentheses < UInt8.max,
            lexer.endsSortElement(sql, keywords, parentheses: parentheses, isList: isList)
        else { return 0 }
        // Noted whatever its value is: of another text with the same skeleton it may be another.
        if ordinalCount < ordinalOffsets.count { ordinalOffsets[ordinalCount] = token.start }
        ordinalCount &+= 1
        return Ordinal.value(at: token.start, in: sql)
    }

    /// Which literals of the skeleton may be ordinals; `nil` if the skeleton does not tell.
    private mutating func ordinalMask() -> UInt64? {
        guard ordinalCount <= ordinalOffsets.count else { return nil }
        var mask: UInt64 = 0
        for index in 0..<ordinalCount {
            guard let literal = scanner.skeleton.number(ofLiteralAt: ordinalOffsets[index]), literal < 64 else {
                return nil
            }
            mask |= 1 &<< UInt64(truncatingIfNeeded: literal)
        }
        return mask
    }

    /// The sketch of a statement that begins at `first` and whose skeleton was seen before.
    private mutating func recall(_ entry: SketchMemo.Entry, _ sql: RawSpan, _ first: Int) -> StatementSketch {
        var sketch = StatementSketch()
        sketch.fingerprint = entry.fingerprint
        sketch.kind = entry.kind
        sketch.limit = decade(entry.limitLiteral, sql) ?? entry.limit
        sketch.offset = decade(entry.offsetLiteral, sql) ?? entry.offset
        sketch.range = first..<scanner.end
        if entry.nameLength > 0 {
            let start = first &+ Int(entry.nameStart)
            sketch.name = start..<(start &+ Int(entry.nameLength))
        }
        if entry.body > 0 { sketch.body = first &+ Int(entry.body) }
        return sketch
    }

    private mutating func decade(_ literal: Int32, _ sql: RawSpan) -> Decade? {
        literal < 0 ? nil : Decade(literalAt: scanner.skeleton.literal(Int(literal)), in: sql)
    }

    /// What to remember of a statement whose skeleton was just built; `nil` if the skeleton does not tell all.
    private mutating func entry(of findings: Findings) -> SketchMemo.Entry? {
        let sketch = findings.sketch
        let first = sketch.range.lowerBound
        guard sketch.range.upperBound == scanner.end, max(sketch.name.upperBound, sketch.body) <= scanner.verbatimEnd,
            let limit = number(findings.limitLiteral), let offset = number(findings.offsetLiteral),
            let ordinals = ordinalMask()
        else { return nil }
        var entry = SketchMemo.Entry()
        entry.fingerprint = sketch.fingerprint
        entry.kind = sketch.kind
        entry.limit = sketch.limit
        entry.offset = sketch.offset
        entry.limitLiteral = limit
        entry.offsetLiteral = offset
        entry.ordinals = ordinals
        if !sketch.name.isEmpty {
            entry.nameStart = Int32(truncatingIfNeeded: sketch.name.lowerBound &- first)
            entry.nameLength = Int32(truncatingIfNeeded: sketch.name.count)
        }
        if sketch.body > 0 { entry.body = Int32(truncatingIfNeeded: sketch.body &- first) }
        return entry
    }

    /// The number of the literal at `offset` in the skeleton; -1 for none, `nil` if it is not there.
    private mutating func number(_ offset: Int) -> Int32? {
        offset < 0 ? -1 : scanner.skeleton.number(ofLiteralAt: offset).map { Int32(truncatingIfNeeded: $0) }
    }
}
