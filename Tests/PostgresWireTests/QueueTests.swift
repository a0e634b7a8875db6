// SPDX-License-Identifier: Apache-2.0
import Domain
import PostgresWire
import TestKit
import Testing

/// What requests change holds in the order of the server, whatever was sent behind them before the answers came.
struct QueueTests {
    typealias M = Messages
    static let (parsed, bound, sync) = (M.message("1"), M.message("2"), M.message("S"))

    /// Parse, Bind, Execute and Sync, and their answers.
    static func unit(_ name: String, _ sql: String) -> [UInt8] {
        M.parse(name, sql) + M.bind(name) + M.execute() + sync
    }
    static let answered = parsed + bound + M.complete("SELECT 1") + M.ready()

    static let cases: [(String, [Turn], [String])] = [
        (
            "an error while later batches are under way",
            [
                .client(unit("", "bad") + unit("a", "select a") + unit("b", "select b")),
                .server(parsed + bound + M.error("23505") + M.ready() + answered + answered),
            ],
            [
                "error", "failed bad rows 0", "completed select a rows 1", "ok portal", "completed select b rows 1",
                "ok portal",
            ]
        ),
        (
            "a refused Parse leaves a later one of its name alone",
            [
                .client(unit("a", "bad") + unit("a", "select a") + M.bind("a") + M.execute() + sync),
                .server(M.error("42P01") + M.ready() + answered + bound + M.complete("SELECT 2") + M.ready()),
            ],
            [
                "error", "failed bad rows 0", "completed select a rows 1", "ok portal", "completed select a rows 2",
                "ok portal",
            ]
        ),
        (
            "what is refused without an Execute failed, and costs",
            [
                .client(M.parse("a", "bad") + M.message("D", [0x53] + M.text("a")) + sync),
                .server(M.error("42P01") + M.ready()),
            ],
            ["error", "failed bad rows 0"]
        ),
        (
            "a reset forgets what was there before it, not what was sent behind it",
            [
                .client(M.parse("a", "select a") + sync), .server(parsed + M.ready()),
                .client(M.query("discard all") + M.parse("b", "select b") + M.bind("b") + M.execute() + sync),
                .server(M.complete("DISCARD ALL") + M.ready() + answered),
                .client(M.bind("b") + M.execute() + sync), .server(bound + M.complete("SELECT 2") + M.ready()),
                .client(M.bind("a") + M.execute() + sync), .server(M.error("26000") + M.ready()),
            ],
            [
                "completed discard all rows 0", "ok query", "completed select b rows 1", "ok portal",
                "completed select b rows 2", "ok portal", "error", "failed ? rows 0",
            ]
        ),
        (
            "a name that is prepared in the same Query",
            [
                .client(M.query("prepare p as select 5; execute p")),
                .server(M.complete("PREPARE") + M.complete("SELECT 1") + M.ready()),
            ],
            ["completed prepare p as select 5 rows 0", "completed select 5 rows 1", "ok query"]
        ),
        (
            "PREPARE and EXECUTE by the extended protocol",
            [
                .client(unit("", "prepare p as select 5")), .server(parsed + bound + M.complete("PREPARE") + M.ready()),
                .client(unit("", "execute p")), .server(answered),
                .client(M.query("execute p")), .server(M.complete("SELECT 2") + M.ready()),
            ],
            [
                "completed prepare p as select 5 rows 0", "ok portal", "completed select 5 rows 1", "ok portal",
                "completed select 5 rows 2", "ok query",
            ]
        ),
        (
            "a Bind whose statement was taken for an empty one when it was sent",
            [
                .client(M.parse("") + M.bind() + M.execute() + sync),
                .server(parsed + bound + M.message("I") + M.ready()),
                .client(M.parse("select 1") + M.bind() + M.execute() + M.bind() + M.execute() + sync),
                .server(parsed + bound + M.complete("SELECT 1") + bound + M.complete("SELECT 2") + M.ready()),
            ],
            ["completed select 1 rows 1", "ok portal", "completed select 1 rows 2", "ok portal"]
        ),
        (
            "of two Describes the second one is refused",
            [
                .client(M.parse("select 1") + M.message("D", [0x53, 0]) + M.message("D", [0x50, 0]) + sync),
                .server(parsed + M.message("t", [0, 0]) + M.message("n") + M.error("34000") + M.ready()),
            ],
            ["error", "failed ? rows 0"]
        ),
        (
            "EXECUTE of a name that is under way, with a row limit",
            [
                .client(M.query("prepare p as select 5") + M.parse("execute p") + M.bind() + M.execute(rows: 1) + sync),
                .server(M.complete("PREPARE") + M.ready() + parsed + bound + M.message("s") + M.ready()),
            ],
            ["completed prepare p as select 5 rows 0", "ok query", "ok portal", "completed select 5 rows 1"]
        ),
        (
            "Executes that no Sync follows may have run",
            [
                .client(
                    (M.parse("select 1") + M.bind() + M.execute()) + (M.parse("select 2") + M.bind() + M.execute())
                        + M.message("X")
                )
            ],
            ["uncertain select 1 rows 0", "uncertain select 2 rows 0"]
        ),
        (
            "behind FATAL nothing runs",
            [
                .client(M.query("select 1")), .server(M.complete("SELECT 1") + M.ready()),
                .server(M.error("57P01", severity: "FATAL")), .client(M.query("select 2")),
            ],
            ["completed select 1 rows 1", "ok query", "skipped ? rows 0"]
        ),
        (
            "a query that met the end of the session on its way may have run, or not",
            [.client(M.query("select 1")), .server(M.error("57P01", severity: "FATAL"))],
            ["error", "uncertain select 1 rows 0"]
        ),
        (
            "a timeout of an idle session: the query behind it was never read",
            [.client(M.query("select 1")), .server(M.error("57P05", severity: "FATAL"))],
            ["error", "skipped select 1 rows 0"]
        ),
        (
            "a portal that is replaced by a simple Query is done",
            [
                .client(M.query("begin")), .server(M.complete("BEGIN") + M.ready("T")),
                .client(M.parse("select 9") + M.bind() + M.execute(rows: 1) + sync),
                .server(parsed + bound + M.message("s") + M.ready("T")),
                .client(M.query("rollback")), .server(M.complete("ROLLBACK") + M.ready()),
            ],
            [
                "completed begin rows 0", "ok query", "ok portal", "completed select 9 rows 1",
                "completed rollback rows 0", "ok query",
            ]
        ),
        (
            "a portal outlives an error in a transaction that goes back to a savepoint",
            [
                .client(M.query("begin")), .server(M.complete("BEGIN") + M.ready("T")),
                .client(M.parse("select 9") + M.bind(portal: "p") + M.execute(portal: "p", rows: 1) + sync),
                .server(parsed + bound + M.message("s") + M.ready("T")),
                .client(M.query("bad")), .server(M.error("22012") + M.ready("E")),
                .client(M.query("rollback to x")), .server(M.complete("ROLLBACK") + M.ready("T")),
                .client(M.execute(portal: "p") + sync), .server(M.complete("SELECT 4") + M.ready("T")),
            ],
            [
                "completed begin rows 0", "ok query", "ok portal", "error", "failed bad rows 0",
                "completed rollback to x rows 0",
                "ok query", "completed select 9 rows 4", "vanished select 9",
            ]
        ),
    ]

    @Test(arguments: cases, [Int.max, 1, 3, 7])
    func `is kept`(_ one: (String, [Turn], [String]), _ cut: Int) {
        #expect(play(SessionTests.login + one.1, cut: cut) == ["login alice@shop"] + one.2, "\(one.0)")
    }

    private func syntaxError(_ fields: [(Character, String)]) -> [UInt8] {
        M.message(
            "E",
            [0x56] + M.text("ERROR") + [0x43] + M.text("42601")
                + fields.flatMap { [$0.0.asciiValue ?? 0] + M.text($0.1) } + [0]
        )
    }

    @Test func `a syntax error that a function raised is one of a statement that ran`() {
        struct Prices: Equatable { var refused: [Bool] }
        let fields: [([(Character, String)], Bool)] = [
            ([("P", "8"), ("F", "scan.l"), ("R", "scanner_yyerror")], true), ([], true),
            ([("W", "PL/pgSQL function f() line 1 at RAISE"), ("F", "pl_exec.c")], false),
            ([("p", "1"), ("q", "selec 1"), ("W", "PL/pgSQL"), ("F", "scan.l")], false), ([("F", "to_tsany.c")], false),
        ]
        for (more, isRefused) in fields {
            var recorder = RefusalSink()
            var sessions = Sessions(hash: .standard)
            sessions.opened(0, isMidstream: false)
            var ordinal: UInt64 = 0
            let said: [(Direction, [UInt8])] = [
                (.client, M.startup(user: "a", database: "b")), (.server, M.loginAccepted),
                (.client, M.query("select f()")),
                (.server, syntaxError(more) + M.ready()),
            ]
            for (side, bytes) in said {
                ordinal += 1
                let moment = Moment(time: Timestamp(nanoseconds: Int64(ordinal)), ordinal: ordinal)
                _ = sessions.bytes(0, from: side, bytes.rawSpan, at: moment, into: &recorder)
            }
            #expect(recorder.refused == [isRefused], "\(more)")
        }
    }

    @Test func `a transaction is idle from an answer to the next request, or to the end`() {
        var sink = RecordingSink()
        var sessions = Sessions(hash: .standard)
        sessions.opened(0, isMidstream: false)
        let said: [(Int64, Direction, [UInt8])] = [
            (0, .client, M.startup(user: "a", database: "b")), (1, .server, M.loginAccepted),
            // Outside of a transaction nothing is held.
            (50, .client, M.query("begin")), (51, .server, M.complete("BEGIN") + M.ready("T")),
            (60, .client, M.query("select 1")), (64, .server, M.complete("SELECT 1") + M.ready("T")),
            // While the server works it is not idle, and a failed transaction is one, too.
            (65, .client, M.query("bad")), (70, .server, M.error("22012") + M.ready("E")),
            (77, .client, M.query("rollback")), (78, .server, M.complete("ROLLBACK") + M.ready()),
            (90, .client, M.query("begin")), (91, .server, M.complete("BEGIN") + M.ready("T")),
        ]
        for (time, side, bytes) in said {
            let moment = Moment(time: Timestamp(nanoseconds: time), ordinal: UInt64(time) + 1)
            _ = sessions.bytes(0, from: side, bytes.rawSpan, at: moment, into: &sink)
        }
        sessions.closed(0, isKnown: true, at: Moment(time: Timestamp(nanoseconds: 99), ordinal: 100), into: &sink)
        #expect(sink.idled == [9, 1, 7, 8])
    }

    @Test(arguments: [4, 9, 64])
    func `beyond the limit statements are counted all the same`(_ limit: Int) {
        var limits = SessionLimits()
        limits.requestsPerSession = Int32(limit)
        var sink = RecordingSink()
        var sessions = Sessions(hash: .standard, limits: limits)
        sessions.opened(0, isMidstream: false)
        var ordinal: UInt64 = 0
        let texts = (1...100).map { "select \($0)" }
        let batch = texts.flatMap { M.parse($0) + M.bind() + M.execute() + Self.sync }
        let answers = (1...100).flatMap { _ in Self.answered }
        let said: [(Direction, [UInt8])] = [
            (.client, M.startup(user: "a", database: "b")), (.server, M.loginAccepted),
            (.client, M.query(texts.joined(separator: ";"))),
            (.server, texts.flatMap { _ in M.complete("SELECT 1") } + M.ready()),
            (.client, batch + M.query("select 0")), (.server, answers + M.complete("SELECT 1") + M.ready()),
            (.client, M.query("select 0")), (.server, M.complete("SELECT 1") + M.ready()),
        ]
        for (side, bytes) in said {
            ordinal += 1
            let moment = Moment(time: Timestamp(nanoseconds: Int64(ordinal)), ordinal: ordinal)
            _ = sessions.bytes(0, from: side, bytes.rawSpan, at: moment, into: &sink)
        }
        #expect(sink.log.filter { $0.hasPrefix("completed") }.count == 202)
        #expect(sink.log.last == "ok query" && sink.log.dropLast().last == "completed select 0 rows 1")
        #expect(sink.charged == sink.settled + sink.refunded && sink.refunded == 0)
        let orphans = sessions.counters.orphanAnswers
        #expect(orphans == 0)
    }

    @Test func `text beyond the limit is charged by what the server answers`() {
        var limits = SessionLimits()
        limits.text = 64
        var sink = RecordingSink()
        var sessions = Sessions(hash: .standard, limits: limits)
        sessions.opened(0, isMidstream: false)
        var ordinal: UInt64 = 0
        let blanks = String(repeating: " ", count: 300)
        let said: [(Direction, [UInt8])] = [
            (.client, M.startup(user: "a", database: "b")), (.server, M.loginAccepted),
            (.client, M.query(blanks + "select 1")), (.server, M.complete("SELECT 1") + M.ready()),
            (.client, M.query("select 1;" + blanks + "select 2; select 3")),
            (.server, M.complete("SELECT 1") + M.complete("SELECT 1") + M.complete("SELECT 1") + M.ready()),
            (.client, M.query("select 1;" + blanks)), (.server, M.complete("SELECT 1") + M.ready()),
        ]
        for (side, bytes) in said {
            // In pieces: what arrives whole is read where it lies.
            for start in stride(from: 0, to: bytes.count, by: 50) {
                ordinal += 1
                let piece = Array(bytes[start..<min(bytes.count, start + 50)])
                let moment = Moment(time: Timestamp(nanoseconds: Int64(ordinal)), ordinal: ordinal)
                _ = sessions.bytes(0, from: side, piece.rawSpan, at: moment, into: &sink)
            }
        }
        #expect(sink.log.filter { $0.hasPrefix("completed") }.count == 5)
        #expect(sink.charged == sink.settled + sink.refunded)
    }

    @Test func `an answer without a request widens its session's interval`() {
        var play = Play()
        var ordinal: UInt64 = 0
        let said: [(Direction, [UInt8])] = [
            (.client, M.startup(user: "a", database: "b")), (.server, M.loginAccepted),
            (.server, M.complete("SELECT 1") + M.ready()),
        ]
        for (side, bytes) in said {
            ordinal += 1
            let moment = Moment(time: Timestamp(nanoseconds: Int64(ordinal)), ordinal: ordinal)
            _ = play.sessions.bytes(0, from: side, bytes.rawSpan, at: moment, into: &play.sink)
        }
        #expect(play.sink.log == ["login a@b"])
        let orphans = play.sessions.counters.orphanAnswers
        #expect(orphans == 1 && play.sink.misses == 1)
    }
}

/// Notes whether statements were refused.
struct RefusalSink: SessionSink {
    var inner = RecordingSink()
    var refused: [Bool] = []
    mutating func sketch(_ text: RawSpan, from start: Int, backslashEscapes: Bool) -> StatementSketch? {
        inner.sketch(text, from: start, backslashEscapes: backslashEscapes)
    }
    mutating func pattern(
        _ sketch: StatementSketch,
        of text: RawSpan,
        for principal: PrincipalHandle,
        under path: UInt16,
        at moment: Moment
    ) -> PatternHandle { inner.pattern(sketch, of: text, for: principal, under: path, at: moment) }
    mutating func functionPattern(_ oid: UInt32, for principal: PrincipalHandle, at moment: Moment) -> PatternHandle {
        0
    }
    mutating func attribute(_ flow: FlowHandle, _ login: borrowing Login, at moment: Moment) -> PrincipalHandle { 1 }
    mutating func parameterTypes(_ types: RawSpan, of pattern: PatternHandle) {}
    mutating func searchPath(_ value: RawSpan, for principal: PrincipalHandle) -> UInt16 { 0 }
    mutating func missed(_ principal: PrincipalHandle, count: Int, at time: Timestamp) {}
    mutating func joined(_ flow: FlowHandle, at moment: Moment) -> PrincipalHandle { 0 }
    mutating func started(_ principal: PrincipalHandle, _ pattern: PatternHandle, at time: Timestamp) -> Int64 { 1 }
    mutating func reattribute(
        _ pattern: PatternHandle,
        _ price: Int64,
        sentAt time: Timestamp,
        to principal: PrincipalHandle
    ) -> PatternHandle { pattern }
    mutating func ended(_ event: StatementEvent) { if event.errorCode != 0 { refused.append(event.isRefused) } }
    mutating func vanished(_ principal: PrincipalHandle, _ pattern: PatternHandle, _ kind: StatementKind) {}
    mutating func acknowledged(_ what: Acknowledgment, _ principal: PrincipalHandle) {}
    mutating func reported(_ principal: PrincipalHandle) {}
}
