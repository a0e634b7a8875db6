// SPDX-License-Identifier: Apache-2.0
import Domain
import PostgresWire
import TestKit
import Testing

struct StartupTests {
    typealias M = Messages
    static let request = Frames.big(UInt32(8)) + Frames.big(UInt32(80_877_103))
    static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]

    private func version2(_ command: UInt8, _ family: UInt8, _ fields: [UInt8]) -> [UInt8] {
        Self.signature + [0x20 | command, family] + Frames.big(UInt16(fields.count)) + fields
    }

    /// Plays a session and gives its log, the clients that headers named, and the counters.
    private func run(
        _ turns: [(Direction, [UInt8])],
        cut: Int = .max,
        isMidstream: Bool = false
    ) -> (log: [String], clients: [String], counters: SessionCounters) {
        var sessions = Sessions(hash: .standard)
        var sink = RecordingSink()
        var ordinal: UInt64 = 0
        sessions.opened(0, isMidstream: isMidstream)
        for (side, bytes) in turns {
            for start in stride(from: 0, to: bytes.count, by: min(cut, max(1, bytes.count))) {
                ordinal += 1
                let piece = Array(bytes[start..<min(bytes.count, start + min(cut, bytes.count))])
                let moment = Moment(time: Timestamp(nanoseconds: Int64(ordinal) * 1000), ordinal: ordinal)
                _ = sessions.bytes(0, from: side, piece.rawSpan, at: moment, into: &sink)
            }
        }
        let counters = sessions.counters
        return (sink.log, sink.proxied, counters)
    }

    @Test(arguments: [Int.max, 1, 2, 5, 13])
    func `a PROXY header is read over, in any pieces`(cut: Int) {
        let four: [UInt8] = [192, 0, 2, 1, 198, 51, 100, 1, 0xDC, 0x04, 0x15, 0x38]
        let six = [UInt8](repeating: 0x20, count: 32) + [0xDC, 0x04, 0x15, 0x38]
        let headers: [([UInt8], [String])] = [
            (Array("PROXY TCP4 192.0.2.1 198.51.100.1 56324 5432\r\n".utf8), ["192.0.2.1:56324"]),
            (Array("PROXY TCP6 2001:db8::1 2001:db8::2 56324 5432\r\n".utf8), ["[2001:db8::1]:56324"]),
            (Array("PROXY UNKNOWN\r\n".utf8), []), (version2(1, 0x11, four), ["192.0.2.1:56324"]),
            (version2(1, 0x11, four + [4, 0, 3, 1, 2, 3]), ["192.0.2.1:56324"]),
            (version2(1, 0x21, six), ["[2020:2020:2020:2020:2020:2020:2020:2020]:56324"]), (version2(0, 0, []), []),
            (version2(1, 0x31, [UInt8](repeating: 0, count: 216)), []),
        ]
        let expected = ["login alice@shop", "completed select 1 rows 1", "ok query"]
        for (header, clients) in headers {
            for negotiation: [(Direction, [UInt8])] in [[], [(.client, Self.request), (.server, [0x4E])]] {
                var turns = negotiation + [(.client, M.startup(user: "alice", database: "shop"))]
                turns[0].1 = header + turns[0].1
                turns += [
                    (.server, M.loginAccepted), (.client, M.query("select 1")),
                    (.server, M.complete("SELECT 1") + M.ready()),
                ]
                let seen = run(turns, cut: cut)
                #expect(seen.log == expected && seen.clients == clients, "\(header)")
                #expect(seen.counters.notPostgreSQL == 0)
            }
        }
    }

    @Test(arguments: [Int.max, 1, 7])
    func `what only begins like a PROXY header is not PostgreSQL`(cut: Int) {
        let startup = M.startup(user: "alice", database: "shop")
        let wrong: [[UInt8]] = [
            Array("PROXIES are not this\r\n".utf8) + startup,
            Array(("PROXY " + String(repeating: "x", count: 200)).utf8),
            Array("POST / HTTP/1.1\r\n".utf8), Self.signature + [0x31, 0x11, 0, 0] + startup,
            Self.signature + [0x21, 0x11, 0xFF, 0xFF],
            Array("PROXY UNKNOWN\r\nPROXY UNKNOWN\r\n".utf8) + startup,
        ]
        for bytes in wrong {
            let seen = run([(.client, bytes), (.server, M.loginAccepted)], cut: cut)
            #expect(seen.log.isEmpty && seen.counters.notPostgreSQL == 1, "\(bytes)")
        }
    }

    @Test func `names are cut at 63 bytes, wherever that is`() {
        let long = String(repeating: "L", count: 62)
        for (name, expected) in [
            (long, long), (long + "a", long + "a"), (long + "ab", long + "a"), (long + "aé", long + "a"),
        ] {
            let seen = run([(.client, M.startup(user: name, database: name)), (.server, M.loginAccepted)])
            #expect(seen.log == ["login \(expected)@\(expected)"])
        }
        // The server cuts bytes, not characters.
        let seen = run([(.client, M.startup(user: long + "é", database: "d")), (.server, M.loginAccepted)])
        #expect(seen.log == ["login \(long)\u{FFFD}@d"])
    }

    @Test func `a parameter that looks like a StartupMessage makes no session`() {
        let startup = M.startup(user: "victim", database: "shop")
        let query: [(Direction, [UInt8])] = [
            (.client, M.query("select 1")), (.server, M.complete("SELECT 1") + M.ready()),
        ]
        let answer = M.message("2") + M.complete("SELECT 1") + M.ready()
        for fake in [startup, Array("PROXY UNKNOWN\r\n".utf8) + startup] {
            let seen = run([(.client, fake), (.server, answer)] + query + query, isMidstream: true)
            #expect(seen.log.allSatisfy { !$0.hasPrefix("login") } && seen.counters.attributed == 0)
            #expect(seen.log.contains("completed select 1 rows 1"))
            let late = run([(.server, answer), (.client, fake), (.server, M.loginAccepted)] + query, isMidstream: true)
            #expect(late.log.allSatisfy { !$0.hasPrefix("login") })
        }
        // A request to cancel, or for TLS, that is none must not hide what follows.
        let cancel =
            Frames.big(UInt32(16)) + Frames.big(UInt32(80_877_102)) + Frames.big(UInt32(1)) + Frames.big(UInt32(2))
        for fake in [cancel, Self.request] {
            let seen = run([(.client, fake), (.server, answer)] + query + query, isMidstream: true)
            #expect(seen.log.contains("completed select 1 rows 1"))
        }
        let real = run([(.client, startup), (.server, M.loginAccepted)] + query, isMidstream: true)
        #expect(real.log.first == "login victim@shop")
    }

    @Test func `ReadyForQuery alone is no login`() {
        let seen = run([(.client, M.startup(user: "victim", database: "shop")), (.server, M.ready())])
        #expect(seen.log.isEmpty && seen.counters.attributed == 0)
    }
}
