// SPDX-License-Identifier: Apache-2.0
import Domain
import Testing

@testable import Attribution

struct SessionMatcherTests {
    private static let server = Endpoint(ipv4: 0x0A00_0002, port: 5432)
    private static let asked = Timestamp(nanoseconds: 100_000_000_000)
    private static let answered = Timestamp(nanoseconds: 100_100_000_000)

    private static func session(
        _ port: UInt16,
        since seconds: Int64 = 90,
        to server: Endpoint = server
    ) -> UnknownSession {
        UnknownSession(
            worker: 0,
            flow: Int32(port),
            number: UInt64(port),
            client: Endpoint(ipv4: 0x0A00_0001, port: port),
            server: server,
            since: Timestamp(nanoseconds: seconds * 1_000_000_000)
        )
    }

    private static func row(_ port: UInt16, _ user: String, age: Double = 60) -> [String: String] {
        [
            "client_addr": "10.0.0.1", "client_port": "\(port)", "usename": user, "datname": "shop",
            "application_name": "app", "age": "\(age)",
        ]
    }

    private static func users(_ rows: [[String: String]], _ sessions: [UnknownSession]) -> [String?] {
        let matcher = SessionMatcher(
            rows: rows.compactMap { SessionRow(activity: $0) },
            serverAddress: Endpoint(ipv4: 0x0A00_0002, port: 0),
            serverPort: 5432
        )
        let found = matcher.match(sessions, asked: asked, answered: answered)
        return sessions.map { session in found.first { $0.session == session }?.identity?.user }
    }

    @Test func `a session is its owner's by address and port`() {
        let sessions = [Self.session(1001), Self.session(1002), Self.session(1003)]
        #expect(Self.users([Self.row(1001, "ann"), Self.row(1002, "ben")], sessions) == ["ann", "ben", nil])
    }

    @Test func `a backend younger than the session is another connection's`() {
        #expect(Self.users([Self.row(1001, "ann", age: 5)], [Self.session(1001)]) == [nil])
    }

    @Test func `a session first seen after the question is not answered by it`() {
        #expect(Self.users([Self.row(1001, "ann")], [Self.session(1001, since: 100)]) == [nil])
    }

    @Test func `two servers of one port are told apart by the address that was asked, or not at all`() {
        let other = Endpoint(ipv4: 0x0A00_0003, port: 5432)
        let sessions = [Self.session(1001), Self.session(1001, to: other)]
        #expect(Self.users([Self.row(1001, "ann")], sessions) == ["ann", nil])
        let elsewhere = [Self.session(1001, to: Endpoint(ipv4: 0x0A00_0002, port: 5433))]
        #expect(Self.users([Self.row(1001, "ann")], elsewhere) == [nil])
        // Asked over a Unix socket, which has no address.
        let blind = SessionMatcher(
            rows: [Self.row(1001, "ann")].compactMap { SessionRow(activity: $0) },
            serverAddress: nil,
            serverPort: 5432
        )
        #expect(blind.match(sessions, asked: Self.asked, answered: Self.answered).isEmpty)
        #expect(blind.match([sessions[0]], asked: Self.asked, answered: Self.answered).count == 1)
    }

    @Test func `rows that contradict each other prove nothing`() {
        #expect(Self.users([Self.row(1001, "ann"), Self.row(1001, "ben")], [Self.session(1001)]) == [nil])
    }

    @Test func `a pooler's rows name both ends`() throws {
        let row = try #require(
            SessionRow(pooler: [
                "addr": "::1", "port": "7", "local_addr": "fd77::2", "local_port": "6432", "user": "ann",
                "database": "shop",
            ])
        )
        #expect(row.client == Endpoint(high: 0, low: 1, port: 7))
        #expect(row.server?.description == "[fd77::2]:6432")
        #expect(SessionRow(pooler: ["addr": "unix", "port": "6432", "user": "ann", "database": "shop"]) == nil)
    }

    @Test func `a pooler's client that came after the session is another one`() throws {
        func users(_ time: String) throws -> Int {
            let row = try #require(
                SessionRow(pooler: [
                    "addr": "10.0.0.1", "port": "1001", "local_addr": "10.0.0.2", "local_port": "5432", "user": "ann",
                    "database": "shop", "connect_time": time,
                ])
            )
            let matcher = SessionMatcher(rows: [row], serverAddress: nil, serverPort: nil)
            return matcher.match([Self.session(1001)], asked: Self.asked, answered: Self.answered).count
        }
        // The session was first seen 90 s after 1970.
        #expect(try users("1970-01-01 00:01:29 UTC") == 1)
        #expect(try users("1970-01-01 00:01:31 UTC") == 1)
        #expect(try users("1970-01-01 00:01:33 UTC") == 0)
        #expect(Timestamp(connectTime: "2026-11-23 07:26:13 UTC")?.nanoseconds == 1_795_418_773_000_000_000)
        #expect(Timestamp(connectTime: "2026-11-23 07:26:13 CET") == nil)
        #expect(Timestamp(connectTime: "soon") == nil)
    }

    @Test func `rows without an address or a user are no rows`() {
        #expect(SessionRow(activity: ["usename": "ann", "datname": "shop", "client_port": "-1"]) == nil)
        #expect(SessionRow(activity: ["client_addr": "10.0.0.1", "client_port": "5"]) == nil)
        #expect(Endpoint(address: "fe80::1%eth0", port: 1)?.high == 0xFE80_0000_0000_0000)
        #expect(Endpoint(address: "nonsense", port: 1) == nil)
    }
}
