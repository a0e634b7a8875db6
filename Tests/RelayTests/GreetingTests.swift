// SPDX-License-Identifier: Apache-2.0
import Domain
import Synchronization
import Testing

@testable import Relay

@Suite("What a relay knows of PostgreSQL")
struct GreetingTests {
    @Test(
        "first packets are told apart",
        arguments: [
            ([0, 0, 0, 8, 0x04, 0xD2, 0x16, 0x2F], Greeting.tlsRequest),
            ([0, 0, 0, 8, 0x04, 0xD2, 0x16, 0x30], .gssRequest),
            ([0, 0, 0, 16, 0x04, 0xD2, 0x16, 0x2E], .cancel),
            ([0, 0, 1, 12, 0x04, 0xD2, 0x16, 0x2E], .cancel),
            ([0, 0, 0, 41, 0, 3, 0, 0], .other),
            ([0, 0, 0, 9, 0x04, 0xD2, 0x16, 0x2F], .other),
            ([0x16, 3, 1], .directTLS),
            ([0, 0, 0, 8, 0x04, 0xD2, 0x16], .unfinished),
            ([], .unfinished),
        ] as [([UInt8], Greeting)]
    )
    func greetings(_ bytes: [UInt8], _ wanted: Greeting) { #expect(Greeting(bytes) == wanted) }

    @Test("a refusal is an ErrorResponse with its SQLSTATE", arguments: [Refusal.tooMany, .unreachable, .tlsRequired])
    func refusals(_ refusal: Refusal) {
        let bytes = refusal.message
        #expect(bytes.first == 0x45)
        #expect(Int(bytes[3]) << 8 + Int(bytes[4]) == bytes.count - 1)
        let fields = bytes.dropFirst(5).split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        #expect(fields.contains("C" + refusal.code) && fields.contains("SFATAL"))
        #expect(bytes.suffix(2) == [0, 0])
    }

    @Test("probes are answered by what is so")
    func probes() {
        let ask = { (line: String, isReady: Bool) in
            String(decoding: HealthResponder.answer(Array("\(line)\r\n\r\n".utf8), isReady: isReady), as: UTF8.self)
        }
        #expect(ask("GET /-/ready HTTP/1.1", true).hasPrefix("HTTP/1.1 200 "))
        #expect(ask("GET /-/ready HTTP/1.1", false).hasPrefix("HTTP/1.1 503 "))
        #expect(ask("GET /-/healthy HTTP/1.0", false).hasPrefix("HTTP/1.1 200 "))
        #expect(ask("GET / HTTP/1.1", true).hasPrefix("HTTP/1.1 404 "))
        #expect(ask("POST /-/ready HTTP/1.1", true).hasPrefix("HTTP/1.1 405 "))
        #expect(ask("", true).hasPrefix("HTTP/1.1 405 "))
    }

    @Test("the PROXY header is that of the specification, for both families")
    func proxyHeader() {
        let four = { SocketAddress(endpoint: Endpoint(ipv4: $0, port: $1)) }
        let plain = ProxyHeader.bytes(from: four(0x0A00_0001, 0x1234), to: four(0x0A00_0002, 0x5678))
        let start: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]
        #expect(plain == start + [0x21, 0x11, 0, 12, 10, 0, 0, 1, 10, 0, 0, 2, 0x12, 0x34, 0x56, 0x78])
        let six = SocketAddress(endpoint: Endpoint(high: 0x2001_0DB8_0000_0000, low: 1, port: 5))
        let mixed = ProxyHeader.bytes(from: six, to: four(0x0A00_0002, 6))
        #expect(Array(mixed[12..<16]) == [0x21, 0x21, 0, 36] && mixed.count == 52)
        #expect(Array(mixed[42..<48]) == [0xFF, 0xFF, 10, 0, 0, 2])
    }
}

@Suite("Names of listeners and servers")
struct HostPortTests {
    @Test(
        "what people write is understood",
        arguments: [
            ("6543", "*:6543"), (":6543", "*:6543"), ("db:5433", "db:5433"), ("db", "db:5432"),
            ("10.0.0.1", "10.0.0.1:5432"), ("[::1]:6000", "[::1]:6000"), ("[::1]", "[::1]:5432"),
        ]
    )
    func good(_ text: String, _ wanted: String) {
        #expect(HostPort(text, defaultPort: 5432)?.description == wanted)
    }

    @Test(
        "what means nothing is refused",
        arguments: ["", "db:", "db:0", "db:70000", "::1", "[::1", "[::1]x", "a b:1", "/tmp:1", "a\"b:1", "a\\b:1"]
    )
    func bad(_ text: String) { #expect(HostPort(text, defaultPort: 5432) == nil) }

    @Test("a listener needs a port")
    func noPort() { #expect(HostPort("localhost") == nil) }
}

@Suite("The order of servers")
struct UpstreamsTests {
    @Test("a server that failed comes last, and the names stay with their addresses")
    func order() throws {
        let names = [try #require(HostPort("127.0.0.1:1")), try #require(HostPort("127.0.0.2:2"))]
        let upstreams = Upstreams(names)
        #expect(upstreams.order.map(\.address.text) == ["127.0.0.1:1", "127.0.0.2:2"])
        let before = upstreams.version.load(ordering: .relaxed)
        upstreams.noteFailure(upstreams.order[0], ofTLS: false)
        #expect(upstreams.order.map(\.host) == ["127.0.0.2", "127.0.0.1"])
        #expect(upstreams.version.load(ordering: .relaxed) > before)
        #expect(upstreams.all.map(\.isHealthy) == [false, true])
    }
}
