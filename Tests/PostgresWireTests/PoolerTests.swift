// SPDX-License-Identifier: Apache-2.0
import Domain
import PostgresWire
import TestKit
import Testing

struct PoolerTests {
    typealias M = Messages

    /// What happens on connections of poolers, each turn on the one with its number.
    private func run(_ turns: [(FlowHandle, Turn)], routes: [FlowHandle: UInt64] = [:]) -> RecordingSink {
        var sessions = Sessions(hash: .standard)
        var sink = RecordingSink()
        sink.routes = routes
        var ordinal: UInt64 = 0
        for flow in Set(turns.map(\.0)).sorted() { sessions.opened(flow, isMidstream: false) }
        let logins = Set(turns.map(\.0)).sorted().flatMap { flow in SessionTests.login.map { (flow, $0) } }
        for (flow, turn) in logins + turns {
            ordinal += 1
            let moment = Moment(time: Timestamp(nanoseconds: Int64(ordinal) * 1000), ordinal: ordinal)
            switch turn {
            case .client(let bytes): _ = sessions.bytes(flow, from: .client, bytes.rawSpan, at: moment, into: &sink)
            case .server(let bytes): _ = sessions.bytes(flow, from: .server, bytes.rawSpan, at: moment, into: &sink)
            default: break
            }
        }
        return sink
    }

    private func prepare(_ flow: FlowHandle, _ name: String, _ sql: String) -> [(FlowHandle, Turn)] {
        [
            (flow, .client(M.parse(name, sql) + M.message("S"))),
            (flow, .server(SessionTests.parsed + M.ready())),
        ]
    }

    private func execute(_ flow: FlowHandle, _ name: String) -> [(FlowHandle, Turn)] {
        [
            (flow, .client(M.bind(name) + M.execute() + M.message("S"))),
            (flow, .server(SessionTests.bound + M.complete("SELECT 1") + M.ready())),
        ]
    }

    private func completed(_ sink: RecordingSink) -> [String] { sink.log.filter { $0.hasPrefix("completed") } }

    @Test func `a pooler's name means the same on all its connections to a server`() {
        let turns = prepare(0, "PGBOUNCER_7", "select a") + execute(1, "PGBOUNCER_7")
        #expect(completed(run(turns)) == ["completed select a rows 1"])
        // Another pooler, or another server.
        #expect(completed(run(turns, routes: [1: 9])) == ["completed ? rows 1"])
        // A name that an application made is its connection's own.
        let own = prepare(0, "P_7", "select a") + execute(1, "P_7")
        #expect(completed(run(own)) == ["completed ? rows 1"])
    }

    @Test func `a name that two processes gave to two texts tells nothing`() {
        let two = prepare(0, "PGBOUNCER_7", "select a") + prepare(1, "PGBOUNCER_7", "select b")
        // Who prepared it knows it still.
        let sink = run(two + execute(2, "PGBOUNCER_7") + execute(1, "PGBOUNCER_7"))
        #expect(completed(sink) == ["completed ? rows 1", "completed select b rows 1"])
    }

    @Test(
        arguments: [
            ("SET application_name='app - 10.0.0.1:5000'", "app at 10.0.0.1:5000"),
            ("SET application_name='a - b - [::1]:5000'", "a - b at [::1]:5000"),
            ("SET application_name='app'", nil), ("SET application_name='app - unix(12@vm):6432'", nil),
            ("SET application_name=''", nil), ("SET application_name='app - 10.0.0.1:5000", nil),
            ("SET application_name = 'app - 10.0.0.1:5000'", nil), ("SET timezone='app - 10.0.0.1:5000'", nil),
        ]
    )
    func `whose client is served is taken from the pooler's own word, which is not billed`(sql: String, client: String?)
    {
        let sink = run([(0, .client(M.query(sql))), (0, .server(M.complete("SET") + M.ready()))])
        #expect(sink.served == (client.map { [$0] } ?? []))
        #expect(completed(sink).isEmpty == (client != nil))
        #expect(sink.charged == sink.settled)
    }

    @Test func `what was sent for the client before stays that one's`() {
        let turns: [(FlowHandle, Turn)] = [
            (0, .client(M.query("select 1") + M.query("SET application_name='app - 10.0.0.1:5000'"))),
            (0, .server(M.complete("SELECT 1") + M.ready() + M.complete("SET") + M.ready())),
        ]
        #expect(run(turns).served.isEmpty)
    }

    @Test func `a session that is passed over says no more, and what it ran is in doubt`() {
        var sessions = Sessions(hash: .standard)
        var sink = RecordingSink()
        let moment = Moment(time: .epoch, ordinal: 1)
        sessions.opened(0, isMidstream: false)
        let said: [Turn] = SessionTests.login + [.client(M.query("select 1"))]
        for turn in said {
            switch turn {
            case .client(let bytes): _ = sessions.bytes(0, from: .client, bytes.rawSpan, at: moment, into: &sink)
            case .server(let bytes): _ = sessions.bytes(0, from: .server, bytes.rawSpan, at: moment, into: &sink)
            default: break
            }
        }
        let wasRead = sessions.isRead(0)
        sessions.passOver(0, at: moment, into: &sink)
        let (isRead, isOpaque) = (sessions.isRead(0), sessions.isOpaque(0))
        #expect(wasRead && !isRead && isOpaque)
        #expect(sink.log.last?.hasPrefix("uncertain select 1") == true)
        #expect(sink.charged == sink.settled + sink.refunded)
        let count = sink.log.count
        let answer = M.complete("SELECT 1") + M.ready()
        let interest = sessions.bytes(0, from: .server, answer.rawSpan, at: moment, into: &sink)
        sessions.closed(0, isKnown: true, at: moment, into: &sink)
        #expect(interest == .drop)
        #expect(sink.log.count == count)
        #expect(sessions.counters.pooled == 1)
    }

    @Test func `a session that began before is read once a message is found, and never if it is encrypted`() {
        let record: [UInt8] = [0x17, 0x03, 0x03, 0x00, 0x20] + Array(repeating: 0x5A, count: 32)
        let spoken: [(client: [UInt8], server: [UInt8], isRead: Bool)] = [
            (M.query("select 1"), M.complete("SELECT 1") + M.ready(), true), (record, record, false),
        ]
        for session in spoken {
            var sessions = Sessions(hash: .standard)
            var sink = RecordingSink()
            sessions.opened(0, isMidstream: true)
            var isRead = sessions.isRead(0)
            #expect(!isRead)
            for ordinal in 1...8 as ClosedRange<UInt64> {
                let moment = Moment(time: .epoch, ordinal: ordinal)
                _ = sessions.bytes(0, from: .client, session.client.rawSpan, at: moment, into: &sink)
                _ = sessions.bytes(0, from: .server, session.server.rawSpan, at: moment, into: &sink)
            }
            isRead = sessions.isRead(0)
            #expect(isRead == session.isRead)
        }
    }
}
