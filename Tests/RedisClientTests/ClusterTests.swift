// SPDX-License-Identifier: Apache-2.0
import Foundation
import Platform
import Synchronization
import Testing

@testable import RedisClient

extension RealServerTests {
    @Suite struct Cluster {
        private let servers: [RealServer]
        private var url: String {
            "redis+cluster://" + servers.map { "127.0.0.1:\($0.port)" }.joined(separator: ",")
        }

        init() throws {
            servers = try (0..<3).map { _ in
                try RealServer(
                    "--cluster-enabled",
                    "yes",
                    "--cluster-port",
                    "\(Loopback.freePort())",
                    "--cluster-node-timeout",
                    "2000"
                )
            }
            let addresses = servers.map { "127.0.0.1:\($0.port)" }
            let words = ["redis-cli", "--cluster", "create"] + addresses + ["--cluster-yes"]
            _ = try Daemon.output(words, in: servers[0].folder.path)
            for server in servers {
                let deadline = SystemClock.now() + 20
                while !(try server.cli("CLUSTER", "INFO").contains("cluster_state:ok")),
                    SystemClock.now() < deadline
                {
                    usleep(50_000)
                }
            }
        }

        @Test func `keys of all slots are found, from any seed, and reach all nodes`() throws {
            let client = try RedisClient("redis+cluster://127.0.0.1:\(servers[2].port)") {
                $0.replyTimeout = 2
            }
            defer { client.close() }
            let keys = (0..<3000).map { "key-\($0)" }
            #expect(Set(keys.map { HashSlot.of(Array($0.utf8)) / 1024 }).count == 16)
            let set = try client.call(keys.map { RedisCommand("SET", $0, $0) }, seconds: 10)
            #expect(set.allSatisfy { $0.reply == .simple("OK") })
            let got = try client.call(keys.map { RedisCommand("GET", $0) }, seconds: 10)
            #expect(got.map { $0.reply?.text } == keys)
            #expect(client.status.connected.count == 3)
            #expect(client.status.redirects == 0)
            let sizes = try servers.map { Int(try $0.cli("DBSIZE")) ?? 0 }
            #expect(sizes.reduce(0, +) == 3000 && sizes.allSatisfy { $0 > 500 })
            #expect(try client.ask("KEYSLOT-IS-NO-COMMAND").error?.kind == .refused)
            for key in ["foo{{bar}}zap", "{", "}{", "foo{}{bar}"] {
                #expect(try servers[0].cli("CLUSTER", "KEYSLOT", key) == "\(HashSlot.of(Array(key.utf8)))")
            }
        }

        @Test func `a slot that is migrated is followed by ASK and then by MOVED, and nothing is lost`()
            throws
        {
            let client = try RedisClient(url)
            defer { client.close() }
            // 12182, of the last third.
            let (source, target) = (servers[2], servers[0])
            let (slot, ids) = (
                "12182", try (source.cli("CLUSTER", "MYID"), target.cli("CLUSTER", "MYID"))
            )
            #expect(try client.ask("SET", "{foo}1", "one").reply == .simple("OK"))
            #expect(try client.ask("SET", "{foo}2", "two").reply == .simple("OK"))
            try target.cli("CLUSTER", "SETSLOT", slot, "IMPORTING", ids.0)
            try source.cli("CLUSTER", "SETSLOT", slot, "MIGRATING", ids.1)
            try source.cli("MIGRATE", "127.0.0.1", "\(target.port)", "{foo}1", "0", "2000")
            #expect(try client.ask("GET", "{foo}1").reply?.text == "one")
            #expect(try client.ask("SET", "{foo}new", "new").reply == .simple("OK"))
            #expect(try client.ask("GET", "{foo}2").reply?.text == "two")
            #expect(client.eventually { $0.redirects == 2 }, "\(client.status)")
            // One key here and one there: TRYAGAIN, until the other has come.
            let both = RedisCommand("MGET", "{foo}1", "{foo}2", moreKeys: [2])
            let waiting = Mutex<Result<RedisReply, RedisError>?>(nil)
            client.send(both) { result in waiting.withLock { $0 = result } }
            usleep(50_000)
            try source.cli("MIGRATE", "127.0.0.1", "\(target.port)", "{foo}2", "0", "2000")
            #expect(client.eventually { _ in waiting.withLock { $0 != nil } })
            #expect(
                waiting.withLock { $0 }?.reply
                    == .array([.bulk(Array("one".utf8)), .bulk(Array("two".utf8))])
            )
            for server in [target, source, servers[1]] {
                try server.cli("CLUSTER", "SETSLOT", slot, "NODE", ids.1)
            }
            for key in ["1", "2", "new"] {
                #expect(try client.ask("GET", "{foo}" + key).reply?.bytes?.isEmpty == false)
            }
            let redirects = client.status.redirects
            for _ in 0..<10 { #expect(try client.ask("GET", "{foo}1").reply?.text == "one") }
            #expect(client.eventually { $0.redirects == redirects || $0.redirects == redirects + 1 })
            #expect(client.status.refusals.isEmpty)
        }

        @Test func `a live reshard loses no command`() throws {
            let client = try RedisClient(url) { $0.replyTimeout = 3 }
            defer { client.close() }
            let keys = (0..<400).map { "key-\($0)" }
            let isDone = Atomic<Bool>(false)
            let folder = servers[0].folder.path
            let from = try servers[0].cli("CLUSTER", "MYID")
            let to = try servers[1].cli("CLUSTER", "MYID")
            let words = [
                "redis-cli", "--cluster", "reshard", "127.0.0.1:\(servers[0].port)", "--cluster-from", from,
                "--cluster-to", to, "--cluster-slots", "400", "--cluster-yes",
            ]
            let failure = Mutex<String?>(nil)
            _ = WorkerThread.runDetached(blocksSignals: true) {
                do { _ = try Daemon.output(words, in: folder, seconds: 60) } catch {
                    failure.withLock { $0 = "\(error)" }
                }
                isDone.store(true, ordering: .releasing)
            }
            var round = 0
            while !isDone.load(ordering: .acquiring) || round == 0 {
                round += 1
                let set = try client.call(keys.map { RedisCommand("SET", $0, "\(round)") }, seconds: 10)
                #expect(set.allSatisfy { $0.reply == .simple("OK") }, "\(set.compactMap(\.error))")
                let got = try client.call(keys.map { RedisCommand("GET", $0) }, seconds: 10)
                #expect(got.allSatisfy { $0.reply?.text == "\(round)" }, "\(got.compactMap(\.error))")
            }
            #expect(failure.withLock { $0 } == nil)
            #expect(client.status.redirects > 0)
        }

        @Test func `a node that is killed fails its keys alone`() throws {
            for server in servers {
                try server.cli("CONFIG", "SET", "cluster-require-full-coverage", "no")
            }
            let client = try RedisClient(url)
            defer { client.close() }
            // Slots 5061 and 12182.
            #expect(try client.ask("SET", "bar", "b").reply == .simple("OK"))
            #expect(try client.ask("SET", "foo", "f").reply == .simple("OK"))
            servers[2].stop()
            #expect(try client.ask("GET", "foo").error?.isOutage == true)
            #expect(try client.ask("GET", "bar").reply?.text == "b")
        }
    }
}
