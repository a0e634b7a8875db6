// SPDX-License-Identifier: Apache-2.0
import Domain
import Fingerprints
import Testing

@testable import Verification

/// A server and a tap at one time, made by hand.
private struct Moment {
    var calls: [SeenCalls] = []
    var connections: [SeenConnection] = []
    var losses: [LossKind: UInt64] = [:]
    var server = ServerSnapshot()
    var time = 0.0

    var snapshot: SeenSnapshot {
        SeenSnapshot(
            time: time,
            isRelay: false,
            passesOver: false,
            calls: calls,
            connections: connections,
            losses: losses,
            encryptedSessions: 0
        )
    }

    var reading: Reading { Reading(before: snapshot, server: server, after: snapshot) }
}

struct ComparisonTests {
    private static let here = Endpoint("10.0.0.1:5432")

    private static func entry(_ user: String, _ query: String, isTopLevel: Bool = true) -> StatementEntry {
        StatementEntry(account: Account(user: user, database: "db"), query: query, isTopLevel: isTopLevel)
    }

    private static func calls(_ user: String?, _ plannable: UInt64, at server: Endpoint? = here) -> SeenCalls {
        var calls = SeenCalls(user: user, database: user == nil ? nil : "db", server: server)
        calls.plannable = plannable
        return calls
    }

    private static func compare(
        _ start: Moment,
        _ end: Moment,
        _ sightings: Sightings = Sightings(),
        track: String = "top"
    ) -> Comparison {
        var facts = StatementStatistics.Facts()
        (facts.version, facts.port, facts.track, facts.hasTopLevel) = (150_000, 5432, track, true)
        let classes: [String: StatementClass] = ["1": .query, "2": .utility, "3": .foreignKey, "4": .own]
        return Comparing(
            start: start.reading,
            end: end.reading,
            facts: facts,
            classes: classes,
            sightings: sightings,
            tolerance: 0.01
        ).comparison(seconds: 60)
    }

    @Test(arguments: [0, 1, 7, 1_000_000] as [UInt64])
    func `what both count alike is all seen, whatever was counted before`(_ before: UInt64) {
        var (start, end) = (Moment(), Moment())
        start.calls = [Self.calls("ann", before + 3)]
        start.server.entries[Self.entry("ann", "1")] = before
        end.calls = [Self.calls("ann", before + 103)]
        end.server.entries[Self.entry("ann", "1")] = before + 100
        let line = Self.compare(start, end).lines.first
        #expect(line?.queries.counted == 100 && line?.queries.seen == 100 && line?.queries.share == 1)
        #expect(line?.isExplained == true && line?.reasons.isEmpty == true)
    }

    @Test
    func `what is missing without a reason is not accounted for, and one lost packet does not account for thousands`() {
        var (start, end) = (Moment(), Moment())
        start.calls = [Self.calls("ann", 0)]
        end.calls = [Self.calls("ann", 500)]
        end.server.entries[Self.entry("ann", "1")] = 5000
        var found = Self.compare(start, end)
        #expect(!found.isExplained && found.seenRatio == 0.1 && found.lines.first?.reasons.isEmpty == true)
        end.losses[.dropped] = 1
        found = Self.compare(start, end)
        #expect(!found.isExplained && found.lines.first?.reasons.map(\.kind) == [.loss])
        end.losses[.dropped] = 5
        #expect(Self.compare(start, end).isExplained)
    }

    @Test func `statements that no client sent are told and not held against the tap`() {
        var (start, end) = (Moment(), Moment())
        end.calls = [Self.calls("ann", 10)]
        end.server.entries[Self.entry("ann", "1")] = 10
        end.server.entries[Self.entry("ann", "1", isTopLevel: false)] = 40
        end.server.entries[Self.entry("ann", "3")] = 2
        end.server.entries[Self.entry("ann", "4")] = 9
        let line = Self.compare(start, end, track: "all").lines.first
        #expect(line?.queries.share == 1 && line?.notSent == 42 && line?.isExplained == true)
        #expect(line?.reasons.map(\.kind) == [.nested, .foreignKey] && line?.reasons.map(\.count) == [40, 2])
        start.server.entries[Self.entry("ann", "1", isTopLevel: false)] = 39
        #expect(Self.compare(start, end).lines.first?.reasons.first?.count == 1)
    }

    @Test func `another role's gain accounts for a loss only if the database's sum agrees`() {
        var end = Moment()
        end.calls = [Self.calls("ann", 100), Self.calls("ben", 1_000_000)]
        end.server.entries[Self.entry("role", "1")] = 100
        end.server.entries[Self.entry("ben", "1")] = 1_000_000
        var found = Self.compare(Moment(), end)
        #expect(found.isExplained && found.lines.filter { $0.reasons.map(\.kind) == [.setRole] }.count == 2)
        // A small user who is not seen does not hide behind a large one.
        end.calls = [Self.calls("ben", 1_000_000)]
        found = Self.compare(Moment(), end)
        #expect(!found.isExplained && found.lines.first { $0.user == "role" }?.reasons.isEmpty == true)
    }

    @Test func `counts that were set to zero, or given up, account for what was seen too much`() {
        var (start, end) = (Moment(), Moment())
        start.server.entries[Self.entry("ann", "1")] = 1000
        start.calls = [Self.calls("ann", 1000)]
        end.calls = [Self.calls("ann", 1500)]
        end.server.entries[Self.entry("ann", "1")] = 20
        var found = Self.compare(start, end)
        #expect(found.lines.first?.queries.counted == 20 && found.isExplained)
        #expect(found.lines.first?.reasons.map(\.kind) == [.evicted])
        (start.server.reset, end.server.reset) = ("a", "b")
        found = Self.compare(start, end)
        #expect(found.isExplained && found.lines.first?.reasons.map(\.kind) == [.reset])
        (start.server, end.server) = (ServerSnapshot(), ServerSnapshot())
        #expect(!Self.compare(start, end).isExplained, "seen, and never counted")
    }

    @Test func `what was asked in between widens the interval`() {
        var (start, end) = (Moment(), Moment())
        end.server.entries[Self.entry("ann", "1")] = 55
        end.calls = [Self.calls("ann", 50)]
        var later = end
        later.calls = [Self.calls("ann", 60)]
        var reading = end.reading
        reading.after = later.snapshot
        let differences = SeenDifferences(start.reading, reading, countsDeallocate: false)
        let part = differences.found.values.first?.queries
        #expect(part?.seenLow == 50 && part?.seenHigh == 60)
        start.calls = [Self.calls("ann", 100)]
        #expect(
            SeenDifferences(start.reading, reading, countsDeallocate: false).found.values.first?.queries.seenHigh == 0
        )
    }

    // MARK: Sessions

    private static func row(_ more: [String: String], user: String = "ann") -> ServerSession {
        let usual = ["usename": user, "datname": "db", "backend_type": "client backend", "state": "idle", "age": "60"]
        return ServerSession(usual.merging(more) { _, new in new })
    }

    private static func connection(
        _ client: String,
        _ server: String = "10.0.0.1:5432",
        isRead: Bool = true
    ) -> SeenConnection {
        SeenConnection(
            client: Endpoint(client) ?? Endpoint(ipv4: 0, port: 0),
            server: Endpoint(server) ?? Endpoint(ipv4: 0, port: 0),
            isRead: isRead
        )
    }

    @Test func `a session's way is told by the server and the tap together`() {
        var moment = Moment()
        moment.connections = [Self.connection("10.0.0.9:1001"), Self.connection("10.0.0.9:1002", isRead: false)]
        let at = { (port: Int) in ["client_addr": "10.0.0.9", "client_port": String(port)] }
        let cases: [([String: String], Reason.Kind?)] = [
            (["client_port": "-1"], .unixSocket),
            (at(1001), nil), (at(1001).merging(["ssl": "t"]) { $1 }, nil),
            (at(1002).merging(["ssl": "t"]) { $1 }, .tls), (at(1002).merging(["gss": "t"]) { $1 }, .gss),
            (at(1002), .unread), (at(1003), .otherInterface), (at(1003).merging(["age": "0.1"]) { $1 }, nil),
            (at(1003).merging(["ssl": "t"]) { $1 }, .tls), (at(1003).merging(["own": "t"]) { $1 }, nil),
            (["backend_type": "pg_cron"], .backgroundWorker), (["backend_type": "parallel worker"], nil),
        ]
        for (row, kind) in cases {
            var sightings = Sightings()
            sightings.add([Self.row(row)], before: moment.snapshot, after: moment.snapshot, port: 5432)
            let found = sightings.reasons(of: Account(user: "ann", database: "db"))
            #expect(found.map(\.kind) == [kind].compactMap { $0 }, "\(row)")
            #expect(sightings.reasons(of: Account(user: "ben", database: "db")).isEmpty)
        }
    }

    @Test func `what was done at another server does not count, and what may have been only as possible`() {
        var end = Moment()
        end.calls = [Self.calls("ann", 100), Self.calls("ann", 70, at: Endpoint("10.0.0.2:5432"))]
        end.server.entries[Self.entry("ann", "1")] = 100
        end.connections = [Self.connection("10.0.0.9:1001"), Self.connection("10.0.0.9:1002", "10.0.0.2:5432")]
        #expect(Self.compare(Moment(), end).lines.first?.queries.seenHigh == 170)
        var sightings = Sightings()
        let row = Self.row(["client_addr": "10.0.0.9", "client_port": "1001"])
        sightings.add([row], before: end.snapshot, after: end.snapshot, port: 5432)
        let part = Self.compare(Moment(), end, sightings).lines.first?.queries
        #expect(part?.seenLow == 100 && part?.seenHigh == 100)
    }

    @Test func `runs of a prepared utility statement that the server does not count are accounted for, and no more`() {
        for (extended, isExplained) in [(UInt64(90), true), (89, false), (0, false)] {
            var end = Moment()
            var calls = Self.calls("ann", 0)
            (calls.utilities, calls.extendedUtilities) = (100, extended)
            end.calls = [calls]
            end.server.entries[Self.entry("ann", "2")] = 10
            let line = Self.compare(Moment(), end).lines.first
            #expect(line?.isExplained == isExplained, "\(extended)")
            let reason = line?.reasons.first { $0.kind == .preparedUtility }
            #expect((reason?.count ?? 0) == extended, "\(extended)")
        }
        // Queries have no part in it.
        var end = Moment()
        var calls = Self.calls("ann", 100)
        (calls.utilities, calls.extendedUtilities) = (50, 50)
        end.calls = [calls]
        end.server.entries = [Self.entry("ann", "1"): 10, Self.entry("ann", "2"): 50]
        #expect(Self.compare(Moment(), end).lines.first?.isExplained == false)
    }

    @Test func `the class of an entry is told by its text`() {
        var normalizer = Normalizer(hash: .standard)
        let cases: [(String, StatementClass)] = [
            ("SELECT $1", .query), ("/* a */ -- b\n  ( select 1)", .query),
            ("WITH a AS (SELECT 1) SELECT * FROM a", .query),
            ("PREPARE p AS SELECT 1", .query), ("$1", .query), ("TABLE t", .query),
            ("MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE", .query),
            ("BEGIN", .utility), ("CREATE TABLE t AS SELECT 1", .utility), ("FETCH 10 FROM c", .utility),
            ("PREPARE TRANSACTION 'x'", .utility), ("EXPLAIN SELECT 1", .utility), ("", .utility),
            (
                "SELECT $2 FROM ONLY \"public\".\"p\" x WHERE \"a\" OPERATOR(pg_catalog.=) $1 FOR KEY SHARE OF x",
                .foreignKey
            ),
            ("SELECT a FROM t WHERE a OPERATOR(pg_catalog.=) $1", .query),
            ("SELECT \(StatementClass.mark) calls FROM pg_stat_statements", .own),
        ]
        for (text, expected) in cases { #expect(StatementClass(text, &normalizer) == expected, "\(text)") }
    }

    @Test func `a snapshot comes back as it went`() throws {
        var moment = Moment()
        moment.calls = [Self.calls("a\"\n\u{1}ä", 3), Self.calls(nil, 4)]
        moment.connections = [Self.connection("[2001:db8::1]:7", isRead: false)]
        moment.losses = [.gaps: 5]
        let back = try SeenSnapshot(json: moment.snapshot.json)
        #expect(back.calls.map(\.user) == ["a\"\n\u{1}ä", nil] && back.calls.map(\.plannable) == [3, 4])
        #expect(back.connections.first?.client == "[2001:db8::1]:7" && back.losses["gaps"] == 5)
        #expect(throws: (any Error).self) { try SeenSnapshot(json: Array("{}".utf8)) }
    }
}
