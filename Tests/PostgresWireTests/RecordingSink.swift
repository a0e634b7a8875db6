// SPDX-License-Identifier: Apache-2.0
import Domain
import PostgresWire

/// A sink that splits at semicolons and writes down what happens, a line each.
struct RecordingSink: SessionSink {
    /// Bytes of clients that could not be read.
    var hidden = 0
    var log: [String] = []
    /// Search paths by number, and those under which patterns were met.
    var paths = ["login's"]
    var pathsUsed: [String] = []
    var texts: [String] = ["?"]
    var charged: Int64 = 0
    var settled: Int64 = 0
    var refunded: Int64 = 0

    /// Clients that poolers said they serve, and where each flow comes from.
    var served: [String] = []
    var routes: [FlowHandle: UInt64] = [:]
    mutating func route(of flow: FlowHandle, _ principal: PrincipalHandle) -> UInt64 { routes[flow] ?? 0 }
    mutating func serves(
        _ flow: FlowHandle,
        _ client: Endpoint,
        _ application: RawSpan,
        _ principal: PrincipalHandle,
        at moment: Moment
    ) -> PrincipalHandle {
        served.append("\(string(application, 0..<application.byteCount)) at \(client)")
        return principal
    }

    /// Clients that PROXY headers named.
    var proxied: [String] = []
    mutating func proxied(_ flow: FlowHandle, _ client: Endpoint) { proxied.append("\(client)") }

    /// Kinds of the statements that ended.
    var kinds: [StatementKind] = []

    /// How long transactions were idle, ns.
    var idled: [Int64] = []
    mutating func idled(_ principal: PrincipalHandle, for duration: Int64, at time: Timestamp) {
        idled.append(duration)
    }

    /// Ends of transactions, if asked for.
    var awaitsTransactions = false
    var transactions: [Bool] = []
    mutating func transactionEnded(_ flow: FlowHandle, committed: Bool) {
        if awaitsTransactions { transactions.append(committed) }
    }

    mutating func sketch(_ text: RawSpan, from start: Int, backslashEscapes: Bool) -> StatementSketch? {
        var first = start
        while first < text.byteCount, [0x20, 0x3B].contains(text.byte(at: first)) { first += 1 }
        guard first < text.byteCount else { return nil }
        var sketch = StatementSketch()
        sketch.range = first..<(text.firstOffset(of: 0x3B, from: first) ?? text.byteCount)
        let words = string(text, sketch.range).split(separator: " ")
        sketch.fingerprint = Fingerprint(high: 1, low: UInt64(bitPattern: Int64(string(text, sketch.range).hashValue)))
        switch words.first.map({ $0.lowercased() }) {
        case "select": sketch.kind = .select
        case "set", "reset": sketch.kind = .set
        case "discard": sketch.kind = .discardAll
        case "begin": sketch.kind = .begin
        case "commit": sketch.kind = .commit
        case "rollback": sketch.kind = words.count > 1 ? .savepoint : .rollback
        case "prepare": (sketch.kind, sketch.name, sketch.body) = (.prepare, first + 8..<first + 9, first + 13)
        case "execute": (sketch.kind, sketch.name) = (.execute, first + 8..<first + 9)
        default: sketch.kind = .utility
        }
        return sketch
    }

    func string(_ text: RawSpan, _ range: Range<Int>) -> String {
        String(decoding: range.map { text.byte(at: $0) }, as: UTF8.self)
    }

    mutating func pattern(
        _ sketch: StatementSketch,
        of text: RawSpan,
        for principal: PrincipalHandle,
        under path: UInt16,
        at moment: Moment
    ) -> PatternHandle {
        pathsUsed.append(paths[Int(path)])
        let value = string(text, sketch.range)
        if let known = texts.firstIndex(of: value) { return Int32(known) }
        texts.append(value)
        return Int32(texts.count - 1)
    }

    mutating func functionPattern(_ oid: UInt32, for principal: PrincipalHandle, at moment: Moment) -> PatternHandle {
        0
    }

    mutating func attribute(_ flow: FlowHandle, _ login: borrowing Login, at moment: Moment) -> PrincipalHandle {
        log.append(
            "login \(string(login.user, 0..<login.user.byteCount))@\(string(login.database, 0..<login.database.byteCount))"
        )
        return 1
    }

    mutating func parameterTypes(_ types: RawSpan, of pattern: PatternHandle) {
        log.append("types \((0..<types.byteCount / 4).map { types.bigEndian32(at: 4 * $0) }) of \(texts[Int(pattern)])")
    }

    mutating func searchPath(_ value: RawSpan, for principal: PrincipalHandle) -> UInt16 {
        let text = string(value, 0..<value.byteCount)
        if let known = paths.firstIndex(of: text) { return UInt16(known) }
        paths.append(text)
        return UInt16(paths.count - 1)
    }

    var misses = 0
    mutating func missed(_ principal: PrincipalHandle, count: Int, at time: Timestamp) {
        hidden += count
        misses += 1
    }
    mutating func joined(_ flow: FlowHandle, at moment: Moment) -> PrincipalHandle { 0 }
    mutating func started(_ principal: PrincipalHandle, _ pattern: PatternHandle, at time: Timestamp) -> Int64 {
        charged += 1
        return 1
    }

    mutating func reattribute(
        _ pattern: PatternHandle,
        _ price: Int64,
        sentAt time: Timestamp,
        to principal: PrincipalHandle
    ) -> PatternHandle { pattern }

    mutating func ended(_ event: StatementEvent) {
        if event.outcome == .skipped { refunded += event.price } else { settled += event.price }
        log.append("\(event.outcome) \(texts[Int(event.pattern)]) rows \(event.rows)")
        kinds.append(event.kind)
    }

    mutating func vanished(_ principal: PrincipalHandle, _ pattern: PatternHandle, _ kind: StatementKind) {
        log.append("vanished \(texts[Int(pattern)])")
    }

    mutating func acknowledged(_ what: Acknowledgment, _ principal: PrincipalHandle) { log.append("ok \(what)") }
    mutating func reported(_ principal: PrincipalHandle) { log.append("error") }
}

/// Runs one session; `+` is what the client says, `-` what the server says.
struct Play: ~Copyable {
    var sessions: Sessions
    var sink = RecordingSink()
    var ordinal: UInt64 = 0

    init(isMidstream: Bool = false) {
        var limits = SessionLimits()
        limits.sessions = 16
        limits.requests = 4096
        limits.names = 4096
        sessions = Sessions(hash: .standard, limits: limits)
        sessions.opened(0, isMidstream: isMidstream)
    }

    /// One side says `bytes`, a microsecond after what was said before.
    mutating func say(_ side: Direction, _ bytes: [UInt8]) {
        ordinal += 1
        let moment = Moment(time: Timestamp(nanoseconds: Int64(ordinal) * 1000), ordinal: ordinal)
        _ = sessions.bytes(0, from: side, bytes.rawSpan, at: moment, into: &sink)
    }
}
