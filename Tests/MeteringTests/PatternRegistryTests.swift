// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import PostgresWire
import TestKit
import Testing

@testable import Metering

struct PatternRegistryTests {
    /// Few values, so that many patterns have one home.
    private static func fingerprint(_ number: Int) -> Fingerprint {
        Fingerprint(high: UInt64(number), low: UInt64(number % 3))
    }

    @Test func `the index finds what was added and nothing that was taken out, in any order`() {
        let seed = Randomness.seed
        var random = SplitMix64(seed: seed)
        let records = SlotTable(limit: 1 << 14, blank: PatternRecord())
        var table = records
        var index = PatternIndex()
        var model: [Int: PatternHandle] = [:]
        for _ in 0..<20_000 {
            let number = Int.random(in: 0..<6000, using: &random)
            if let known = model.removeValue(forKey: number) {
                index.remove(known, in: table)
                table.give(known)
            } else if let handle = table.take() {
                table[handle].fingerprint = Self.spread(number)
                index.insert(handle, in: table)
                model[number] = handle
            }
        }
        for number in 0..<6000 {
            let found = index.find(Self.spread(number), 0, in: table)
            #expect(found == model[number], "seed \(seed)")
        }
    }

    /// Runs of fifty share a home.
    private static func spread(_ number: Int) -> Fingerprint {
        Fingerprint(high: UInt64(number), low: UInt64(number / 50) &* 0x9E37_79B9_7F4A_7C15)
    }

    private static func add(_ number: Int, _ owner: Int32, to registry: inout PatternRegistry) -> PatternHandle {
        registry.add(
            fingerprint(number),
            PatternScope(database: 1),
            key: .unknown,
            text: Array("select \(number)".utf8),
            ordinal: UInt64(number),
            owner: owner,
            Fingerprint(high: 0, low: UInt64(owner))
        )
    }

    @Test func `nothing that was counted is lost, whatever makes room, and what is referred to stays`() {
        let seed = Randomness.seed
        var random = SplitMix64(seed: seed)
        var registry = PatternRegistry(limit: 64, hash: .standard)
        var calls: UInt64 = 0
        var used: [Int: PatternHandle] = [:]
        for step in 0..<6000 {
            let number = step % 5 == 0 ? step % 10 : step
            let code = PatternScope(database: 1).code
            let handle =
                registry.find(Self.fingerprint(number), code)
                ?? Self.add(number, Int32.random(in: 1...3, using: &random), to: &registry)
            registry.slot(handle).value.calls &+= 1
            calls += 1
            if number < 10 { used[number] = handle }
            guard registry.wantsSweep, registry.condemn() else { continue }
            for handle in used.values { registry.spare(handle) }
            let gone = registry.removeCondemned { Fingerprint(high: 0, low: UInt64($0)) }
            let isKept = used.values.allSatisfy { gone[$0] == nil || registry.slot($0).value.isOther }
            #expect(isKept, "seed \(seed)")
            registry.giveBack()
        }
        var sum: UInt64 = 0
        for place in 0..<registry.highWater { sum += registry.occupant(at: place)?.value.calls ?? 0 }
        let (evictions, count) = (registry.evictions, registry.count)
        #expect(sum == calls && evictions > 1000 && count <= 64 + 3 * 2, "seed \(seed)")
    }

    @Test func `a pattern whose text is wanted is found anew once`() {
        var registry = PatternRegistry(limit: 64, hash: .standard)
        let handle = Self.add(1, 1, to: &registry)
        let code = PatternScope(database: 1).code
        registry.slot(handle).value.scopeCode |= PatternRecord.wantsSample
        let (before, anew, after) = (
            registry.find(Self.fingerprint(1), code), registry.findAnew(Self.fingerprint(1), code),
            registry.find(Self.fingerprint(1), code)
        )
        #expect(before == nil && anew == handle && after == handle)
    }

    @Test func `patterns of a user who is forgotten are nobody's, durations that were not learned from too`() {
        var registry = PatternRegistry(limit: 64, hash: .standard)
        let handle = Self.add(1, 5, to: &registry)
        registry.slot(handle).value.learn(1000, of: 5)
        _ = registry.disown(5)
        registry.forget([5])
        let (owner, own, nobodys) = (registry.owner(of: handle), registry.weight(of: 5), registry.weight(of: 0))
        let left = registry.slot(handle).value.takeDurations()
        #expect(owner == 0 && own == 0 && nobodys == 1 && left == nil)
    }

    @Test func `durations are taken of one user at a time, in turns`() {
        var record = PatternRecord()
        var users: [Int32] = []
        for _ in 0..<6 {
            record.learn(10, of: 1)
            record.learn(20, of: 2)
            if let taken = record.takeDurations() { users.append(taken.user) }
        }
        #expect(users.count == 6 && Set(users) == [1, 2])
        #expect(zip(users, users.dropFirst()).allSatisfy { $0 != $1 })
    }
}
