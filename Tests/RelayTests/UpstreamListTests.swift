// SPDX-License-Identifier: Apache-2.0
import Domain
import Testing

@testable import Relay

@Suite("What names of servers stand for")
struct UpstreamListTests {
    /// A list, and a connection that goes through it.
    private final class Lab {
        var list: UpstreamList
        var tried = TriedUpstreams()

        init(_ names: [String]) throws {
            list = UpstreamList(try names.map { try #require(HostPort($0, defaultPort: 5432)) })
        }

        func set(_ last: some Sequence<Int>, of index: Int = 0) -> Bool {
            list.set(last.map { address($0) }, of: index)
        }

        func note(_ last: Int, isHealthy: Bool) -> Bool {
            list.note(isHealthy: isHealthy) { $0.address == address(last) }
        }

        func take(_ answer: UpstreamProbe.Answer, of upstream: Upstream, at now: Int64) -> Bool {
            list.take(answer, of: upstream, at: now)
        }

        /// The last byte of what the connection comes to next.
        func next() -> Int? {
            guard let found = list.order.first(where: { !tried.contains($0.number) }) else { return nil }
            tried.insert(found.number)
            return Int(found.address.endpoint.low & 0xFFFF)
        }

        func address(_ last: Int) -> SocketAddress {
            SocketAddress(endpoint: Endpoint(ipv4: 0x0A00_0000 | UInt32(last), port: 5432))
        }
    }

    @Test("a connection tries each once, however the order changes meanwhile")
    func order() throws {
        let lab = try Lab(["a", "b", "c"])
        #expect(lab.set([1], of: 0) && lab.set([2], of: 1) && lab.set([3], of: 2))
        #expect(lab.next() == 1)
        // Somebody else's attempt failed at the first, later at the second, and the first answers again.
        #expect(lab.note(1, isHealthy: false) && lab.next() == 2)
        #expect(lab.note(2, isHealthy: false) && lab.note(1, isHealthy: true) && !lab.note(1, isHealthy: true))
        #expect(lab.next() == 3 && lab.next() == nil)
    }

    @Test("addresses that DNS names meanwhile are new, and one that stays keeps its number and its state")
    func moving() throws {
        let lab = try Lab(["a"])
        #expect(lab.set([1, 2]) && !lab.set([1, 2]) && lab.next() == 1)
        #expect(lab.note(2, isHealthy: false) && lab.set([3, 2]))
        #expect(lab.list.order.map(\.isFailed) == [false, true])
        #expect(lab.next() == 3 && lab.next() == 2 && lab.next() == nil)
        #expect(lab.set([]) && lab.list.order.isEmpty && !lab.list.states[0].isHealthy)
    }

    @Test("a number that was given up is not used again at once")
    func numbers() throws {
        let lab = try Lab(["a"])
        for last in 0..<250 { #expect(lab.set([last]) && lab.next() == last) }
    }

    @Test("what a connection is on its way to is never taken for a server that came later")
    func targets() throws {
        let lab = try Lab(["a", "b"])
        #expect(lab.set([1], of: 0))
        let target = try #require(lab.list.order.first)
        #expect(lab.list.order.upstream(target.serial)?.host == "a")
        // DNS takes the address away, and brings others under another name until all numbers were used again.
        #expect(lab.set([], of: 0))
        for last in 2..<1000 {
            #expect(lab.set([last], of: 1))
            #expect(lab.list.order.upstream(target.serial) == nil)
            // What becomes of that connection is not the newcomer's fault, or merit.
            #expect(!lab.take(.answers, of: target, at: 0) && !lab.take(.noTLS, of: target, at: 0))
            #expect(lab.list.order.map(\.isFailed) == [false])
        }
        #expect(lab.set([1], of: 0) && lab.list.order.upstream(target.serial) == nil)
    }

    @Test("as many as a connection can remember are used")
    func many() throws {
        let lab = try Lab(["a"])
        #expect(lab.set(0..<300) && lab.list.order.count == UpstreamList.mostAddresses)
        #expect(lab.set([299]) && lab.list.order.map(\.address) == [lab.address(299)])
    }

    @Test("a server that fails in TLS is asked ever more rarely, and one that does not accept each time")
    func pauses() throws {
        let lab = try Lab(["a"])
        #expect(lab.set([1]) && lab.list.due(at: 0).isEmpty && lab.note(1, isHealthy: false))
        let upstream = try #require(lab.list.due(at: 0).first)
        #expect(!lab.take(.noConnection, of: upstream, at: 0) && lab.list.due(at: 0) == [upstream])
        var now: Int64 = 0
        var pauses: [Int64] = []
        for _ in 0..<7 {
            #expect(lab.list.due(at: now) == [upstream] && !lab.take(.noTLS, of: upstream, at: now))
            let start = now
            while lab.list.due(at: now).isEmpty { now += 1_000_000_000 }
            pauses.append((now - start) / 1_000_000_000)
        }
        #expect(pauses == [1, 2, 4, 8, 16, 30, 30])
        #expect(lab.take(.answers, of: upstream, at: now) && lab.list.order.map(\.isFailed) == [false])
    }
}

@Suite("Which upstreams were tried")
struct TriedUpstreamsTests {
    @Test("all numbers are kept apart")
    func all() {
        var tried = TriedUpstreams()
        for number in UInt8.min...UInt8.max {
            #expect(!tried.contains(number))
            tried.insert(number)
            #expect(tried.contains(number))
        }
    }
}

@Suite("Servers that are the relay itself")
struct LoopTests {
    private func address(_ text: String) throws -> SocketAddress {
        let name = try #require(HostPort(text))
        return try #require(SocketAddress.resolve(name).first)
    }

    @Test(
        "an address leads to a listener",
        arguments: [
            ("127.0.0.1:6000", "127.0.0.1:6000", true), ("127.0.0.1:6001", "127.0.0.1:6000", false),
            ("127.0.0.2:6000", "127.0.0.1:6000", false), ("127.0.0.2:6000", "0.0.0.0:6000", true),
            ("0.0.0.0:6000", "127.0.0.1:6000", true), ("0.0.0.0:6000", "127.0.0.2:6000", false),
            ("192.0.2.1:6000", "0.0.0.0:6000", false), ("[::1]:6000", "0.0.0.0:6000", false),
            ("[::1]:6000", "[::]:6000", true), ("[::]:6000", "[::1]:6000", true),
            ("127.0.0.1:6000", "[::]:6000", false),
            ("[2001:db8::1]:6000", "[::]:6000", false), ("[::1]:6000", "[::1]:6000", true),
        ]
    )
    func leads(_ upstream: String, _ listener: String, _ wanted: Bool) throws {
        #expect(try address(upstream).leads(to: .init(address: try address(listener))) == wanted)
    }

    @Test("a listener at all IPv6 addresses may accept IPv4")
    func both() throws {
        let listener = SocketAddress.Listener(address: try address("[::]:6000"), takesIPv4: true)
        #expect(try address("127.0.0.1:6000").leads(to: listener))
        #expect(try !address("192.0.2.1:6000").leads(to: listener))
    }
}
