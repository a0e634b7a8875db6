// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import TestKit
import Testing

struct PriceKeyTests {
    @Test func `everything that changes a plan changes the key`() {
        let hash = KeyedHash.standard
        func name(_ text: String) -> Fingerprint { hash.hash(Array(text.utf8).rawSpan) }
        let plain = PriceKey(cluster: name("main"), database: name("shop"), pattern: name("select ?"))
        var variants = [plain]
        var other = plain
        other.cluster = name("other")
        variants.append(other)
        other = plain
        other.database = name("crm")
        variants.append(other)
        other = plain
        other.path = name("two")
        variants.append(other)
        other = plain
        other.role = name("two")
        variants.append(other)
        other = plain
        other.pattern = name("select ?, ?")
        variants.append(other)
        other = plain
        other.limit = .upTo10
        variants.append(other)
        other = plain
        other.offset = .upTo10
        variants.append(other)
        #expect(Set(variants.map { $0.digest(hash) }).count == variants.count)
        #expect(plain.digest(hash) == plain.digest(hash))
        #expect(plain.digest(hash) != plain.digest(KeyedHash(seed: 7)))
    }
}

struct PriceQueueTests {
    private func key(_ number: UInt64) -> Fingerprint { Fingerprint(high: 0, low: number) }
    private let second: Int64 = 1_000_000_000

    @Test func `popular patterns come first, and the longest waiting one now and then`() {
        var queue = PriceQueue<Int>()
        queue.add(key(1), 1, calls: 1, at: 0)
        queue.add(key(2), 2, calls: 50, at: 1)
        queue.add(key(3), 3, calls: 10, at: 2)
        queue.add(key(4), 4, calls: 20, at: 3)
        #expect((0..<4).compactMap { queue.next(turn: $0)?.request } == [2, 4, 3, 1])
        queue.add(key(1), 1, calls: 1, at: 0)
        queue.add(key(2), 2, calls: 50, at: 1)
        #expect(queue.next(turn: 3)?.request == 1)
    }

    @Test func `a pattern waits once, however often it is asked for`() {
        var queue = PriceQueue<Int>()
        for _ in 0..<5 { queue.add(key(1), 1, calls: 3, at: 0) }
        #expect(queue.count == 1 && queue.duplicates == 4)
    }

    @Test func `a full queue leaves out the rare ones, and counts them`() {
        var queue = PriceQueue<Int>(limit: 2)
        queue.add(key(1), 1, calls: 5, at: 0)
        queue.add(key(2), 2, calls: 6, at: 0)
        queue.add(key(3), 3, calls: 1, at: 0)
        #expect(queue.count == 2 && queue.overflow == 1)
        queue.add(key(4), 4, calls: 9, at: 0)
        #expect(queue.next(turn: 0)?.request == 4 && queue.next(turn: 0)?.request == 2)
    }

    @Test func `what failed rests for a minute, then longer, up to ten minutes`() {
        var queue = PriceQueue<Int>()
        var time: Int64 = 0
        for rest in [60, 120, 240, 480, 600, 600] as [Int64] {
            _ = queue.failed(key(1), at: time)
            queue.add(key(1), 1, calls: 1, at: time + (rest - 1) * second)
            #expect(queue.count == 0)
            time += rest * second
            queue.add(key(1), 1, calls: 1, at: time)
            #expect(queue.next(turn: 0) != nil)
        }
        queue.succeeded(key(1))
        queue.add(key(1), 1, calls: 1, at: time)
        #expect(queue.count == 1)
    }

    @Test func `users take turns, however many patterns one of them makes up`() {
        var queue = PriceQueue<(user: String, bytes: Int)>(limit: 1000) { ($0.user, $0.bytes) }
        for number in 0..<5000 as Range<UInt64> { queue.add(key(number), ("eve", 10), calls: 3, at: 0) }
        for number in 10_000..<10_010 as Range<UInt64> { queue.add(key(number), ("ann", 10), calls: 1, at: 1) }
        for number in 20_000..<20_003 as Range<UInt64> { queue.add(key(number), ("ben", 10), calls: 1, at: 1) }
        #expect(queue.count <= 1000)
        let first = (0..<26).compactMap { queue.next(turn: $0)?.request.user }
        #expect(first.filter { $0 == "ann" }.count == 10 && first.filter { $0 == "ben" }.count == 3)
    }

    @Test func `a user whose questions take long has fewer turns`() {
        var queue = PriceQueue<String>(limit: 1000) { ($0, 0) }
        for number in 0..<300 as Range<UInt64> { queue.add(key(number), "eve", calls: 3, at: 0) }
        for number in 1000..<1300 as Range<UInt64> { queue.add(key(number), "ann", calls: 1, at: 1) }
        var turns: [String: Int] = [:]
        for turn in 0..<110 as Range<UInt64> {
            guard let next = queue.next(turn: turn)?.request else { break }
            turns[next, default: 0] += 1
            queue.charge(next == "eve" ? 20 : 1, to: next)
        }
        #expect(turns["eve", default: 0] <= 12 && turns["ann", default: 0] >= 95)
    }

    @Test func `long texts of one user leave room for those of others`() {
        var queue = PriceQueue<(user: String, bytes: Int)>(limit: 1000, bytes: 1 << 20) { ($0.user, $0.bytes) }
        for number in 0..<500 as Range<UInt64> { queue.add(key(number), ("eve", 64_000), calls: 9, at: 0) }
        for number in 1000..<1005 as Range<UInt64> { queue.add(key(number), ("ann", 64_000), calls: 1, at: 1) }
        let found = (0..<100).compactMap { queue.next(turn: $0)?.request }
        #expect(found.filter { $0.user == "ann" }.count == 5)
        #expect(found.reduce(0) { $0 + $1.bytes } <= 1 << 20)
    }

    @Test func `a queue stays within its bounds, and gives out what it took`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SplitMix64(seed: seed)
        var queue = PriceQueue<(user: String, bytes: Int)>(limit: 50, bytes: 10_000) { ($0.user, $0.bytes) }
        var waiting: Set<Fingerprint> = []
        for step in 0..<20_000 as Range<UInt64> {
            let key = key(UInt64.random(in: 0..<200, using: &random))
            if Bool.random(using: &random) {
                let user = "u\(Int.random(in: 0..<5, using: &random))"
                let size = Int.random(in: 0..<3000, using: &random)
                queue.add(key, (user, size), calls: UInt64.random(in: 1..<9, using: &random), at: Int64(step))
                waiting.insert(key)
            } else if let next = queue.next(turn: step) {
                #expect(waiting.contains(next.key), "seed \(seed)")
            } else {
                #expect(queue.count == 0, "seed \(seed)")
            }
            #expect(queue.count <= 50, "seed \(seed)")
        }
        var left = 0
        while let next = queue.next(turn: 0) {
            left += 1
            #expect(waiting.contains(next.key) && left <= 50, "seed \(seed)")
        }
        #expect(queue.count == 0, "seed \(seed)")
    }

    @Test func `whoever holds most makes room`() {
        var shares = PayerShares()
        for number in 0..<100 as Range<UInt64> { shares.add(key(number), of: "eve", weight: 2) }
        for number in 200..<210 as Range<UInt64> { shares.add(key(number), of: "ann", weight: 10) }
        #expect(shares.count == 110 && shares.weight == 300 && shares.largest == "eve")
        for key in shares.victims(60) { shares.remove(key) }
        #expect(shares.weight(of: "eve") == 80 && shares.weight(of: "ann") == 100 && shares.largest == "ann")
        shares.add(key(200), of: "eve", weight: 1)
        #expect(shares.weight(of: "ann") == 90 && shares.weight(of: "eve") == 81)
    }

    @Test func `no more than the rate passes, in any order of times`() {
        var bucket = TokenBucket(rate: 10, burst: 5)
        var passed = 0
        for step in 0..<1000 where bucket.take(at: Int64(step) * 10_000_000) { passed += 1 }
        #expect(passed >= 100 && passed <= 106)
        let isLate = bucket.take(at: 0)
        #expect(!isLate)
    }
}

struct LearnedCostTests {
    private let cost = CostUnits(units: 30)

    @Test func `nothing learned leaves the planner's price, with a floor`() {
        #expect(LearnedCost().charge(of: cost) == cost)
        #expect(LearnedCost().charge(of: .zero).units == 0.1)
    }

    @Test func `a pattern that takes longer than its plan says costs more, within bounds`() {
        var learned = LearnedCost()
        // 30 units are a millisecond: ten of them are ten times too slow.
        for _ in 0..<200 { learned.learn(1, of: 10, cost: cost) }
        #expect(abs(learned.multiplier - 10) < 1)
        for _ in 0..<500 { learned.learn(1, of: 100_000, cost: cost) }
        #expect(learned.multiplier == LearnedCost.bound)
        for _ in 0..<2000 { learned.learn(1, of: 0.000_1, cost: cost) }
        #expect(learned.multiplier == 1 / LearnedCost.bound)
    }

    @Test func `one slow run changes little, and many at once are as many one by one`() {
        var once = LearnedCost()
        once.learn(1, of: 30, cost: cost)
        #expect(once.multiplier < 2)
        var single = LearnedCost()
        var batch = LearnedCost()
        for _ in 0..<40 { single.learn(1, of: 5, cost: cost) }
        batch.learn(40, of: 5, cost: cost)
        #expect(abs(single.multiplier - batch.multiplier) < 0.05)
    }

    @Test func `a new cost keeps what is known of the time`() {
        var learned = LearnedCost()
        for _ in 0..<500 { learned.learn(1, of: 10, cost: cost) }
        let before = learned.charge(of: cost).units
        learned.rebase(from: cost, to: CostUnits(units: 300))
        #expect(abs(learned.charge(of: CostUnits(units: 300)).units - before) < 0.1 * before)
    }

    @Test func `what is not to be planned is charged by its time, cheap or expensive`() {
        var price = CostStoreContract.price(1)
        (price.method, price.failure, price.cost) = (.failed, "unsafe: functions", .fallback)
        #expect(price.charge == .fallback)
        for _ in 0..<200 { price.learned.learn(1, of: 4000, cost: price.cost) }
        #expect(abs(price.charge.units - 120_000) < 2000)
        price.failure = "42P01"
        #expect(price.charge == .fallback)
    }

    @Test func `without a price three runs tell, and never more than the default`() {
        var learned = LearnedCost()
        learned.learn(2, of: 1, cost: .fallback)
        #expect(learned.chargeOfUnpriced(atMost: .fallback) == .fallback)
        learned.learn(1, of: 1, cost: .fallback)
        #expect(abs(learned.chargeOfUnpriced(atMost: .fallback).units - 30) < 1)
        for _ in 0..<100 { learned.learn(1, of: 1e6, cost: .fallback) }
        #expect(learned.chargeOfUnpriced(atMost: .fallback) == .fallback)
    }

    @Test func `durations tell what is typical, lock waits aside`() throws {
        var durations = RecentDurations()
        #expect(durations.typical == nil)
        for _ in 0..<90 { durations.record(1_000_000) }
        for _ in 0..<10 { durations.record(60_000_000_000) }
        #expect(abs(try #require(durations.typical) - 1) < 0.4)
        for value in [Int64.min, -1, 0, 1, .max] { durations.record(value) }
        #expect(durations.count == 105)
        var sum = durations
        sum.add(durations)
        #expect(sum.count == 210)
    }

    @Test func `rows and bytes are charged as the unit says`() {
        let weights = UnitWeights()
        #expect(weights.extra(.select, rows: 100, bytes: 2048) == 1_500_000)
        #expect(weights.extra(.insert, rows: 3, bytes: 0) == 6_000_000)
        #expect(weights.extra(.select, rows: .max, bytes: .max) > 0)
    }
}
