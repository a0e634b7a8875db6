// SPDX-License-Identifier: Apache-2.0
import Domain

/// Follows a session's search_path, which decides what names in a statement mean (PostgreSQL documentation, 5.9.3).
///
/// From version 18 on the server reports it. Before, it is followed from the start-up message, SET, RESET and DISCARD
/// ALL; what functions do to it, such as `set_config`, is not seen.
extension Sessions {
    /// What SET and RESET do: they hold from their answer on, until the transaction is rolled back.
    mutating func pathEffect(
        _ session: Slot<Session>,
        _ text: RawSpan,
        _ range: Range<Int>,
        _ sink: inout some SessionSink & ~Copyable
    ) -> Effect {
        var effect = Effect()
        var words = WordReader(offset: range.lowerBound, end: min(range.upperBound, text.byteCount))
        let isReset = words.take("reset", text)
        guard isReset || words.take("set", text) else { return effect }
        var isLocal = false
        if !isReset {
            isLocal = words.take("local", text)
            if !isLocal { _ = words.take("session", text) }
        }
        effect.path = session.value.pathOfLogin
        if isReset, words.take("all", text) {
            effect.flags = .setsPath
            return effect
        }
        let isSchema = !isReset && words.take("schema", text)
        guard isSchema || words.take("search_path", text) else { return effect }
        if !isReset {
            if !isSchema, !words.take("to", text), !words.take("=", text) { return effect }
            if !words.take("default", text) {
                var list = SchemaList()
                guard list.read(&words, text) else { return effect }
                let payer = session.value.principal
                effect.path = list.withBytes { sink.searchPath($0, for: payer) }
            }
        }
        effect.flags = isLocal ? [.setsPath, .isLocal] : .setsPath
        return effect
    }

    /// SET or RESET was answered.
    mutating func provePath(_ session: Slot<Session>, _ effect: Effect) {
        session.value.provenPath = effect.path
        if effect.flags.contains(.isLocal) {
            session.value.flags.insert(.localPath)
        } else {
            session.value.flags.remove(.localPath)
        }
    }

    /// DISCARD ALL: as after the login.
    mutating func resetPath(_ session: Slot<Session>) {
        let path = session.value.pathOfLogin
        (session.value.provenPath, session.value.pathOutside) = (path, path)
    }

    /// ReadyForQuery: where no transaction is open any more, what was set in it stays, or is undone with it.
    @inline(__always)
    mutating func endPath(_ session: Slot<Session>, _ status: UInt8) {
        if session.value.provenPath != session.value.pathOutside, status == 0x49 {
            if !session.value.flags.isDisjoint(with: [.rolledBack, .erred, .localPath]) {
                session.value.provenPath = session.value.pathOutside
            }
            session.value.pathOutside = session.value.provenPath
            session.value.flags.remove(.localPath)
        }
        if session.value.path != session.value.provenPath { predictPath(session) }
    }

    /// The path of what is sent next: the proven one, and what is under way to change it.
    @inline(never)
    private mutating func predictPath(_ session: Slot<Session>) {
        var path = session.value.provenPath
        var next = session.value.firstRequest
        var left = 256
        while left > 0, let request = linked(next) {
            let statement = request.value.statement
            if statement.effect.flags.contains(.setsPath) || statement.kind == .discardAll,
                !request.value.flags.contains(.done)
            {
                path = statement.effect.path
            }
            next = request.value.next
            left &-= 1
        }
        session.value.path = path
    }

    /// The pattern under the path that holds when the server reads the text, if that is another one than was thought.
    @inline(__always)
    mutating func settlePath(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        if request.value.path != session.value.provenPath { correctPath(session, request, &sink) }
    }

    @inline(never)
    private mutating func correctPath(
        _ session: Slot<Session>,
        _ request: Slot<Request>,
        _ sink: inout some SessionSink & ~Copyable
    ) {
        guard request.value.statement.pattern > 0 else { return }
        var statement = request.value.statement
        let (payer, path) = (session.value.principal, session.value.provenPath)
        statement.pattern = sink.pattern(statement.pattern, for: payer, under: path)
        request.value.path = path
        set(session, request, statement, &sink)
    }

    /// The server says what it is: nothing can be more right.
    mutating func reportedPath(_ session: Slot<Session>, _ value: RawSpan, _ sink: inout some SessionSink & ~Copyable) {
        let path = sink.searchPath(value, for: session.value.principal)
        session.value.provenPath = path
        predictPath(session)
        guard session.value.phase != .ready else { return }
        (session.value.pathOfLogin, session.value.pathOutside) = (path, path)
    }

    /// The path that a start-up message asks for, by itself or among the options.
    mutating func pathOfLogin(
        _ parameters: RawSpan,
        _ payer: PrincipalHandle,
        _ sink: inout some SessionSink & ~Copyable
    ) -> UInt16 {
        if let value = StartupParameters.find("search_path", in: parameters, from: 4) {
            return sink.searchPath(parameters.extracting(value), for: payer)
        }
        guard let options = StartupParameters.find("options", in: parameters, from: 4) else { return 0 }
        let text = parameters.extracting(options)
        guard let start = Self.optionValue("search_path=", in: text) else { return 0 }
        // Blanks end a value unless a backslash stands before them.
        var list = SchemaList()
        var offset = start
        while offset < text.byteCount, text.byte(at: offset) != 0x20 {
            if text.byte(at: offset) == 0x5C { offset += 1 }
            if offset < text.byteCount { list.append(text.byte(at: offset)) }
            offset += 1
        }
        return list.withBytes { sink.searchPath($0, for: payer) }
    }

    /// Where the value of an option begins whose name, with the equals sign, is `name`.
    static func optionValue(_ name: StaticString, in text: RawSpan) -> Int? {
        let length = name.utf8CodeUnitCount
        var offset = 0
        while offset + length <= text.byteCount {
            let isHere = (0..<length).allSatisfy { unsafe text.byte(at: offset + $0) == name.utf8Start[$0] }
            if isHere { return offset + length }
            offset += 1
        }
        return nil
    }
}

/// Reads words of SQL, case aside, over blanks and comments.
struct WordReader {
    var offset: Int
    let end: Int

    /// Moves behind `word` if it is the next one.
    mutating func take(_ word: StaticString, _ text: RawSpan) -> Bool {
        skipBlanks(text)
        let length = word.utf8CodeUnitCount
        guard offset + length <= end else { return false }
        for index in 0..<length {
            let byte = text.byte(at: offset + index)
            let folded = byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
            guard unsafe folded == word.utf8Start[index] else { return false }
        }
        let isSymbol = unsafe word.utf8Start[0] == 0x3D
        if !isSymbol, offset + length < end, Self.isWord(text.byte(at: offset + length)) { return false }
        offset += length
        return true
    }

    mutating func skipBlanks(_ text: RawSpan) {
        while offset < end {
            let byte = text.byte(at: offset)
            if byte == 0x20 || (byte >= 9 && byte <= 13) {
                offset += 1
            } else if byte == 0x2D, offset + 1 < end, text.byte(at: offset + 1) == 0x2D {
                while offset < end, text.byte(at: offset) != 0x0A { offset += 1 }
            } else if byte == 0x2F, offset + 1 < end, text.byte(at: offset + 1) == 0x2A {
                offset += 2
                while offset + 1 < end, text.byte(at: offset) != 0x2A || text.byte(at: offset + 1) != 0x2F {
                    offset += 1
                }
                offset += 2
            } else {
                return
            }
        }
    }

    static func isWord(_ byte: UInt8) -> Bool {
        byte == 0x5F || byte == 0x24 || byte >= 0x80 || (byte >= 0x30 && byte <= 0x39)
            || (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A)
    }
}

/// A list of schemas as `search_path` shows it: names folded, quoted where they were; 1 KiB at most.
struct SchemaList {
    private var bytes = [1024 of UInt8](repeating: 0)
    private var count = 0
    private var isFull = false

    mutating func append(_ byte: UInt8) {
        guard count < bytes.count else {
            isFull = true
            return
        }
        bytes[count] = byte
        count += 1
    }

    /// Reads what stands behind `SET search_path TO`; false if it is no list that ends where the statement does.
    mutating func read(_ words: inout WordReader, _ text: RawSpan) -> Bool {
        while true {
            words.skipBlanks(text)
            guard words.offset < words.end else { return false }
            if count > 0 {
                append(0x2C)
                append(0x20)
            }
            guard readName(&words, text) else { return false }
            words.skipBlanks(text)
            guard words.offset < words.end, text.byte(at: words.offset) == 0x2C else { return !isFull }
            words.offset += 1
        }
    }

    private mutating func readName(_ words: inout WordReader, _ text: RawSpan) -> Bool {
        let quote = text.byte(at: words.offset)
        guard quote == 0x27 || quote == 0x22 else {
            let start = words.offset
            while words.offset < words.end, WordReader.isWord(text.byte(at: words.offset)) {
                let byte = text.byte(at: words.offset)
                append(byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte)
                words.offset += 1
            }
            return words.offset > start
        }
        // 'x' and "x" are the same name here; a quote in it is doubled.
        append(0x22)
        words.offset += 1
        while words.offset < words.end {
            let byte = text.byte(at: words.offset)
            words.offset += 1
            if byte == quote {
                guard words.offset < words.end, text.byte(at: words.offset) == quote else {
                    append(0x22)
                    return true
                }
                words.offset += 1
            }
            if byte == 0x22 { append(0x22) }
            append(byte)
        }
        return false
    }

    /// The list; empty when it was too long.
    func withBytes<Result>(_ body: (RawSpan) -> Result) -> Result {
        let span = bytes.span
        return body(unsafe span.bytes.extracting(0..<(isFull ? 0 : count)))
    }
}
