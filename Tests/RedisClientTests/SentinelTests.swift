// SPDX-License-Identifier: Apache-2.0
import Foundation
import Platform
import Testing

@testable import RedisClient

extension RealServerTests {
    @Suite final class Sentinel {
        private let master: RealServer
        private let replica: RealServer
        private let sentinels: [Daemon]
        private let ports: [UInt16]

        init() throws {
            master = try RealServer()
            replica = try RealServer("--replicaof", "127.0.0.1", "\(master.port)")
            ports = (0..<3).map { _ in Loopback.freePort() }
            let (folder, watched) = (master.folder.path, master.port)
            sentinels = try ports.map { port in
                let path = folder + "/sentinel-\(port).conf"
                let text = """
                    port \(port)
                    bind 127.0.0.1
                    dir \(folder)
                    sentinel monitor mymaster 127.0.0.1 \(watched) 2
                    sentinel down-after-milliseconds mymaster 1000
                    sentinel failover-timeout mymaster 5000

                    """
                try Data(text.utf8).write(to: URL(filePath: path))
                return try Daemon(["redis-sentinel", path], output: folder + "/sentinel-\(port).log")
            }
        }

        // Before the folder goes, in which they write.
        deinit { for sentinel in sentinels { sentinel.stop() } }

        /// Waits until every sentinel knows the replica and the other two.
        private func waitUntilReady() throws {
            let deadline = SystemClock.now() + 30
            for port in ports {
                while true {
                    let words = ["redis-cli", "-p", "\(port)", "SENTINEL", "MASTER", "mymaster"]
                    let lines = ((try? Daemon.output(words, in: master.folder.path)) ?? "").split(
                        separator: "\n"
                    )
                    func value(_ name: String) -> Substring? {
                        lines.firstIndex(of: Substring(name)).flatMap { lines.dropFirst($0 + 1).first }
                    }
                    if value("num-slaves") == "1", value("num-other-sentinels") == "2" { break }
                    try #require(SystemClock.now() < deadline, "\(lines)")
                    usleep(100_000)
                }
            }
        }

        @Test func `when the master is killed, writes go on at the new one`() throws {
            try waitUntilReady()
            // The first sentinel is not there.
            let list = (["127.0.0.1:1"] + ports.map { "127.0.0.1:\($0)" }).joined(separator: ",")
            let client = try RedisClient("redis+sentinel://\(list)/mymaster")
            defer { client.close() }
            #expect(try client.ask("SET", "a", "1").reply == .simple("OK"))
            #expect(client.eventually { $0.connected == ["127.0.0.1:\(master.port)"] })
            master.stop()
            let written = try client.eventually(30) { _ in
                let result = try client.ask("SET", "a", "2", seconds: 2)
                usleep(50_000)
                return result.reply == .simple("OK")
            }
            #expect(written, "\(client.status)")
            #expect(try client.ask("GET", "a").reply?.text == "2")
            #expect(client.eventually { $0.connected == ["127.0.0.1:\(replica.port)"] })
            #expect(try replica.cli("GET", "a") == "2")
        }

        @Test func `a master that is none any more is left for the one that is`() throws {
            try waitUntilReady()
            let client = try RedisClient("redis+sentinel://127.0.0.1:\(ports[0])/mymaster")
            defer { client.close() }
            #expect(try client.ask("SET", "a", "1").reply == .simple("OK"))
            _ = try Daemon.output(
                ["redis-cli", "-p", "\(ports[0])", "SENTINEL", "FAILOVER", "mymaster"],
                in: master.folder.path
            )
            let hasMoved = try client.eventually(30) { status in
                _ = try client.ask("SET", "a", "2", seconds: 2)
                usleep(50_000)
                return status.connected == ["127.0.0.1:\(replica.port)"]
            }
            #expect(hasMoved, "\(client.status)")
            #expect(
                try client.eventually(12) { _ in try client.ask("SET", "a", "3").reply == .simple("OK") }
            )
            #expect(try replica.cli("GET", "a") == "3")
        }

        @Test func `a name that no sentinel knows is told of`() throws {
            let client = try RedisClient("redis+sentinel://127.0.0.1:\(ports[0])/other")
            defer { client.close() }
            #expect(
                try client.eventually { _ in
                    try client.ask("GET", "a").error?.description.contains(
                        "no sentinel knows the master other"
                    ) == true
                }
            )
        }
    }
}
