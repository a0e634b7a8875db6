// SPDX-License-Identifier: Apache-2.0
import TestKit
import Testing

@testable import Metering

struct OwnedListsTests {
    @Test func `lists agree with plain arrays over random orders`() {
        let seed = Randomness.seed
        var random = SplitMix64(seed: seed)
        var lists = OwnedLists()
        var model: [Int32: [(handle: Int32, weight: Int)]] = [:]
        for _ in 0..<20_000 {
            let handle = Int32.random(in: 0..<60, using: &random)
            let holder = model.first { $0.value.contains { $0.handle == handle } }?.key
            switch Int.random(in: 0..<5, using: &random) {
            case 0, 1:
                let (owner, weight) = (Int32.random(in: 0..<7, using: &random), Int.random(in: 1...9, using: &random))
                lists.append(handle, to: owner, weight: weight)
                if holder == nil { model[owner, default: []].append((handle, weight)) }
            case 2:
                lists.remove(handle)
                if let holder { model[holder]?.removeAll { $0.handle == handle } }
            case 3:
                let owner = Int32.random(in: 0..<7, using: &random)
                lists.turn(owner)
                if let first = model[owner]?.first { model[owner] = Array(model[owner]?.dropFirst() ?? []) + [first] }
            default:
                guard Int.random(in: 0..<50, using: &random) == 0 else { continue }
                let (from, to) = (Int32.random(in: 0..<7, using: &random), Int32.random(in: 0..<7, using: &random))
                lists.move(from: from, to: to)
                if from != to { model[to, default: []] += model.removeValue(forKey: from) ?? [] }
            }
            for owner in 0..<7 as Range<Int32> {
                let held = model[owner] ?? []
                #expect(lists.first(of: owner) == held.first?.handle, "seed \(seed)")
                #expect(lists.weight(of: owner) == held.reduce(0) { $0 + $1.weight }, "seed \(seed)")
            }
            #expect(lists.owners == model.values.filter { !$0.isEmpty }.count, "seed \(seed)")
            #expect(lists.weight == model.values.joined().reduce(0) { $0 + $1.weight }, "seed \(seed)")
        }
    }

    @Test func `shares fill the limit, and whoever holds less gives nothing away`() {
        let seed = Randomness.seed
        var random = SplitMix64(seed: seed)
        for _ in 0..<300 {
            var lists = OwnedLists()
            let held = (0..<Int.random(in: 1...8, using: &random)).map { _ in Int.random(in: 0...100, using: &random) }
            var handle: Int32 = 0
            for (owner, count) in held.enumerated() {
                for _ in 0..<count {
                    lists.append(handle, to: Int32(owner))
                    handle += 1
                }
            }
            let limit = Int.random(in: 1...400, using: &random)
            let share = lists.share(of: limit)
            let sum = held.reduce(0) { $0 + min($1, share) }
            #expect(sum <= limit, "seed \(seed)")
            // One more each would be too much, unless nobody has to give anything away.
            let more = held.reduce(0) { $0 + min($1, share + 1) }
            #expect(more > limit || held.allSatisfy { $0 <= share }, "seed \(seed)")
        }
    }
}
