// SPDX-License-Identifier: Apache-2.0
import Domain
import TestKit
import Testing

struct PortCensusTests {
    @Test func `the busiest ports are found among many, in whatever order they come`() {
        var random = SplitMix64(seed: 5)
        var ports = (1...2000).map { UInt16($0 + 10_000) }
        for port in [443, 5433, 8080] as [UInt16] { ports += Array(repeating: port, count: 3000) }
        ports.shuffle(using: &random)
        var census = PortCensus()
        for port in ports { census.note(port, isPostgreSQL: port == 5433, isTLS: port == 443) }
        let ranked = census.ranked
        #expect(ranked.first?.port == 5433 && ranked.first?.isPostgreSQL == true)
        #expect(Set(ranked.prefix(3).map(\.port)) == [443, 5433, 8080])
        #expect(ranked.first { $0.port == 443 }?.isTLS == true)
        // Nothing is lost of the sum.
        #expect(ranked.reduce(0) { $0 + $1.count } == 11_000)
    }

    @Test func `two halves add up, and port 0 is one like others`() {
        var (first, second) = (PortCensus(), PortCensus())
        for _ in 0..<5 { first.note(0) }
        for _ in 0..<7 { second.note(5432, isPostgreSQL: true) }
        second.note(0)
        first.add(second)
        #expect(first.ranked.map(\.port) == [5432, 0] && first.ranked.map(\.count) == [7, 6])
        #expect(PortCensus().ranked.isEmpty)
    }
}
