// SPDX-License-Identifier: Apache-2.0
import PostgresWire
import TestKit
import Testing

@testable import Metering

struct CostliestPatternsTests {
    /// Sorted plainly, and each user's first ones taken.
    private static func naive(_ entries: [CostliestPatterns.Entry], most: Int) -> Set<PatternHandle> {
        var held: [Int32: Int] = [:]
        for entry in entries { held[entry.owner, default: 0] += 1 }
        // The largest share with which all lists together are no longer than `most`.
        let share = (0...most).last { share in held.values.reduce(0) { $0 + min($1, share) } <= most } ?? 0
        var (taken, listed) = ([Int32: Int](), Set<PatternHandle>())
        for entry in entries.sorted(by: { ($0.cost, $1.handle) > ($1.cost, $0.handle) }) {
            taken[entry.owner, default: 0] += 1
            if taken[entry.owner, default: 0] <= share { listed.insert(entry.handle) }
        }
        return listed
    }

    @Test(arguments: 0..<40) func `the most costly ones of each user are listed, as a plain sort says`(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<50 {
            let owners = Int32.random(in: 1...8, using: &random)
            // Few costs make many ties; one user has most of the patterns.
            let entries = (0..<Int32.random(in: 1...300, using: &random)).map { handle in
                CostliestPatterns.Entry(
                    handle: handle,
                    owner: Bool.random(using: &random) ? 0 : Int32.random(in: 0..<owners, using: &random),
                    cost: Int64.random(in: 0...(seed.isMultiple(of: 2) ? 5 : 1_000_000), using: &random)
                )
            }
            let most = Int.random(in: 0...entries.count, using: &random)
            let choice = CostliestPatterns(entries, most: most)
            let expected = Self.naive(entries, most: most)
            #expect(Set(choice.listed) == expected, "seed \(seed), most \(most)")
            #expect((choice.listed + choice.others).sorted() == entries.map(\.handle))
            #expect(choice.listed.count <= most)
        }
    }
}
