// SPDX-License-Identifier: Apache-2.0
import Domain

/// Follows a session's client_encoding, and reads its texts by characters where bytes do not do.
///
/// The server reports it (ParameterStatus), which is what counts. What it says comes behind statements that the client
/// sent without waiting; for these it is followed from SET, RESET and DISCARD ALL, as far as the next moment at which
/// all is answered.
extension Sessions {
    /// What a statement changes of what later ones mean.
    @inline(__always)
    mutating func follow(
        _ session: Slot<Session>,
        _ text: RawSpan,
        _ sketch: StatementSketch,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        switch sketch.kind {
        case .set:
            followSet(session, text, sketch.range, &sink)
            followEncoding(session, text, sketch)
        case .discardAll, .rollback, .commit, .savepoint: followEncoding(session, text, sketch)
        default: break
        }
    }

    /// SET, RESET and DISCARD ALL hold from the next message on: the server converts a message as a whole.
    private mutating func followEncoding(
        _ session: Slot<Session>,
        _ text: RawSpan,
        _ sketch: StatementSketch
    ) {
        var words = WordReader(offset: sketch.range.lowerBound, end: min(sketch.range.upperBound, text.byteCount))
        switch sketch.kind {
        case .set: break
        case .discardAll: return expectEncoding(session, session.value.encodingOfLogin)
        case .rollback, .commit, .savepoint:
            // What holds behind it depends on where the transaction began, and on what was LOCAL.
            if session.value.flags.contains(.expectsEncoding) { expectEncoding(session, .unknown) }
            return
        default: return
        }
        if words.take("reset", text) {
            if words.take("all", text) || Self.takeName(&words, text) {
                expectEncoding(session, session.value.encodingOfLogin)
            }
            return
        }
        guard words.take("set", text) else { return }
        if !words.take("local", text) { _ = words.take("session", text) }
        if words.take("names", text) {
            words.skipBlanks(text)
            // SET NAMES without a name is SET NAMES DEFAULT.
            if words.offset >= words.end { return expectEncoding(session, session.value.encodingOfLogin) }
        } else {
            guard Self.takeName(&words, text), words.take("to", text) || words.take("=", text) else { return }
        }
        if words.take("default", text) { return expectEncoding(session, session.value.encodingOfLogin) }
        expectEncoding(session, Self.encoding(&words, text))
    }

    private static func takeName(_ words: inout WordReader, _ text: RawSpan) -> Bool {
        words.take("client_encoding", text) || words.take("\"client_encoding\"", text)
    }

    /// The encoding that a word or a string names; `unknown` for what is written in another way.
    private static func encoding(_ words: inout WordReader, _ text: RawSpan) -> TextEncoding {
        words.skipBlanks(text)
        guard words.offset < words.end else { return .unknown }
        let quote = text.byte(at: words.offset)
        var start = words.offset
        var end = start
        if quote == 0x27 || quote == 0x22 {
            start += 1
            guard let closing = text.firstOffset(of: quote, from: start), closing < words.end else { return .unknown }
            end = closing
            words.offset = closing + 1
        } else {
            while end < words.end, WordReader.isWord(text.byte(at: end)) { end += 1 }
            words.offset = end
        }
        words.skipBlanks(text)
        guard words.offset >= words.end else { return .unknown }
        return TextEncoding(name: text.extracting(start..<end))
    }

    private mutating func expectEncoding(_ session: Slot<Session>, _ encoding: TextEncoding) {
        session.value.encoding = encoding
        session.value.flags.insert(.expectsEncoding)
    }

    /// The server says what it is.
    mutating func reportedEncoding(_ session: Slot<Session>, _ name: RawSpan) {
        let encoding = TextEncoding(name: name)
        session.value.encodingReported = encoding
        if session.value.phase != .ready { session.value.encodingOfLogin = encoding }
        // Behind what it speaks of, the client may have set another.
        if !session.value.flags.contains(.expectsEncoding) { session.value.encoding = encoding }
    }

    /// All is answered: what the server reported last is what holds.
    @inline(__always)
    mutating func settleEncoding(_ session: Slot<Session>) {
        guard session.value.flags.contains(.expectsEncoding) else { return }
        session.value.flags.remove(.expectsEncoding)
        if session.value.encodingReported != .unknown {
            session.value.encoding = session.value.encodingReported
        } else if !session.value.flags.isDisjoint(with: [.erred, .rolledBack]) {
            session.value.encoding = .unknown
        }
    }

    /// What a start-up message asks for holds until the server reports what it gave; where it asks for nothing, that
    /// is not known.
    mutating func startEncoding(_ session: Slot<Session>, _ parameters: RawSpan) {
        var encoding = TextEncoding.unknown
        if let value = StartupParameters.find("client_encoding", in: parameters, from: 4) {
            encoding = TextEncoding(name: parameters.extracting(value))
        } else if let options = StartupParameters.find("options", in: parameters, from: 4) {
            let text = parameters.extracting(options)
            if let start = Self.optionValue("client_encoding=", in: text)
                ?? Self.optionValue("client-encoding=", in: text)
            {
                let end = text.firstOffset(of: 0x20, from: start) ?? text.byteCount
                encoding = TextEncoding(name: text.extracting(start..<end))
            }
        }
        session.value.encoding = encoding
        session.value.encodingOfLogin = encoding
    }

    // MARK: Reading

    /// A text of which each character beyond ASCII is one of several bytes above 127, as the lexer wants it.
    struct ReadableText {
        var block = Block.none
        var count = 0
        /// There was no room for it.
        var isMissing = false
    }

    /// The text as the lexer can read it; `nil`: as it is.
    ///
    /// Two bytes of a character become a code point of a private use area, U+F0000 and their number, one byte becomes
    /// U+E000 and its number: so names stay different that are, and patterns stay printable. Where a byte begins no
    /// character the server refuses the text: nothing behind it is read. The same is done where it is not known how a
    /// backslash, or a byte that would end a dollar quote's tag, is meant: rather a pattern too short than a literal in it.
    @inline(never)
    mutating func readable(_ session: Slot<Session>, _ text: RawSpan) -> ReadableText? {
        guard let first = text.firstHighByte() else { return nil }
        let encoding = session.value.encoding
        guard encoding != .unknown else { return cutWhereDoubtful(text, from: first) }
        var high = 0
        for offset in first..<text.byteCount where text.byte(at: offset) >= 0x80 { high &+= 1 }
        // A byte above 127 becomes three, or four together with the one behind it.
        guard let block = pool.take(text.byteCount &+ 2 &* high &+ 1) else { return missing() }
        var result = ReadableText(block: block)
        result.append(text.extracting(0..<first))
        var offset = first
        while offset < text.byteCount {
            let byte = text.byte(at: offset)
            if byte < 0x80 {
                result.append(byte)
                offset &+= 1
                continue
            }
            let end = offset &+ encoding.length(text, at: offset)
            guard end > offset else {
                result.append(0x27)
                break
            }
            while offset < end {
                let byte = UInt32(text.byte(at: offset))
                if offset &+ 1 < end {
                    result.append(codePoint: 0xF0000 &+ (byte &<< 8 | UInt32(text.byte(at: offset &+ 1))))
                } else {
                    result.append(codePoint: 0xE000 &+ byte)
                }
                offset &+= 2
            }
            offset = end
        }
        return result
    }

    /// Up to where the encoding would have to be known; `nil`: nowhere, as the text is UTF-8, or all readings are one.
    private mutating func cutWhereDoubtful(_ text: RawSpan, from first: Int) -> ReadableText? {
        var offset = first
        while offset < text.byteCount {
            let length = text.byte(at: offset) < 0x80 ? 1 : text.lengthOfUTF8(at: offset)
            guard length > 0 else { break }
            offset &+= length
        }
        guard offset < text.byteCount, let doubt = Self.firstDoubt(text) else { return nil }
        guard let block = pool.take(doubt &+ 1) else { return missing() }
        var result = ReadableText(block: block)
        result.append(text.extracting(0..<doubt))
        result.append(0x27)
        return result
    }

    /// The first byte above 127 with a backslash behind it, or, in what may be the tag of a dollar quote, with another
    /// byte that may be a character's second and is no word character.
    private static func firstDoubt(_ text: RawSpan) -> Int? {
        var isTag = false
        for offset in 0..<text.byteCount {
            let byte = text.byte(at: offset)
            isTag = byte == 0x24 || isTag && WordReader.isWord(byte)
            guard byte >= 0x80, offset &+ 1 < text.byteCount else { continue }
            let after = text.byte(at: offset &+ 1)
            if after == 0x5C || isTag && after >= 0x40 && after < 0x7F && !WordReader.isWord(after) { return offset }
        }
        return nil
    }

    private mutating func missing() -> ReadableText {
        counters.note(.textCut)
        return ReadableText(isMissing: true)
    }
}

extension Sessions.ReadableText {
    fileprivate mutating func append(_ bytes: RawSpan) { count &+= block.store(bytes, at: count) }

    fileprivate mutating func append(_ byte: UInt8) { count &+= block.store(byte, at: count) }

    /// Appends a code point above U+07FF in UTF-8.
    fileprivate mutating func append(codePoint: UInt32) {
        if codePoint > 0xFFFF {
            append(0xF0 | UInt8(truncatingIfNeeded: codePoint &>> 18))
            append(0x80 | UInt8(truncatingIfNeeded: codePoint &>> 12 & 0x3F))
        } else {
            append(0xE0 | UInt8(truncatingIfNeeded: codePoint &>> 12))
        }
        append(0x80 | UInt8(truncatingIfNeeded: codePoint &>> 6 & 0x3F))
        append(0x80 | UInt8(truncatingIfNeeded: codePoint & 0x3F))
    }
}
