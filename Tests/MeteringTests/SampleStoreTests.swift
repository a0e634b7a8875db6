// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import TestKit
import Testing

@testable import Metering

struct SampleStoreTests {
    private func sample(_ count: Int) -> PatternSample { PatternSample(text: Array(repeating: 0x78, count: count)) }

    @Test func `one user with many long texts loses own ones, others keep theirs`() {
        var store = SampleStore(limit: 1 << 20)
        for pattern in 0..<20 as Range<Int32> { store.keep(sample(1000), of: pattern, for: 1) }
        for pattern in 100..<4700 as Range<Int32> { store.keep(sample(64_000), of: pattern, for: 2) }
        for pattern in 5000..<5020 as Range<Int32> { store.keep(sample(1000), of: pattern, for: 3) }
        #expect((0..<20).allSatisfy { store[$0] != nil } && (5000..<5020).allSatisfy { store[$0] != nil })
        #expect(store.bytes(of: 2) <= 1 << 18 && store[4699] != nil && store[100] == nil)
    }

    @Test func `bytes stay within the limit, with any number of users, types included`() {
        let seed = Randomness.seed
        var random = SplitMix64(seed: seed)
        var store = SampleStore(limit: 1 << 20)
        let types = Array(repeating: UInt8(1), count: 40_000)
        for _ in 0..<20_000 {
            let pattern = Int32.random(in: 0..<3000, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0: store.remove(pattern)
            case 1: store.keep(types: types.rawSpan, of: pattern)
            case 2: store.move(from: Int32.random(in: 0..<40, using: &random), to: 0)
            default:
                let owner = Int32.random(in: 0..<40, using: &random)
                store.keep(sample(Int.random(in: 0...65_536, using: &random)), of: pattern, for: owner)
            }
            #expect(store.bytes <= 1 << 20, "seed \(seed)")
        }
    }
}
