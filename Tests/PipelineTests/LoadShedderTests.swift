// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Pipeline

struct LoadShedderTests {
    /// The rungs after each interval, of drops in it.
    @Test func `response rows go first and come back last`() {
        var shedder = LoadShedder(canCutResponses: true)
        var total: UInt64 = 0
        let steps = ([9, 9, 9, 9] + Array(repeating: 0, count: 20) as [UInt64]).enumerated().map { index, count in
            total += count
            _ = shedder.look(drops: total, load: 0, at: Int64(index) * LoadShedder.interval)
            return shedder.cutsResponses ? 1 + shedder.rung : 0
        }
        #expect(Array(steps.prefix(5)) == [0, 1, 1, 2, 2])
        #expect(steps[11] == 1)
        #expect(steps.last == 0)
    }

    @Test func `where rows cannot be left out, flows are at once`() {
        var shedder = LoadShedder(canCutResponses: true)
        for index in 1...2 as ClosedRange<UInt64> {
            _ = shedder.look(drops: index, load: 0, at: 0)
            if shedder.cutsResponses { shedder.cannotCutResponses() }
        }
        #expect(!shedder.cutsResponses)
        #expect(shedder.rung == 1)
    }

    private static func rungs(_ drops: [UInt64]) -> [Int] {
        var shedder = LoadShedder()
        var total: UInt64 = 0
        return drops.enumerated().map { index, count in
            total += count
            _ = shedder.look(drops: total, load: 0, at: Int64(index) * LoadShedder.interval)
            return shedder.rung
        }
    }

    @Test func `one burst of drops is a pause and changes nothing`() {
        #expect(Self.rungs([0, 50_000, 0, 0, 1, 0, 7, 0]).allSatisfy { $0 == 0 })
    }

    @Test func `lasting drops go up a rung at a time, to the last one`() {
        #expect(Self.rungs(Array(repeating: 9, count: 12)) == [0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 4])
    }

    @Test func `calm goes down a rung at a time, to none`() {
        let rungs = Self.rungs([9, 9, 9, 9] + Array(repeating: 0, count: 20))
        #expect(rungs[3] == 2)
        #expect(rungs[11] == 1)
        #expect(rungs.last == 0)
    }

    /// The rungs after each interval, of drops and load in it.
    private static func rungs(_ intervals: [(drops: UInt64, load: UInt64)]) -> [Int] {
        var shedder = LoadShedder()
        var (drops, load) = (0 as UInt64, 0 as UInt64)
        return intervals.enumerated().map { index, interval in
            drops += interval.drops
            load += interval.load
            _ = shedder.look(drops: drops, load: load, at: Int64(index + 1) * LoadShedder.interval)
            return shedder.rung
        }
    }

    @Test func `while as much comes as was too much, a rung is kept, for a minute at most`() {
        let busy: (UInt64, UInt64) = (0, 1000)
        let rungs = Self.rungs([(9, 1000), (9, 1000)] + Array(repeating: busy, count: 250))
        #expect(rungs[1] == 1)
        #expect(rungs[240] == 1)
        #expect(rungs[241] == 0)
    }

    @Test func `once half as much comes as was too much, a rung goes, but not while that comes and goes`() {
        let little: (UInt64, UInt64) = (0, 500)
        let calm = Self.rungs([(9, 1000), (9, 800)] + Array(repeating: little, count: 8))
        #expect(calm[8] == 1)
        #expect(calm[9] == 0)
        let waves = Self.rungs([(9, 1000), (9, 800)] + (0..<100 as Range<UInt64>).map { (0, $0 % 4 == 0 ? 900 : 10) })
        #expect(waves.last == 1)
    }

    @Test func `the load at a pause is no measure of a later overload`() {
        let small: (UInt64, UInt64) = (0, 80)
        let rungs = Self.rungs([(9, 1000), (0, 1000), (9, 100), (9, 100)] + Array(repeating: small, count: 20))
        #expect(rungs.last == 1)
    }

    @Test func `a load that was too much before the last overload ended is forgotten`() {
        let none: (UInt64, UInt64) = (0, 0)
        let small: (UInt64, UInt64) = (0, 80)
        let much: [(UInt64, UInt64)] = [(9, 1000), (9, 1000)]
        let less: [(UInt64, UInt64)] = [(9, 100), (9, 100)]
        let rungs = Self.rungs(
            much + Array(repeating: none, count: 8) + less + Array(repeating: small, count: 20)
        )
        #expect(rungs[9] == 0)
        #expect(rungs.last == 1)
    }

    @Test func `each rung leaves out half of what is left, always the same flows`() {
        var shedder = LoadShedder()
        let hashes = (0..<4096 as Range<UInt64>).map { $0 << 20 }
        var before = Set<UInt64>(hashes)
        for rung in 1...LoadShedder.most {
            _ = shedder.look(drops: UInt64(rung * 2), load: 0, at: 0)
            _ = shedder.look(drops: UInt64(rung * 2 + 1), load: 0, at: 0)
            #expect(shedder.rung == rung)
            var kept: Set<UInt64> = []
            for hash in hashes where !shedder.leavesOut(hash) { kept.insert(hash) }
            #expect(kept.count == 4096 >> rung && kept.isSubset(of: before))
            before = kept
        }
        #expect(shedder.shed == UInt64(4096 * 4 - 2048 - 1024 - 512 - 256))
    }
}
