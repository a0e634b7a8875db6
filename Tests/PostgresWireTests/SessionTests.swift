// SPDX-License-Identifier: Apache-2.0
import Domain
import PostgresWire
import TestKit
import Testing

/// What one side says; a gap is so many bytes that were lost.
enum Turn {
    case client([UInt8])
    case server([UInt8])
    case clientGap(Int)
    case serverGap(Int)
}

/// Plays a session and gives the log; `cut` cuts everything into pieces of at most so many bytes.
func play(_ turns: [Turn], cut: Int = .max, isMidstream: Bool = false, closes: Bool = true) -> [String] {
    var play = Play(isMidstream: isMidstream)
    for turn in turns {
        switch turn {
        case .client(let bytes): say(&play, .client, bytes, cut)
        case .server(let bytes): say(&play, .server, bytes, cut)
        case .clientGap(let count):
            _ = play.sessions.gap(0, from: .client, count: count, at: moment(&play), into: &play.sink)
        case .serverGap(let count):
            _ = play.sessions.gap(0, from: .server, count: count, at: moment(&play), into: &play.sink)
        }
    }
    if closes { play.sessions.closed(0, isKnown: true, at: moment(&play), into: &play.sink) }
    #expect(
        !closes || play.sink.charged == play.sink.settled + play.sink.refunded,
        "every charge is settled or refunded"
    )
    return play.sink.log
}

private func moment(_ play: inout Play) -> Moment {
    play.ordinal += 1
    return Moment(time: Timestamp(nanoseconds: Int64(play.ordinal) * 1000), ordinal: play.ordinal)
}

private func say(_ play: inout Play, _ side: Direction, _ bytes: [UInt8], _ cut: Int) {
    var start = 0
    while start < bytes.count {
        let end = min(bytes.count, cut == .max ? bytes.count : start + cut)
        let piece = Array(bytes[start..<end])
        _ = play.sessions.bytes(0, from: side, piece.rawSpan, at: moment(&play), into: &play.sink)
        start = end
    }
}

struct SessionTests {
    typealias M = Messages
    static let login: [Turn] = [.client(M.startup(user: "alice", database: "shop")), .server(M.loginAccepted)]
    static let parsed = M.message("1")
    static let bound = M.message("2")

    static let cases: [(String, [Turn], [String])] = [
        (
            "a query", [.client(M.query("select 1")), .server(M.complete("SELECT 3") + M.ready())],
            ["completed select 1 rows 3", "ok query"]
        ),
        (
            "several statements in one query; what stands behind the error never ran",
            [
                .client(M.query("select 1; bad; select 2")),
                .server(M.complete("SELECT 1") + M.error("22012") + M.ready()),
            ],
            ["completed select 1 rows 1", "error", "failed bad rows 0", "skipped select 2 rows 0"]
        ),
        (
            "a syntax error: nothing ran",
            [.client(M.query("select 1; selec")), .server(M.error("42601") + M.ready())],
            ["error", "skipped select 1 rows 0", "skipped selec rows 0"]
        ),
        ("an empty query", [.client(M.query(" ;")), .server(M.message("I") + M.ready())], ["ok query"]),
        (
            "the extended protocol",
            [
                .client(M.parse("select $1") + M.bind() + M.execute() + M.message("S")),
                .server(parsed + bound + M.complete("SELECT 1") + M.ready()),
            ],
            ["completed select $1 rows 1", "ok portal"]
        ),
        (
            "a named statement that is executed twice",
            [
                .client(M.parse("s", "select 7") + M.message("S")), .server(parsed + M.ready()),
                .client(M.bind("s") + M.execute() + M.bind("s") + M.execute() + M.message("S")),
                .server(bound + M.complete("SELECT 1") + bound + M.complete("SELECT 2") + M.ready()),
            ],
            ["completed select 7 rows 1", "ok portal", "completed select 7 rows 2", "ok portal"]
        ),
        (
            "an error in Bind: the statement failed, and costs no more than that",
            [
                .client(M.parse("select $1") + M.bind() + M.execute() + M.message("S")),
                .server(parsed + M.error("22P02") + M.ready()),
            ],
            ["error", "failed select $1 rows 0"]
        ),
        (
            "an error skips to Sync, a Query too, and undoes what was prepared",
            [
                .client(M.parse("s", "select 1") + M.message("S")), .server(parsed + M.ready()),
                .client(M.bind("nope") + M.execute() + M.parse("s", "select 2") + M.query("select 3") + M.message("S")),
                .server(M.error("26000") + M.ready()), .client(M.bind("s") + M.execute() + M.message("S")),
                .server(bound + M.complete("SELECT 1") + M.ready()),
            ],
            [
                "error", "failed ? rows 0", "skipped select 3 rows 0", "completed select 1 rows 1", "ok portal",
            ]
        ),
        (
            "a suspended portal is one statement",
            [
                .client(M.query("begin")), .server(M.complete("BEGIN") + M.ready("T")),
                .client(M.parse("select 9") + M.bind(portal: "p") + M.execute(portal: "p", rows: 2) + M.message("H")),
                .server(parsed + bound + M.message("s")), .client(M.execute(portal: "p") + M.message("S")),
                .server(M.complete("SELECT 1") + M.ready("T")), .client(M.query("commit")),
                .server(M.complete("COMMIT") + M.ready()),
            ],
            [
                "completed begin rows 0", "ok query", "ok portal", "completed select 9 rows 1",
                "completed commit rows 0",
                "ok query",
            ]
        ),
        (
            "SQL EXECUTE counts for what was prepared",
            [
                .client(M.query("prepare p as select 5")), .server(M.complete("PREPARE") + M.ready()),
                .client(M.query("execute p")), .server(M.complete("SELECT 1") + M.ready()),
            ],
            ["completed prepare p as select 5 rows 0", "ok query", "completed select 5 rows 1", "ok query"]
        ),
        (
            "COPY from the client ignores Sync until its end",
            [
                .client(M.parse("copy t from stdin") + M.bind() + M.execute() + M.message("S")),
                .server(parsed + bound + M.message("G", [0, 0, 0])),
                .client(M.message("d", [1, 2]) + M.message("S") + M.message("c") + M.message("S")),
                .server(M.complete("COPY 1") + M.ready()), .client(M.query("select 1")),
                .server(M.complete("SELECT 1") + M.ready()),
            ],
            ["completed copy t from stdin rows 1", "ok portal", "completed select 1 rows 1", "ok query"]
        ),
        (
            "an administrator's FATAL without a request is nobody's error",
            [.server(M.error("57P01", severity: "FATAL"))], []
        ),
        (
            "a query in flight when the session ends is uncertain",
            [.client(M.query("select 1"))], ["uncertain select 1 rows 0"]
        ),
    ]

    @Test(arguments: cases)
    func `is followed`(_ name: String, _ turns: [Turn], _ expected: [String]) {
        #expect(play(Self.login + turns) == ["login alice@shop"] + expected, "\(name)")
    }

    @Test(arguments: cases, [1, 2, 3, 5, 7, 11])
    func `cuts anywhere change nothing`(_ one: (String, [Turn], [String]), _ cut: Int) {
        #expect(play(Self.login + one.1, cut: cut) == ["login alice@shop"] + one.2, "\(one.0)")
    }

    @Test func `nobody is attributed before the server accepted the login`() {
        let refused: [Turn] = [
            .client(M.startup(user: "victim", database: "shop")), .server(M.error("28P01", severity: "FATAL")),
        ]
        #expect(play(refused).isEmpty)
        let noDatabase: [Turn] = [
            .client(M.startup(user: "victim", database: "none")), .server(M.message("R", [0, 0, 0, 0])),
            .server(M.error("3D000", severity: "FATAL")),
        ]
        #expect(play(noDatabase).isEmpty)
    }

    @Test func `of a parameter that is named twice the last one holds, as for the server`() {
        let body =
            Frames.big(UInt32(196_608))
            + ["user", "victim", "database", "none", "application_name", "x", "user", "alice", "database", "shop"]
            .flatMap(M.text) + [0]
        let turns: [Turn] = [.client(Frames.big(UInt32(body.count + 4)) + body), .server(M.loginAccepted)]
        #expect(play(turns) == ["login alice@shop"])
    }

    @Test func `queries sent with the start-up packet are the user's`() {
        let turns: [Turn] = [
            .client(M.startup(user: "a", database: "b") + M.query("select 1")),
            .server(M.loginAccepted), .server(M.complete("SELECT 1") + M.ready()),
        ]
        #expect(play(turns) == ["login a@b", "completed select 1 rows 1", "ok query"])
    }

    @Test func `TLS, garbage and other protocols are left alone`() {
        let request = Frames.big(UInt32(8)) + Frames.big(UInt32(80_877_103))
        #expect(play([.client(request), .server([0x53]), .client([0x16, 3, 1, 0, 5])]).isEmpty)
        #expect(play([.client([0x16, 3, 1, 2, 0, 1])]).isEmpty)
        #expect(play([.client(Array("GET / HTTP/1.1\r\n\r\n".utf8)), .server(Array("HTTP/1.1 400\r\n".utf8))]).isEmpty)
        #expect(play([.server(Array("SSH-2.0-OpenSSH\r\n".utf8))]).isEmpty)
    }

    @Test func `with the server's direction alone nothing is invented and nobody pays`() {
        #expect(play([.server(M.loginAccepted), .server(M.complete("SELECT 1") + M.ready())]).isEmpty)
    }

    @Test func `TLS refused goes on in the clear`() {
        let request = Frames.big(UInt32(8)) + Frames.big(UInt32(80_877_103))
        #expect(play([.client(request), .server([0x4E])] + Self.login) == ["login alice@shop"])
    }

    @Test func `an impossible length costs the session its sync and no more`() {
        let turns: [Turn] = [
            .client([0x51, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3]), .client(M.query("select 2")),
            .server(M.complete("SELECT 1") + M.ready()),
        ]
        #expect(play(Self.login + turns).first == "login alice@shop")
    }

    @Test func `after lost answers the session finds its way back and invents nothing`() {
        let turns: [Turn] = [
            .client(M.query("select 1")), .serverGap(40), .server(M.ready()), .client(M.query("select 2")),
            .server(M.complete("SELECT 1") + M.ready()),
        ]
        #expect(
            play(Self.login + turns)
                == ["login alice@shop", "uncertain select 1 rows 0", "completed select 2 rows 1", "ok query"]
        )
    }

    @Test func `after a lost request its answer is nobody's`() {
        let turns: [Turn] = [
            .clientGap(15), .server(M.complete("SELECT 1") + M.ready()), .client(M.query("select 2")),
            .server(M.complete("SELECT 1") + M.ready()),
        ]
        #expect(play(Self.login + turns) == ["login alice@shop", "completed select 2 rows 1", "ok query"])
    }

    @Test func `bytes lost inside a row do not lose the session`() {
        let row = M.message("D", [UInt8](repeating: 7, count: 1000))
        let turns: [Turn] = [
            .client(M.query("select 1")), .server(Array(row.prefix(300))), .serverGap(500),
            .server(Array(row.suffix(205))),
            .server(M.complete("SELECT 1") + M.ready()),
        ]
        #expect(play(Self.login + turns) == ["login alice@shop", "completed select 1 rows 1", "ok query"])
    }

    @Test func `a session joined mid-stream counts what began after a proven boundary, for nobody`() {
        let turns: [Turn] = [
            .server(
                Array(M.message("D", [UInt8](repeating: 0x5A, count: 50)).suffix(20)) + M.complete("SELECT 9")
                    + M.ready()
            ),
            .client(M.query("select 1")), .server(M.complete("SELECT 1") + M.ready()),
        ]
        #expect(play(turns, isMidstream: true) == ["completed select 1 rows 1", "ok query"])
    }

    @Test(arguments: 0..<300)
    func `any bytes at all are survived`(_ seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        var turns = seed % 2 == 0 ? Self.login : []
        for _ in 0..<40 {
            var bytes =
                Self.cases.randomElement(using: &random).map { one in
                    one.1.compactMap { turn -> [UInt8]? in
                        if case .client(let bytes) = turn { return bytes }
                        if case .server(let bytes) = turn { return bytes }
                        return nil
                    }.flatMap { $0 }
                } ?? []
            for _ in 0..<Int.random(in: 0...4, using: &random) where !bytes.isEmpty {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            switch Int.random(in: 0..<8, using: &random) {
            case 0: turns.append(.clientGap(Int.random(in: 1...90, using: &random)))
            case 1: turns.append(.serverGap(Int.random(in: 1...90, using: &random)))
            case 2...4: turns.append(.client(bytes))
            default: turns.append(.server(bytes))
            }
        }
        _ = play(turns, cut: seed % 3 == 0 ? 3 : .max, isMidstream: seed % 5 == 0)
    }
}
