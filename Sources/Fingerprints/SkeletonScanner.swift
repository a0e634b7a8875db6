// SPDX-License-Identifier: Apache-2.0
import Domain

/// Reduces a statement to its skeleton, which is far cheaper than the exact rules: 64 bytes at a time.
///
/// The skeleton is the text as it is, but numbers as `0`, strings as `'`, parameters as `$`, dollar-quoted strings as
/// `;$`, comments as `/*` or `--`, and lists shortened; a statement that a semicolon ends has one at its end. So texts
/// of one skeleton have one sequence of tokens but for the contents of literals and the lengths of lists that the exact
/// rules shorten too, and what those rules found once holds for all of them. Texts that the scanner does not understand
/// (a quote inside a quoted identifier, nothing that ends a string) have no skeleton.
struct SkeletonScanner: ~Copyable {
    /// The skeleton of the latest statement.
    private(set) var skeleton = SkeletonScratch()
    /// Where the latest statement ends: at its first semicolon or at the end of the text.
    private(set) var end = 0
    /// Up to here the skeleton is the text itself, byte for byte.
    private(set) var verbatimEnd = 0

    private var lists = SkeletonLists()
    /// The first byte that earlier blocks have not dealt with; word characters before it are not part of its token.
    private var restart = 0
    /// States at the beginning of the next block; quotes are all ones inside, words and closing quotes bit 0 only.
    private var inWord: UInt64 = 0
    private var inNumber: UInt64 = 0
    private var inString: UInt64 = 0
    private var inQuoted: UInt64 = 0
    private var closedString: UInt64 = 0
    private var followsDot = false
    private let isWide: Bool

    /// A scanner; `isWide` is a matter of speed alone.
    init(isWide: Bool = ByteBlock.canUseWide()) { self.isWide = isWide }

    /// Builds the skeleton of the statement whose first token stands at `start`; `false` if it has none.
    mutating func scan(_ sql: RawSpan, from start: Int) -> Bool {
        guard sql.byteCount < Int(Int32.max) else { return false }
        skeleton.clear()
        lists = SkeletonLists()
        verbatimEnd = Int.max
        var offset = start
        reset(at: start)
        while offset < sql.byteCount {
            guard skeleton.hasRoom else { return false }
            switch scanBlock(sql, at: offset) {
            case .next: offset &+= 64
            case .stop(let at):
                if sql.byte(at: at) == UInt8(ascii: ";") {
                    noteChange(at)
                    end = at
                    skeleton.append(UInt8(ascii: ";"))
                    return true
                }
                guard let resumption = take(sql, at) else { return false }
                offset = resumption
                reset(at: resumption)
            case .failed: return false
            }
        }
        end = sql.byteCount
        return inString | inQuoted == 0
    }

    private enum Outcome {
        /// All of the block is dealt with.
        case next
        /// All before this offset is; what stands there needs the lexer.
        case stop(Int)
        case failed
    }

    private mutating func reset(at offset: Int) {
        restart = offset
        (inWord, inNumber, inString, inQuoted, closedString) = (0, 0, 0, 0, 0)
        followsDot = false
    }

    /// Deals with the 64 bytes at `offset`, which is inside the text.
    @inline(__always)
    private mutating func scanBlock(_ sql: RawSpan, at offset: Int) -> Outcome {
        unsafe sql.withUnsafeBytes { buffer in
            let left = buffer.count &- offset
            guard let base = buffer.baseAddress, left > 0, offset >= 0 else { return .failed }
            // In range: either `reach` bytes are left in the text, or a padded copy of the rest is read.
            let address = unsafe left >= ByteBlock.reach ? base + offset : skeleton.tail(base + offset, left)
            return unsafe scanBlock(address, at: offset, left: left)
        }
    }

    @inline(__always)
    private mutating func scanBlock(_ address: UnsafeRawPointer, at offset: Int, left: Int) -> Outcome {
        let block = unsafe ByteBlock(address, inString: inString, isWide: isWide)
        // Behind the text stand zeros, which are of no class.
        var valid: UInt64 = left < 64 ? (1 &<< UInt64(truncatingIfNeeded: left)) &- 1 : .max
        let quotes = block.quote
        let inside = block.inside
        let doubleQuotes = block.doubleQuote
        let insideQuoted = block.insideDouble ^ inQuoted
        let opening = quotes & inside
        let closing = quotes & ~inside
        // Outside strings and quoted identifiers.
        let plain = valid & ~(inside | quotes) & ~(insideQuoted | doubleQuotes)
        let word = block.word & plain
        let afterWord = word &<< 1 | inWord
        var starts = block.digit & word & ~afterWord
        var stops: UInt64 = 0
        if block.rare & plain != 0 {
            let rare = unsafe Self.sortRare(address, block.rare & plain, followsDot: followsDot)
            let beforeDigit = unsafe block.digit &>> 1 | Self.firstDigit(address + 64)
            starts |= rare.dollars & ~afterWord & beforeDigit
            // Numbers are runs of word characters; a signed exponent in one needs a closer look, and so does a dollar sign
            // in any.
            stops = rare.stops | rare.dollars & ~starts
            stops |= rare.exponents & Self.flood(word, starts | inNumber & word)
            stops |= rare.dottedExponents
        }
        let number = Self.flood(word, starts | inNumber & word)
        // A quote right behind one that closed a string goes on with it.
        let strings = opening & ~(closing &<< 1 | closedString)
        stops |= strings & afterWord
        let misplaced = quotes & insideQuoted
        if stops | misplaced != 0 {
            let stop = stops.trailingZeroBitCount
            guard stop < misplaced.trailingZeroBitCount else { return .failed }
            valid &= (1 &<< UInt64(truncatingIfNeeded: stop)) &- 1
            unsafe copy(
                address,
                offset,
                kept: valid & ~(number | inside | quotes),
                literals: valid & (starts | strings),
                valid
            )
            return .stop(offset &+ stop)
        }
        unsafe copy(address, offset, kept: valid & ~(number | inside | quotes), literals: starts | strings, valid)
        inWord = word &>> 63
        inNumber = number &>> 63
        inString = 0 &- (inside &>> 63)
        inQuoted = 0 &- (insideQuoted &>> 63)
        closedString = closing &>> 63
        followsDot = unsafe address.load(fromByteOffset: 63, as: UInt8.self) == UInt8(ascii: ".")
        return .next
    }

    /// Appends the kept bytes of a block and a mark for each literal that begins in it.
    @inline(__always)
    private mutating func copy(
        _ address: UnsafeRawPointer,
        _ offset: Int,
        kept: UInt64,
        literals: UInt64,
        _ valid: UInt64
    ) {
        var kept = kept
        var literals = literals
        if literals != 0, offset < verbatimEnd { noteChange(offset &+ literals.trailingZeroBitCount) }
        while literals != 0 {
            let at = literals.trailingZeroBitCount
            let from = kept.trailingZeroBitCount
            // Kept bytes before a literal are one run: only literals interrupt them.
            if from < at {
                unsafe skeleton.append(address + from, at &- from)
                kept &= UInt64.max &<< UInt64(truncatingIfNeeded: at)
            }
            literals &= literals &- 1
            let byte = unsafe address.load(fromByteOffset: at, as: UInt8.self)
            lists.willAppendLiteral(&skeleton)
            skeleton.appendLiteral(byte >= 0x30 ? 0x30 : byte, at: offset &+ at)
            lists.didAppendLiteral(skeleton)
        }
        guard kept != 0 else { return }
        let from = kept.trailingZeroBitCount
        unsafe skeleton.append(address + from, 64 &- kept.leadingZeroBitCount &- from)
    }

    /// Notes that the skeleton is not the text itself from `offset` on.
    private mutating func noteChange(_ offset: Int) { verbatimEnd = min(verbatimEnd, offset) }

    /// Deals with what stands at `offset` by means of the lexer; returns where to go on, `nil` if the text has no
    /// skeleton.
    @inline(never)
    private mutating func take(_ sql: RawSpan, _ offset: Int) -> Int? {
        var lexer = Lexer(offset..<sql.byteCount, backslashEscapes: false)
        if sql.byte(at: offset) == UInt8(ascii: "$") {
            switch place(sql, ofDollarAt: offset) {
            case .identifier: return takeIdentifier(sql, offset)
            case .doubtful: return nil
            case .token: break
            }
        }
        noteChange(offset)
        switch sql.byte(at: offset) {
        case UInt8(ascii: "-"):
            lists.interrupt()
            lexer.skipLine(sql)
            skeleton.append(UInt8(ascii: "-"))
            skeleton.append(UInt8(ascii: "-"))
            return lexer.offset
        case UInt8(ascii: "/"):
            lists.interrupt()
            guard lexer.skipComment(sql) else { return nil }
            skeleton.append(UInt8(ascii: "/"))
            skeleton.append(UInt8(ascii: "*"))
            return lexer.offset
        case UInt8(ascii: "'"):
            let isPrefixed =
                offset > restart && sql.byte(at: offset &- 1) | 0x20 == UInt8(ascii: "e")
                && (offset &- 1 == restart || !ByteClass.isWord(sql.byte(at: offset &- 2)))
            // In `2.E'…'` the letter is the number's: the exact rules must say where the string ends.
            if isPrefixed, offset &- 1 > restart, sql.byte(at: offset &- 2) == UInt8(ascii: ".") { return nil }
            return takeLiteral(lexer.scanString(sql, from: offset, escapes: isPrefixed), UInt8(ascii: "'"))
        case UInt8(ascii: "$"):
            let token = lexer.scanDollar(sql)
            if token.kind == .string { skeleton.append(UInt8(ascii: ";")) }
            return token.kind == .stray ? nil : takeLiteral(token, UInt8(ascii: "$"))
        default:
            // A signed exponent: the number began at the latest literal, which is in the skeleton already.
            guard skeleton.literals > 0, sql.byte(at: offset &- 1) != UInt8(ascii: ".") else { return nil }
            let run = skeleton.literal(skeleton.literals &- 1)..<(offset &+ 1)
            guard let digits = Lexer.signedExponent(sql, run, end: sql.byteCount) else { return offset &+ 1 }
            lexer.offset = digits
            lexer.skipNumberWord(sql)
            return lexer.offset
        }
    }

    private enum DollarPlace {
        /// It is part of the identifier that it stands in.
        case identifier
        /// A token begins with it, as letters behind a number go up to a dollar sign only.
        case token
        /// The exact rules must say.
        case doubtful
    }

    /// Longer words are left to the exact rules; PostgreSQL cuts names at 63 bytes.
    private static var longestWord: Int { 64 }

    /// What a dollar sign is that may stand behind word characters.
    ///
    /// In `5.x$` the letter is the number's, and the dollar sign may open a string: so a word behind a dot counts as an
    /// identifier only where the word before the dot is surely one.
    private func place(_ sql: RawSpan, ofDollarAt offset: Int) -> DollarPlace {
        guard let word = wordStart(sql, before: offset) else { return .doubtful }
        guard word < offset, ByteClass.isWordStart(sql.byte(at: word)) else { return .token }
        guard word > restart, sql.byte(at: word &- 1) == UInt8(ascii: ".") else { return .identifier }
        let dot = word &- 1
        guard dot > restart, let qualifier = wordStart(sql, before: dot) else { return .doubtful }
        return qualifier == dot || ByteClass.isWordStart(sql.byte(at: qualifier)) ? .identifier : .doubtful
    }

    /// Where the word characters before `end` begin, as far as they were not dealt with; `nil` if that is far away.
    private func wordStart(_ sql: RawSpan, before end: Int) -> Int? {
        var start = end
        while start > restart, ByteClass.isWord(sql.byte(at: start &- 1)) {
            start &-= 1
            if end &- start > Self.longestWord { return nil }
        }
        return start
    }

    /// Appends the rest of an identifier, from the dollar sign at `offset` on.
    private mutating func takeIdentifier(_ sql: RawSpan, _ offset: Int) -> Int? {
        var end = offset
        while end < sql.byteCount, ByteClass.isWord(sql.byte(at: end)) {
            guard end &- offset < Self.longestWord else { return nil }
            skeleton.append(sql.byte(at: end))
            end &+= 1
        }
        return end
    }

    private mutating func takeLiteral(_ token: Token, _ mark: UInt8) -> Int? {
        guard token.kind != .unterminated else { return nil }
        lists.interrupt()
        skeleton.appendLiteral(mark, at: token.start)
        return token.end
    }
}
