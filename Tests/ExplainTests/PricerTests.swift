// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Synchronization
import TestKit
import Testing

@testable import Explain

/// A store that can be lost, and that can fail.
private final class FragileStore: CostStore {
    struct State {
        var prices: [Fingerprint: StoredPrice] = [:]
        var epoch = "first"
        var isBroken = false
    }
    let state = Mutex(State())
    let name = "fragile"

    private func use<Value: Sendable>(_ body: (inout sending State) -> sending Value) throws(CostStoreError) -> Value {
        guard !state.withLock({ $0.isBroken }) else { throw .unavailable(store: name, reason: "broken") }
        return state.withLock(body)
    }

    func epoch() throws(CostStoreError) -> String { try use { $0.epoch } }
    func prices(of keys: [Fingerprint]) throws(CostStoreError) -> [StoredPrice] {
        try use { state in keys.compactMap { state.prices[$0] } }
    }
    func store(_ prices: [StoredPrice]) throws(CostStoreError) {
        try use { state in for price in prices { state.prices[price.key] = price } }
    }
    func remove(_ keys: [Fingerprint]) throws(CostStoreError) {
        try use { state in for key in keys { state.prices[key] = nil } }
    }
    func scan(_ take: (StoredPrice) -> Bool) {}
    func claim(_ key: Fingerprint, seconds: Int) throws(CostStoreError) -> Bool { try use { _ in true } }
}

struct PricerTests {
    private let store = FragileStore()
    private let said = Said()

    private final class Said: Sendable {
        let lines = Mutex<[String]>([])
    }

    /// With a planner that is never asked, unless work has patience.
    private func pricer() -> Pricer { pricer(Explainer(Explainer.Options(parameters: "host=127.0.0.1 port=1"))) }

    private func pricer(_ explainer: Explainer?) -> Pricer {
        let said = said
        return Pricer(store: store, explainer: explainer, fallback: .fallback) { line in
            said.lines.withLock { $0.append(line) }
        }
    }

    private func question(_ number: UInt64, _ sql: String = "select 1") -> PriceQuestion {
        let price = CostStoreContract.price(number)
        return PriceQuestion(
            key: price.key,
            fingerprint: price.fingerprint,
            pattern: Array(price.pattern.utf8),
            sample: PatternSample(text: Array(sql.utf8)),
            database: price.database
        )
    }

    private func ask(_ pricer: Pricer, _ numbers: ClosedRange<UInt64>) -> [PriceAnswer] {
        pricer.take(questions: numbers.map { question($0) }, changes: [], observations: [], overflow: 0)
    }

    private func sweep(_ pricer: Pricer) {
        pricer.lastSweep = 0
        _ = pricer.work(patience: 0)
    }

    private var stored: Int { store.state.withLock { $0.prices.count } }

    @Test func `what the store knows is answered at once`() throws {
        try store.store((1...5).map { CostStoreContract.price($0) })
        let pricer = pricer()
        #expect(ask(pricer, 1...7).count == 5)
        #expect(pricer.counters.found == 5 && pricer.counters.questions == 7)
    }

    @Test func `a store that was lost is given its prices back`() throws {
        try store.store((1...150).map { CostStoreContract.price($0) })
        let pricer = pricer()
        _ = ask(pricer, 1...150)
        sweep(pricer)
        store.state.withLock { ($0.prices, $0.epoch) = ([:], "second") }
        sweep(pricer)
        #expect(stored == 150)
    }

    @Test func `what is forgotten by hand stays forgotten, though it is everything`() throws {
        try store.store((1...150).map { CostStoreContract.price($0) })
        let pricer = pricer()
        _ = ask(pricer, 1...150)
        sweep(pricer)
        store.state.withLock { $0.prices = [:] }
        sweep(pricer)
        #expect(stored == 0 && pricer.known.isEmpty && pricer.queue.count == 150)
    }

    @Test func `a pin of another hand is taken, and told`() throws {
        try store.store([CostStoreContract.price(1)])
        let pricer = pricer()
        _ = ask(pricer, 1...1)
        var pinned = CostStoreContract.price(1, units: 77)
        pinned.method = .pinned
        try store.store([pinned])
        sweep(pricer)
        #expect(pricer.work(patience: 0).map(\.price) == [77_000_000])
    }

    @Test func `a store that fails is told of once, and again when it has worked in between`() throws {
        let pricer = pricer()
        for _ in 0..<3 {
            store.state.withLock { $0.isBroken = true }
            for _ in 0..<20 { _ = ask(pricer, 1...3) }
            store.state.withLock { $0.isBroken = false }
            _ = ask(pricer, 1...3)
        }
        #expect(said.lines.withLock { $0.count } == 3)
        #expect(pricer.counters.storeErrors == 60)
    }

    @Test func `what failed is asked for again when its rest is over, if it runs`() throws {
        let pricer = pricer(Explainer(Explainer.Options(parameters: "host=127.0.0.1 port=1")))
        _ = pricer.take(questions: [question(1, "no sql")], changes: [], observations: [], overflow: 0)
        _ = pricer.work(patience: 1)
        #expect(pricer.counters.failed == 1 && pricer.counters.serverErrors == 0)
        let key = question(1).key
        pricer.queue.succeeded(key)
        sweep(pricer)
        #expect(pricer.counters.asked == 1, "it did not run since")
        var durations = RecentDurations()
        durations.record(1_000_000)
        for _ in 0..<2 {
            pricer.learn([PriceObservation(key: key, durations: durations)], under: .none)
            pricer.queue.succeeded(key)
            pricer.lastSweep = 0
            _ = pricer.work(patience: 1)
        }
        #expect(pricer.counters.asked == 3)
        #expect(pricer.known[key]?.runs == 2, "how popular it is outlives a new price")
    }

    @Test func `a server that cannot be reached leaves other databases alone, and costs no statement`() throws {
        let pricer = pricer(Explainer(Explainer.Options(parameters: "host=127.0.0.1 port=1")))
        _ = ask(pricer, 1...6)
        _ = pricer.work(patience: 1)
        #expect(pricer.counters.failed == 0 && pricer.counters.serverErrors == 2)
        #expect(said.lines.withLock { $0.count } == 2, "once for each database")
    }

    @Test func `without a planner the class tells a price, or durations do from the third run on`() throws {
        let pricer = pricer(nil)
        func question(_ number: UInt64, _ pattern: String) -> PriceQuestion {
            PriceQuestion(
                key: Fingerprint(high: number, low: 1),
                fingerprint: Fingerprint(high: number, low: 2),
                pattern: Array(pattern.utf8),
                sample: PatternSample(text: []),
                database: "shop"
            )
        }
        func run(_ number: UInt64, _ milliseconds: Double, _ times: Int) -> [PriceAnswer] {
            var durations = RecentDurations()
            for _ in 0..<times { durations.record(Int64(milliseconds * 1e6)) }
            pricer.learn([PriceObservation(key: Fingerprint(high: number, low: 1), durations: durations)], under: .none)
            return pricer.work(patience: 0)
        }
        let questions = [question(1, "select * from item"), question(2, "commit"), question(3, "vacuum item")]
        let answers = pricer.take(questions: questions, changes: [], observations: [], overflow: 0)
        #expect(answers.map(\.price) == [1_000_000_000, 100_000, 1_000_000_000])
        #expect(answers.map(\.isMeasured) == [false, true, true])
        #expect(run(1, 0.1, 2).map(\.price) == [1_000_000_000], "two runs teach nothing")
        let cheap = try #require(run(1, 0.1, 100).first)
        #expect(cheap.price > 2_000_000 && cheap.price < 4_000_000, "a tenth of a ms is 3 units: \(cheap.price)")
        #expect(cheap.planned > 0 && cheap.usual > 80_000 && cheap.usual < 120_000)
        let dear = try #require(run(1, 1000, 2000).first)
        #expect(dear.price > 20_000_000_000, "also upwards: \(dear.price)")
        #expect(pricer.queue.count == 0 && pricer.counters.asked == 0)
    }

    @Test func `what was learned without a planner is left to the store, and forgotten with it`() throws {
        let pricer = pricer(nil)
        _ = ask(pricer, 1...3)
        #expect(stored == 3)
        let key = question(1).key
        var durations = RecentDurations()
        for _ in 0..<100 { durations.record(1_000_000) }
        pricer.learn([PriceObservation(key: key, durations: durations)], under: .none)
        pricer.finish()
        #expect(store.state.withLock { $0.prices[key]?.learned.runs } == 100)
        _ = pricer.work(patience: 0)
        store.state.withLock { $0.prices[key] = nil }
        sweep(pricer)
        #expect(pricer.work(patience: 0).map(\.price) == [1_000_000_000], "as if it had never run")
        // A planner that comes later asks about what only durations told.
        let later = self.pricer()
        _ = ask(later, 1...3)
        #expect(later.queue.count == 3 && later.counters.found == 3)
    }

    @Test func `prices that are known no longer leave no trace in the index of tables`() {
        var book = ChangeBook()
        for number in 1...10 as ClosedRange<UInt64> {
            var price = CostStoreContract.price(number)
            price.tables = ["public.item", "public.t\(number)"]
            book.index(price)
            book.remove(price)
        }
        #expect(book.isEmpty)
    }

    @Test func `nobody's runs move the price of another who runs it too`() throws {
        try store.store([CostStoreContract.price(1, units: 10)])
        let pricer = pricer()
        _ = ask(pricer, 1...1)
        let key = question(1).key
        func run(_ payer: UInt64, _ milliseconds: Double, _ times: Int) {
            var durations = RecentDurations()
            for _ in 0..<times { durations.record(Int64(milliseconds * 1e6)) }
            let payer = Fingerprint(high: payer, low: 7)
            pricer.learn([PriceObservation(key: key, payer: payer, durations: durations)], under: .none)
        }
        func prices() -> [UInt64: Int64] {
            Dictionary(uniqueKeysWithValues: pricer.work(patience: 0).map { ($0.payer.high, $0.price) })
        }
        run(1, 0.5, 200)
        // Who is alone has the common price.
        #expect(prices().keys.sorted() == [0])
        // As soon as another one comes, whoever was alone is told a price of its own.
        run(2, 10, 2000)
        let after = prices()
        let (own, others, common) = (after[1] ?? 0, after[2] ?? 0, after[0] ?? 0)
        #expect(own > 10_000_000 && own < 20_000_000, "half a millisecond is 15 units: \(own)")
        #expect(others > 200_000_000, "ten milliseconds are 300 units, and the multiplier is 30 at most: \(others)")
        #expect(common > own)
    }
}
