// SPDX-License-Identifier: Apache-2.0
import PostgresWire
import TestKit
import Testing

@testable import Pipeline

/// Who ran what since the last time: a table of any size, as a budget of memory gives it.
struct ActivityTableTests {
    @Test(arguments: [1, 7, 512, 700, 1000, 36_111])
    func `a table of any size is filled to its limit, and says what has no room`(limit: Int) {
        var table = ActivityTable(limit: limit)
        var random = SplitMix64(seed: UInt64(limit))
        var wanted: [Int: Int64] = [:]
        for step in 0..<3 * limit {
            // Some come again.
            let pattern = step % 3 == 2 ? step / 2 : Int.random(in: 0..<1 << 30, using: &random)
            if wanted[pattern] == nil, wanted.count == limit { continue }
            wanted[pattern, default: 0] += Int64(step)
            table.add(1, Int32(pattern), low: 0, high: Int64(step))
        }
        let taken = table.take()
        #expect(taken.count == wanted.count && taken.count == limit)
        #expect(taken.allSatisfy { $0.principal == 1 && wanted[Int($0.pattern)] == $0.counts.cost })
        #expect(table.take().isEmpty)
    }
}
