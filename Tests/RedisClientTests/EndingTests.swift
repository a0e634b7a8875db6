// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform
import Synchronization
import Testing

@testable import RedisClient

/// Counts how often each of many commands ended.
private final class Tally: Sendable {
    let ends: Mutex<[Int]>
    let kinds = Mutex<[RedisError.Kind: Int]>([:])

    init(_ count: Int) { ends = Mutex(Array(repeating: 0, count: count)) }

    func note(_ index: Int, _ result: Result<RedisReply, RedisError>) {
        ends.withLock { $0[index] += 1 }
        if let error = result.error { kinds.withLock { $0[error.kind, default: 0] += 1 } }
    }

    var isOneEach: Bool { ends.withLock { $0.allSatisfy { $0 == 1 } } }
}

struct EndingTests {
    @Test func `a full queue refuses at once, and what is in it ends when the client is closed`()
        throws
    {
        let server = try #require(FakeServer { _, _ in .nothing })
        let client = try RedisClient(server.url) {
            $0.queueLimit = 50
            $0.replyTimeout = 10
        }
        let tally = Tally(80)
        let begun = SystemClock.now()
        for index in 0..<80 { client.send(RedisCommand("GET", "a")) { tally.note(index, $0) } }
        #expect(SystemClock.now() - begun < 0.5)
        #expect(client.status.queued == 50)
        #expect(tally.kinds.withLock { $0 } == [.overloaded: 30])
        client.close(seconds: 0.1)
        #expect(tally.isOneEach)
        #expect(tally.kinds.withLock { $0 } == [.overloaded: 30, .closed: 50])
        #expect(client.status.queued == 0)
        #expect(try client.ask("GET", "a").error == .closed)
    }

    @Test func `closing lets what is under way be answered`() throws {
        let server = try #require(FakeServer { _, _ in .bytes("+OK\r\n") })
        let client = try RedisClient(server.url) { $0.batchDelay = 1 }
        let tally = Tally(30)
        for index in 0..<30 { client.send(RedisCommand("SET", "a", "b")) { tally.note(index, $0) } }
        let begun = SystemClock.now()
        client.close(seconds: 2)
        #expect(SystemClock.now() - begun < 1)
        #expect(tally.isOneEach && tally.kinds.withLock { $0.isEmpty })
        client.close()
    }

    @Test func `a client that is dropped ends all, and its thread`() throws {
        let server = try #require(FakeServer { _, _ in .nothing })
        let tally = Tally(10)
        do {
            let client = try RedisClient(server.url)
            for index in 0..<10 { client.send(RedisCommand("GET", "a")) { tally.note(index, $0) } }
        }
        let deadline = SystemClock.now() + 3
        while !tally.isOneEach, SystemClock.now() < deadline { usleep(5000) }
        #expect(tally.isOneEach)
    }

    @Test func `each of many commands ends once, whatever the server does`() throws {
        let count = 20_000
        let server = try #require(
            FakeServer { words, _ in
                switch Int(words[1]).map({ $0 % 997 }) {
                case 1: .close("")
                case 2: .close("$5\r\nab")
                case 3: .close("garbage\r\n")
                case 4: .bytes("-ERR no\r\n")
                case 5: .bytes("-LOADING no\r\n")
                default: .bytes("+OK\r\n")
                }
            }
        )
        let client = try RedisClient(server.url) { $0.replyTimeout = 0.2 }
        let tally = Tally(count)
        for index in 0..<count {
            client.send(RedisCommand("GET", String(index))) { tally.note(index, $0) }
            if index % 500 == 0 { usleep(10_000) }
        }
        _ = client.eventually(10) { $0.queued == 0 }
        client.close()
        #expect(tally.isOneEach)
        let status = client.status
        #expect(status.operations + status.errors.values.reduce(0, +) == UInt64(count))
        #expect(status.reconnects > 0)
    }

    @Test func `commands go in batches of a hundred at most, or after a while`() throws {
        let server = try #require(FakeServer { _, _ in .bytes("+OK\r\n") })
        let client = try RedisClient(server.url) { $0.batchDelay = 0.3 }
        defer { client.close() }
        #expect(client.eventually { !$0.connected.isEmpty })
        let (tally, begun) = (Tally(250), SystemClock.now())
        for index in 0..<250 { client.send(RedisCommand("GET", "a")) { tally.note(index, $0) } }
        #expect(client.eventually { $0.operations >= 200 })
        #expect(SystemClock.now() - begun < 0.25 || client.status.operations == 250)
        #expect(client.eventually { $0.operations == 250 })
        #expect((3...6).contains(client.status.batches))
        let (few, later) = (Tally(50), SystemClock.now())
        for index in 0..<50 { client.send(RedisCommand("GET", "a")) { few.note(index, $0) } }
        #expect(client.eventually { $0.operations == 300 })
        #expect(SystemClock.now() - later > 0.25)
    }

    @Test func `the circuit opens for a server that fails, and closes when it answers again`() throws {
        let isBroken = Atomic<Bool>(true)
        let server = try #require(
            FakeServer { _, _ in isBroken.load(ordering: .relaxed) ? .close("") : .bytes("+OK\r\n") }
        )
        let client = try RedisClient(server.url)
        defer { client.close() }
        for _ in 0..<60 where client.status.circuit == .closed { _ = try client.ask("GET", "a") }
        #expect(client.eventually { $0.openings >= 1 }, "\(client.status)")
        isBroken.store(false, ordering: .relaxed)
        #expect(client.eventually { $0.circuit == .closed })
        #expect(try client.ask("GET", "a").reply == .simple("OK"))
    }

    @Test func `an open circuit refuses at once`() throws {
        let client = try RedisClient("redis://127.0.0.1:1")
        defer { client.close() }
        for _ in 0..<100 where client.status.circuit == .closed { _ = try client.ask("GET", "a") }
        let (tally, begun) = (Tally(1000), SystemClock.now())
        for index in 0..<1000 { client.send(RedisCommand("GET", "a")) { tally.note(index, $0) } }
        #expect(SystemClock.now() - begun < 0.5)
        #expect(tally.isOneEach)
        #expect(tally.kinds.withLock { $0 } == [.circuitOpen: 1000])
        #expect(client.status.connected.isEmpty && client.status.lastFailure != nil)
    }

    @Test func `commands that cannot be sent are refused before`() throws {
        let client = try RedisClient("redis+cluster://127.0.0.1:1")
        defer { client.close() }
        let commands = [
            RedisCommand([], key: nil), RedisCommand("GET", "a", key: 2),
            RedisCommand("MGET", "a", "b", moreKeys: [9]),
            RedisCommand("MGET", "a", "b", moreKeys: [2]),
        ]
        let errors = try client.call(commands, seconds: 1).map(\.error)
        #expect(errors == [.malformedCommand, .malformedCommand, .malformedCommand, .severalSlots])
    }

    @Test func `a completion may send and close, but not wait`() throws {
        let server = try #require(FakeServer { _, _ in .bytes("+OK\r\n") })
        let client = try RedisClient(server.url)
        let ends = Mutex<[String]>([])
        client.send(RedisCommand("GET", "a")) { [client] _ in
            do { _ = try client.ask("GET", "a") } catch { ends.withLock { $0.append("refused") } }
            client.send(RedisCommand("GET", "b")) { _ in
                ends.withLock { $0.append("sent") }
                client.close()
            }
        }
        #expect(client.eventually { _ in ends.withLock { $0.count } == 2 })
        #expect(client.eventually { _ in (try? client.ask("GET", "a").error) == .closed })
    }

    @Test func `a call returns in time when nothing answers`() throws {
        let server = try #require(FakeServer { _, _ in .nothing })
        let client = try RedisClient(server.url)
        defer { client.close(seconds: 0) }
        let begun = SystemClock.now()
        #expect(try client.ask("GET", "a", seconds: 0.1).error?.kind == .timedOut)
        #expect((0.09...0.4).contains(SystemClock.now() - begun))
        #expect(try client.call([], seconds: 1).isEmpty)
    }
}
