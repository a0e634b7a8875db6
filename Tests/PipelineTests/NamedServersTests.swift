// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Metering
import Packets
import Pipeline
import PostgresWire
import TestKit
import Testing

/// Who can listen somewhere on a server's port can say "yes" to any login: with named servers nobody pays for that.
struct NamedServersTests {
    /// A session of `victim` with a server at 10.0.0.2:5432 that does what it is told; `isMidstream`: without its beginning.
    private func capture(_ statements: Int) throws -> String {
        var capture = CaptureBuilder()
        capture.client(Messages.startup(user: "victim", database: "shop"))
        capture.server(Messages.loginAccepted)
        for _ in 0..<statements {
            capture.client(Messages.query("INSERT INTO small SELECT 1"))
            capture.server(Messages.complete("INSERT 0 1000000000") + Messages.ready())
        }
        return try capture.write()
    }

    private func replay(
        _ path: String,
        _ servers: [String],
        poolers: [String] = [],
        workers: Int = 1
    ) throws -> ReplayResult {
        var options = ReplayOptions(paths: [path])
        options.servers = NamedServers(try servers.map { try #require(Endpoint(server: $0)) })
        options.poolers = PoolerAddresses(try poolers.map { try #require(Endpoint($0)) })
        options.workers = workers
        options.limits.flows = 1 << 14
        return try Replay.run(options)
    }

    @Test func `a session with a server that is not named is counted apart, and nobody pays`() throws {
        let path = try capture(5)
        defer { try? FileManager.default.removeItem(atPath: path) }
        for workers in 1...2 {
            for servers in [["10.0.0.3"], ["10.0.0.2:5433"], ["10.0.0.1"], ["::1", "2001:db8::2"], ["10.0.0.3:5432"]] {
                let result = try replay(path, servers, workers: workers)
                #expect(result.otherServers == 1, "\(servers)")
                #expect(result.totals.sent == 0 && result.totals.cost == 0, "\(servers)")
                #expect(
                    result.principals.count == 1 && result.patterns.isEmpty && result.sessions.total == 0,
                    "\(servers)"
                )
            }
            for servers in [[], ["10.0.0.2"], ["10.0.0.2:5432"], ["10.0.0.9", "10.0.0.2:5432"], ["::ffff:10.0.0.2"]] {
                let result = try replay(path, servers, workers: workers)
                #expect(result.otherServers == 0 && result.totals.completed == 5, "\(servers)")
                #expect(result.principals.contains { $0.user == "victim" }, "\(servers)")
            }
        }
    }

    @Test func `a pooler that is named is a server of its clients`() throws {
        let path = try capture(3)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let result = try replay(path, ["10.0.0.9"], poolers: ["10.0.0.2:5432"])
        #expect(result.otherServers == 0 && result.totals.completed == 3)
    }

    @Test func `what was seen of real servers is the same once they are named`() throws {
        for name in ["mix_a", "small_a", "midstream_a", "port_reuse_a", "pooled_apps_a"] {
            let path = Repository.captures + "/\(name).pcap"
            let all = try replay(path, [])
            let named = try replay(path, ["127.0.0.1", "10.77.1.10"])
            #expect(named.totals == all.totals && named.otherServers == 0, "\(name)")
            #expect(named.sessions.total == all.sessions.total, "\(name)")
        }
    }
}
