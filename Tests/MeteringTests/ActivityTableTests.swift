// SPDX-License-Identifier: Apache-2.0
import Domain
import Testing

@testable import Metering

struct ActivityTableTests {
    /// What the budget of memory gives is hardly ever a power of two.
    @Test(arguments: [1, 2, 3, 1000, 1024, 1025, 28_000])
    func `a table takes as many pairs as it may, whatever the number, and counts what has no room`(limit: Int) {
        var table = ActivityTable(limit: limit)
        for pattern in 0..<Int32(limit + 10) { table.add(pattern % 7, pattern, low: 1, high: 2) }
        // Those that are there go on.
        for pattern in 0..<Int32(limit) { table.add(pattern % 7, pattern, low: 1, high: 2) }
        let taken = table.take()
        #expect(taken.count == limit && taken.allSatisfy { $0.counts.costLow == 2 && $0.counts.cost == 4 })
        #expect(table.isEmpty)
    }
}
