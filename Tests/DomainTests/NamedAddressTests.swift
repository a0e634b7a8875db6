// SPDX-License-Identifier: Apache-2.0
import Domain
import TestKit
import Testing

struct NamedServerTests {
    @Test(arguments: [
        ("10.0.0.5", "10.0.0.5"), ("10.0.0.5:5433", "10.0.0.5:5433"), ("2001:db8::5", "2001:db8::5"),
        ("[2001:db8::5]", "2001:db8::5"), ("[2001:db8::5]:5433", "[2001:db8::5]:5433"), ("::1", "::1"),
        ("2001:db8:0:0::5432", "2001:db8::5432"), ("::ffff:10.0.0.5", "10.0.0.5"),
    ])
    func `an address is read with or without a port, and printed as it is read`(
        _ text: String,
        _ printed: String
    ) throws {
        let server = try #require(Endpoint(server: text))
        #expect(server.serverText == printed)
        #expect(Endpoint(server: printed) == server)
    }

    @Test(arguments: [
        "", "db", "db:5432", "localhost", "10.0.0.5:0", "10.0.0.5:65536", "10.0.0.5:", "[10.0.0.5]", "10.0.0.0/24",
        "2001:db8::/32", "[2001:db8::5", "10.0.0", ":5432", "*",
    ])
    func `what is no address is refused`(_ text: String) { #expect(Endpoint(server: text) == nil) }

    @Test func `a server counts if its address was named, and its port or none`() throws {
        let named = try ["10.0.0.5:5432", "10.0.0.6", "[2001:db8::5]:5432"].map { try #require(Endpoint(server: $0)) }
        let servers = NamedServers(named)
        for (text, counts) in [
            ("10.0.0.5:5432", true), ("10.0.0.5:5433", false), ("10.0.0.6:1", true), ("10.0.0.6:65535", true),
            ("10.0.0.7:5432", false), ("[2001:db8::5]:5432", true), ("[2001:db8::5]:5433", false),
            ("[2001:db8::6]:5432", false), ("[::10.0.0.5]:5432", false), ("[::1]:5432", false),
        ] {
            #expect(servers.contains(try #require(Endpoint(text))) == counts, "\(text)")
            #expect(NamedServers().contains(try #require(Endpoint(text))))
        }
    }

    @Test func `ports of named servers are watched, instead of the standard one and beside those that were asked for`()
        throws
    {
        func ports(_ names: [String], _ given: [UInt16], isStandard: Bool) throws -> [UInt16] {
            NamedServers(try names.map { try #require(Endpoint(server: $0)) }).ports(
                besides: given,
                isStandard: isStandard
            )
        }
        #expect(try ports([], [5432], isStandard: true) == [5432])
        #expect(try ports(["10.0.0.5"], [5432], isStandard: true) == [5432])
        #expect(try ports(["10.0.0.5:5433", "10.0.0.6:5433"], [5432], isStandard: true) == [5433])
        #expect(try ports(["10.0.0.5:5433", "10.0.0.6"], [5432], isStandard: true) == [5432, 5433])
        #expect(try ports(["10.0.0.5:5433"], [5432], isStandard: false) == [5432, 5433])
        #expect(try ports(["10.0.0.5:5433"], [], isStandard: false) == [])
    }
}

struct AddressRangeTests {
    /// The bits of an address, IPv4 as an IPv4-mapped one.
    private func bits(_ end: Endpoint) -> [Bool] {
        [end.high, end.low].flatMap { word in (0..<64).map { word >> UInt64(63 - $0) & 1 == 1 } }
    }

    @Test func `an address is in a range if the bits of the prefix are equal, for every prefix`() throws {
        var random = SplitMix64(seed: 11)
        for isIPv4 in [true, false] {
            for length in 0...(isIPv4 ? 32 : 128) {
                for _ in 0..<20 {
                    let high = isIPv4 ? 0 : random.next()
                    let low = isIPv4 ? 0xFFFF_0000_0000 | random.next() >> 32 : random.next()
                    let base = Endpoint(high: high, low: low, port: 0)
                    let range = try #require(AddressRange("\(base.serverText)/\(length)"))
                    // One bit of another, so that near ones are met too.
                    let place = Int(random.next() % (isIPv4 ? 32 : 128)) + (isIPv4 ? 96 : 0)
                    let flipped = Endpoint(
                        high: high ^ (place < 64 ? 1 << UInt64(63 - place) : 0),
                        low: low ^ (place < 64 ? 0 : 1 << UInt64(127 - place)),
                        port: 0
                    )
                    let prefix = length + (isIPv4 ? 96 : 0)
                    for other in [base, flipped] {
                        let isIn = bits(base).prefix(prefix) == bits(other).prefix(prefix)
                        #expect(range.contains(high: other.high, low: other.low) == isIn)
                    }
                    if isIPv4 { #expect(!range.contains(high: 1, low: low)) }
                }
            }
        }
    }

    @Test(arguments: [
        "", "/24", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/", "10.0.0/8", "2001:db8::/129", "db/24",
        "10.0.0.1:5",
    ])
    func `what is no range is refused`(_ text: String) { #expect(AddressRange(text) == nil) }

    @Test func `without any range no address is in them`() {
        #expect(!AddressRanges().contains(high: 0, low: 0xFFFF_0A00_0001))
    }
}
