// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform
import Synchronization
import Testing

@testable import RedisClient

extension RealServerTests {
    @Suite struct SingleServer {
        @Test func `commands are done, by port, name and Unix socket, in the database asked for`()
            throws
        {
            let server = try RealServer()
            for url in [
                "redis://127.0.0.1:\(server.port)/3", "redis://localhost:\(server.port)/3",
                "unix://\(server.socket)?db=3",
            ] {
                let client = try RedisClient(url)
                defer { client.close() }
                #expect(try client.ask("SET", "key", url).reply == .simple("OK"))
                #expect(try client.ask("GET", "key").reply?.text == url)
                #expect(try client.ask("HSET", "key", "a", "b").error?.kind == .refused)
                #expect(try client.ask("CLIENT", "GETNAME").reply?.text == "pgweir")
            }
            #expect(try server.cli("-n", "3", "EXISTS", "key") == "1")
            #expect(try server.cli("EXISTS", "key") == "0")
        }

        @Test func `bytes and large values come back as they went`() throws {
            let server = try RealServer()
            let client = try RedisClient(server.url) { $0.replyTimeout = 5 }
            defer { client.close() }
            let value = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            let set = RedisCommand([Array("SET".utf8), [0, 255], value])
            let results = try client.call(
                [set, RedisCommand([Array("GET".utf8), [0, 255]])],
                seconds: 10
            )
            #expect(results[0].reply == .simple("OK") && results[1].reply == .bulk(value))
        }

        @Test func `passwords and users are used, and what is wrong with them is told`() throws {
            let server = try RealServer(
                "--requirepass",
                "se/cret",
                "--user",
                "ann",
                "on",
                ">pw",
                "~own:*",
                "+get",
                "+set",
                "+auth",
                "--user",
                "bob",
                "on",
                ">pw",
                "~*",
                "+@all"
            )
            func ask(
                _ user: String,
                _ password: String?,
                _ words: String...
            ) throws -> Result<
                RedisReply, RedisError
            > {
                let client = try RedisClient("redis://\(user)127.0.0.1:\(server.port)", password: password)
                defer { client.close() }
                return try client.call([RedisCommand(words.map { Array($0.utf8) })], seconds: 3)[0]
            }
            #expect(try ask(":se%2Fcret@", nil, "SET", "a", "b").reply == .simple("OK"))
            #expect(try ask("", "se/cret", "GET", "a").reply?.text == "b")
            #expect(try ask("ann@", "pw", "SET", "own:a", "b").reply == .simple("OK"))
            #expect(try ask("bob:pw@", nil, "GET", "a").reply?.text == "b")
            guard case .refused(let refusal, _) = try ask("ann@", "pw", "GET", "a").error else {
                Issue.record("not refused")
                return
            }
            #expect(refusal.kind == .noPermission)
            for (user, password, word) in [
                ("", nil, "NOAUTH"), ("ann@", "no", "WRONGPASS"), ("", "no", "WRONGPASS"),
            ] {
                let error = try ask(user, password, "GET", "a").error
                #expect(error?.kind == .cannotConnect)
                #expect(error?.description.contains(word) == true, "\(String(describing: error))")
            }
        }

        @Test
        func `a server that hangs for a second keeps nobody, opens the circuit, and closes it after`()
            throws
        {
            let server = try RealServer()
            let client = try RedisClient(server.url)
            defer { client.close() }
            #expect(try client.ask("SET", "a", "b").reply == .simple("OK"))
            server.signal(SIGSTOP)
            let begun = SystemClock.now()
            var (longestSend, longestCall) = (0.0, 0.0)
            let ends = Mutex<(all: Int, latest: Double)>((0, 0))
            var sent = 0
            while SystemClock.now() - begun < 1 {
                let before = SystemClock.now()
                client.send(RedisCommand("GET", "a")) { _ in
                    let time = SystemClock.now() - before
                    ends.withLock { $0 = ($0.all + 1, max($0.latest, time)) }
                }
                longestSend = max(longestSend, SystemClock.now() - before)
                sent += 1
                if sent % 20 == 0 {
                    let before = SystemClock.now()
                    _ = try client.ask("GET", "a", seconds: 0.1)
                    longestCall = max(longestCall, SystemClock.now() - before)
                }
                usleep(2000)
            }
            #expect(client.status.circuit != .closed, "\(client.status)")
            server.signal(SIGCONT)
            #expect(longestSend < 0.1 && longestCall < 0.25, "\(longestSend) \(longestCall)")
            #expect(client.eventually(5) { $0.circuit == .closed }, "\(client.status)")
            #expect(try client.ask("GET", "a").reply?.text == "b")
            #expect(client.eventually { $0.queued == 0 })
            #expect(ends.withLock { $0.all } == sent)
            #expect(ends.withLock { $0.latest } < 2.3)
            #expect(client.status.openings >= 1)
        }

        @Test func `a server that is killed and comes back is connected to again`() throws {
            let server = try RealServer()
            let client = try RedisClient(server.url)
            defer { client.close() }
            #expect(try client.ask("SET", "a", "b").reply == .simple("OK"))
            server.stop()
            #expect(client.eventually { $0.connected.isEmpty })
            #expect(try client.ask("GET", "a").error?.isOutage == true)
            try server.restart()
            #expect(
                client.eventually(12) { !$0.connected.isEmpty && $0.circuit == .closed },
                "\(client.status)"
            )
            #expect(try client.ask("GET", "a").reply == .null)
            #expect(client.status.reconnects >= 1)
        }

        @Test func `a replica refuses writes, a server without memory too, and both still answer`()
            throws
        {
            let server = try RealServer()
            let client = try RedisClient(server.url)
            defer { client.close() }
            try server.cli("CONFIG", "SET", "maxmemory", "1")
            func kind(_ error: RedisError?) -> RedisRefusal.Kind? {
                if case .refused(let refusal, _) = error { return refusal.kind }
                return nil
            }
            #expect(kind(try client.ask("SET", "a", "b").error) == .outOfMemory)
            try server.cli("CONFIG", "SET", "maxmemory", "0")
            try server.cli("REPLICAOF", "127.0.0.1", "1")
            #expect(kind(try client.ask("SET", "a", "b").error) == .readOnly)
            #expect(try client.ask("GET", "a").reply == .null)
            try server.cli("CONFIG", "SET", "replica-serve-stale-data", "no")
            // The next connections are refused in the greeting.
            #expect(
                try client.eventually { _ in
                    try client.ask("GET", "a").error?.description.contains("MASTERDOWN") == true
                }
            )
            try server.cli("REPLICAOF", "NO", "ONE")
            #expect(try client.eventually(12) { _ in try client.ask("GET", "a").reply == .null })
        }
    }
}
