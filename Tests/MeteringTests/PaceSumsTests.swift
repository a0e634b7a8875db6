// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import TestKit
import Testing

@testable import Metering

/// What is kept of too many paces does not depend on who counted them.
struct PaceSumsTests {
    private func keys(_ count: Int, _ random: inout SplitMix64) -> [PaceSums<Int32>.Key] {
        (0..<count).map { _ in
            PaceSums<Int32>.Key(
                second: Int64.random(in: 0..<50, using: &random),
                tenant: Fingerprint(high: 1, low: UInt64.random(in: 0..<20, using: &random)),
                pattern: Fingerprint(high: UInt64.random(in: 0..<40, using: &random) &* 0x9E37_79B9, low: 7),
                database: 1
            )
        }
    }

    private func pace(_ logarithm: Int64) -> Pace {
        var pace = Pace()
        pace.add(logarithm)
        return pace
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `parts that were thinned apart and added are what one log is`(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let keys = keys(20_000, &random)
        for most in [16, 500, 4000, 1 << 18] {
            var results: [[PaceSums<Int32>.Key: Pace]] = []
            for workers in 1...4 {
                var logs = (0..<workers).map { _ in PaceLog(places: 0, most: most) }
                for (index, key) in keys.enumerated() {
                    logs[index * 7 % workers].keep(pace(Int64(index)), of: key)
                }
                var sums = PaceSums<Int32>(most: most)
                for log in logs {
                    #expect(log.entries.count < 2 * most)
                    for entry in log.entries { sums.add(entry.pace, to: entry.key) }
                }
                sums.thin(atLeast: logs.map(\.level).max() ?? 0)
                #expect(sums.sums.count <= most && (sums.level > 0 || sums.sums.count == Set(keys).count))
                results.append(sums.sums)
            }
            // A sum that was thinned away and came back would lack what was counted before.
            #expect(results.allSatisfy { $0.mapValues(\.count) == results[0].mapValues(\.count) }, "\(most)")
            #expect(results.allSatisfy { $0.mapValues(\.sum) == results[0].mapValues(\.sum) }, "\(most)")
        }
    }

    @Test func `about as many are kept as there is room for`() {
        var random = SplitMix64(seed: 3)
        var sums = PaceSums<Int32>(most: 5000)
        for key in keys(60_000, &random) { sums.add(pace(1), to: key) }
        sums.thin()
        #expect(sums.sums.count > 2000 && sums.sums.count <= 5000)
    }
}
