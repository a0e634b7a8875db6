// SPDX-License-Identifier: Apache-2.0
import Domain
import PostgresWire
import TestKit
import Testing

struct SearchPathTests {
    typealias M = Messages

    /// The paths under which the statements of a session were met.
    private func paths(_ turns: [Turn]) -> [String] {
        let sink = run(turns)
        return zip(sink.pathsUsed, sink.texts.dropFirst()).filter { $0.1.hasPrefix("select") }.map(\.0)
    }

    private func run(_ turns: [Turn]) -> RecordingSink {
        var sessions = Sessions(hash: .standard)
        var sink = RecordingSink()
        sink.awaitsTransactions = true
        sessions.opened(0, isMidstream: false)
        var ordinal: UInt64 = 0
        for turn in SessionTests.login + turns {
            ordinal += 1
            let moment = Moment(time: Timestamp(nanoseconds: Int64(ordinal) * 1000), ordinal: ordinal)
            switch turn {
            case .client(let bytes): _ = sessions.bytes(0, from: .client, bytes.rawSpan, at: moment, into: &sink)
            case .server(let bytes): _ = sessions.bytes(0, from: .server, bytes.rawSpan, at: moment, into: &sink)
            default: break
            }
        }
        return sink
    }

    @Test func `a transaction's end is told with what became of it`() {
        let begin = run("begin", "BEGIN", "T")
        let change = run("create index on t(a)", "CREATE INDEX", "T")
        #expect(run(run("create index on t(a)", "CREATE INDEX")).transactions == [true])
        #expect(run(begin + change).transactions == [])
        #expect(run(begin + change + run("commit", "COMMIT")).transactions == [true])
        #expect(run(begin + change + run("rollback", "ROLLBACK")).transactions == [false])
        // An error in it: COMMIT answers ROLLBACK.
        #expect(run(begin + change + fail("select x", "E") + run("commit", "ROLLBACK")).transactions == [false])
        #expect(run(fail("select x")).transactions == [false])
        #expect(run(fail("select x") + run("select 1", "SELECT 1")).transactions == [false, true])
    }

    private func run(_ sql: String, _ tag: String = "SET", _ status: Character = "I") -> [Turn] {
        [.client(M.query(sql)), .server(M.complete(tag) + M.ready(status))]
    }

    private func fail(_ sql: String, _ status: Character = "I") -> [Turn] {
        [.client(M.query(sql)), .server(M.error("42601") + M.ready(status))]
    }

    @Test(
        arguments: [
            ("set search_path to two", "two"), ("SET search_path = One, \"Two\"", "one, \"Two\""),
            ("set session search_path to 'a b', c", "\"a b\", c"), ("set search_path='x'", "\"x\""),
            ("set schema 'x'", "\"x\""), ("set /* so */ search_path -- here\n to two", "two"),
            ("set search_path to \"$user\", public", "\"$user\", public"), ("set timezone to 'utc'", "login's"),
            ("set search_pathy to two", "login's"), ("set search_path to", "login's"),
            ("set search_path to 'unfinished", "login's"), ("reset timezone", "login's"), ("set", "login's"),
        ]
    )
    func `SET is followed by its own grammar`(sql: String, expected: String) {
        #expect(paths(run(sql) + run("select 1", "SELECT 1")) == [expected])
    }

    @Test func `what a transaction sets is undone with it, or stays`() {
        #expect(
            paths(run("set search_path to a") + fail("set search_path to b") + run("select 1", "SELECT 1")) == ["a"]
        )
        let begin = run("begin", "BEGIN", "T")
        let set = run("set search_path to b", "SET", "T")
        let inside = run("select 1", "SELECT 1", "T")
        let after = run("select 2", "SELECT 1")
        #expect(paths(begin + set + inside + run("commit", "COMMIT") + after) == ["b", "b"])
        #expect(paths(begin + set + inside + run("rollback", "ROLLBACK") + after) == ["b", "login's"])
        let failed = fail("select x", "E") + run("rollback", "ROLLBACK")
        #expect(paths(begin + set + failed + after) == ["b", "login's"])
        let local = run("set local search_path to c", "SET", "T")
        #expect(paths(begin + local + inside + run("commit", "COMMIT") + after) == ["c", "login's"])
    }

    @Test func `RESET and DISCARD ALL give the login's back, and the server's word is taken`() {
        let set = run("set search_path to a")
        let ask = run("select 1", "SELECT 1")
        #expect(paths(set + run("reset search_path", "RESET") + ask) == ["login's"])
        #expect(paths(set + run("reset all", "RESET") + ask) == ["login's"])
        #expect(paths(set + run("discard all", "DISCARD ALL") + ask) == ["login's"])
        #expect(paths(set + run("set search_path to default") + ask) == ["login's"])
        let reported: [Turn] = [.server(M.message("S", Array("search_path".utf8) + [0] + Array("z, y".utf8) + [0]))]
        #expect(paths(set + reported + ask) == ["z, y"])
    }
}
