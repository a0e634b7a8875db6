// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform
import Synchronization
import Testing

@testable import RedisClient

struct HostileServerTests {
    @Test(arguments: [
        ("+OK\r\n", RedisReply.simple("OK")), ("$3\r\na\r\n\r\n", .bulk([97, 13, 10])),
        ("$0\r\n\r\n", .bulk([])),
        ("$-1\r\n", .null), ("*-1\r\n", .null), (":-42\r\n", .integer(-42)), ("*0\r\n", .array([])),
        (
            "*3\r\n:1\r\n*1\r\n+a\r\n-ERR b\r\n",
            .array([.integer(1), .array([.simple("a")]), .error(RedisRefusal(Array("ERR b".utf8)))])
        ),
    ])
    func `replies of every kind are copied`(_ bytes: String, _ reply: RedisReply) throws {
        let server = try #require(FakeServer { _, _ in .bytes(bytes) })
        let client = try RedisClient(server.url)
        defer { client.close() }
        #expect(try client.ask("GET", "a") == .success(reply))
    }

    @Test(arguments: [
        "garbage\r\n", "$x\r\n", "$-2\r\n", "*-2\r\n", "*2147483648\r\n", "*99999999999999999999\r\n",
        ":x\r\n",
        "%1\r\n",
        "*65537\r\n", "*2147483647\r\n", String(repeating: "*1\r\n", count: 9), "+OK\r\n+OK\r\n+OK\r\n",
    ])
    func `what is no reply ends the connection, and the next command has another`(
        _ bytes: String
    )
        throws
    {
        let server = try #require(
            FakeServer { words, _ in words[0] == "BAD" ? .bytes(bytes) : .bytes("+fine\r\n") }
        )
        let client = try RedisClient(server.url)
        defer { client.close() }
        let error = try client.ask("BAD", "a").error
        // Unasked replies are seen after the one that was asked for.
        if bytes.hasPrefix("+") {
            #expect(error == nil)
        } else {
            #expect(error?.kind == .malformedReply)
        }
        #expect(client.eventually { $0.reconnects > 0 })
        #expect(try client.ask("GET", "a").reply == .simple("fine"))
    }

    @Test func `a string announced as huge is not waited for beyond the limits`() throws {
        let chunk = String(repeating: "x", count: 1 << 20)
        let server = try #require(
            FakeServer { words, _ in
                switch words[0] {
                case "STALL": .bytes("$9223372036854775807\r\nabc")
                case "FLOOD": .flood("$9223372036854775807\r\n" + chunk)
                default: .bytes("+fine\r\n")
                }
            }
        )
        let client = try RedisClient(server.url) { $0.replyTimeout = 2 }
        defer { client.close() }
        #expect(try client.ask("FLOOD", "a").error?.kind == .malformedReply)
        #expect(try client.ask("STALL", "a").error?.kind == .timedOut)
        #expect(try client.ask("GET", "a").reply == .simple("fine"))
    }

    @Test func `a reply that stalls in its middle times out, and takes those behind it along`() throws {
        let server = try #require(
            FakeServer { words, _ in words[0] == "HALF" ? .bytes("$10\r\nabc") : .bytes("+b\r\n") }
        )
        let client = try RedisClient(server.url) { $0.replyTimeout = 0.2 }
        defer { client.close() }
        #expect(try client.ask("GET", "a").reply == .simple("b"))
        let begun = SystemClock.now()
        let results = try client.call(
            [RedisCommand("HALF", "a"), RedisCommand("GET", "a")],
            seconds: 3
        )
        #expect(results.allSatisfy { [.timedOut, .connectionLost].contains($0.error?.kind) })
        #expect(SystemClock.now() - begun < 1)
        // Told a turn of the client's thread after the answers.
        while client.status.timeouts == 0, SystemClock.now() - begun < 5 { usleep(1000) }
        #expect(client.status.timeouts >= 1)
    }

    @Test func `a command whose connection ends has lost it, and is not sent again`() throws {
        let server = try #require(
            FakeServer { words, _ in words[0] == "SET" ? .close("") : .bytes("+b\r\n") }
        )
        let client = try RedisClient(server.url)
        defer { client.close() }
        #expect(try client.ask("SET", "a", "b").error?.kind == .connectionLost)
        #expect(try client.ask("GET", "a").reply == .simple("b"))
        #expect(server.commands == [["SET", "a", "b"], ["GET", "a"]])
    }

    @Test func `a server that accepts and says nothing is no connection`() throws {
        let server = try #require(FakeServer(greets: false) { _, _ in .nothing })
        let client = try RedisClient(server.url) { $0.connectTimeout = 0.2 }
        defer { client.close() }
        let error = try client.ask("GET", "a").error
        #expect(error?.kind == .cannotConnect)
        #expect(error?.description.contains("no connection within 0.2 s") == true)
    }

    @Test func `a server that greets with an error says why it is none`() throws {
        let server = try #require(
            FakeServer(greets: false) { _, _ in .close("-ERR max number of clients reached\r\n") }
        )
        let client = try RedisClient(server.url, password: "x")
        defer { client.close() }
        let error = try client.ask("GET", "a").error
        #expect(error?.description.contains("max number of clients") == true)
    }

    @Test(arguments: ["LOADING reading", "READONLY replica", "MASTERDOWN link", "NOAUTH none"])
    func `an error of a server that is of no use makes the connection anew`(_ message: String) throws {
        let server = try #require(
            FakeServer { _, number in .bytes(number == 1 ? "-\(message)\r\n" : "+OK\r\n") }
        )
        let client = try RedisClient(server.url)
        defer { client.close() }
        guard case .refused(let refusal, _) = try client.ask("SET", "a", "b").error else {
            Issue.record("not refused")
            return
        }
        #expect(refusal.message == message)
        #expect(try client.ask("SET", "a", "b").reply == .simple("OK"))
        #expect(server.connections == 2)
    }

    @Test(arguments: [
        "BUSY script", "OOM maxmemory", "NOPERM this", "WRONGTYPE that", "ERR syntax", "MOVED 1 a:1",
    ])
    func `other errors are the command's own`(_ message: String) throws {
        let server = try #require(FakeServer { _, _ in .bytes("-\(message)\r\n") })
        let client = try RedisClient(server.url)
        defer { client.close() }
        for _ in 0..<3 { #expect(try client.ask("GET", "a").error?.kind == .refused) }
        #expect(server.connections == 1)
        #expect(client.eventually { $0.refusals.values.reduce(0, +) == 3 })
    }

    @Test func `a cluster that sends a command on and on is left`() throws {
        let ports = Mutex<[UInt16]>([])
        let slots = "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$0\r\n\r\n:"
        func node(_ other: Int) -> FakeServer? {
            FakeServer { words, _ in
                let ports = ports.withLock { $0 }
                if words[0] == "CLUSTER" { return .bytes(slots + "\(ports[0])\r\n") }
                return .bytes("-MOVED 1 127.0.0.1:\(ports[other])\r\n")
            }
        }
        let servers = [try #require(node(1)), try #require(node(0))]
        ports.withLock { $0 = servers.map(\.port) }
        let client = try RedisClient("redis+cluster://127.0.0.1:\(servers[0].port)")
        defer { client.close() }
        #expect(try client.ask("GET", "a").error == .tooManyRedirects(count: 5))
        #expect(client.status.redirects == 5)
    }

    @Test(arguments: [
        "-ERR This instance has cluster support disabled\r\n", "+OK\r\n", "*0\r\n", "*1\r\n:1\r\n",
    ])
    func `a server that has no map of slots is no cluster`(_ answer: String) throws {
        let server = try #require(FakeServer { _, _ in .bytes(answer) })
        let client = try RedisClient("redis+cluster://127.0.0.1:\(server.port)")
        defer { client.close() }
        #expect(try client.ask("GET", "a").error?.kind == .cannotConnect)
    }

    @Test(arguments: [
        "$-1\r\n", "*-1\r\n", "*1\r\n+a\r\n", "*2\r\n+a\r\n+0\r\n", "-ERR no such master\r\n",
    ])
    func `a sentinel that knows no master is told of`(_ answer: String) throws {
        let server = try #require(FakeServer { _, _ in .bytes(answer) })
        let client = try RedisClient("redis+sentinel://127.0.0.1:\(server.port),127.0.0.1:1/mymaster")
        defer { client.close() }
        let error = try client.ask("GET", "a").error
        #expect(error?.kind == .cannotConnect)
        #expect(error?.description.contains("no sentinel knows the master mymaster") == true)
    }
}
