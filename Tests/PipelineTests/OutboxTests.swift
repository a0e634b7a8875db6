// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Foundation
import Metering
import Quotas
import Synchronization
import Testing

@testable import Pipeline

@Suite("A worker's outbox")
struct OutboxTests {
    private func usage(_ user: String, _ start: Int64, _ amount: Int64 = 1, _ origin: Origin? = nil) -> UserUsage {
        UserUsage(
            user: user,
            slots: [SlotUsage(start: start, usage: Usage(low: amount, high: 2 * amount))],
            origin: origin
        )
    }

    private func sums(_ usage: [UserUsage]) -> [String: Usage] {
        usage.reduce(into: [:]) { sums, entry in
            for slot in entry.slots { sums["\(entry.user) \(slot.start)", default: .zero] += slot.usage }
        }
    }

    @Test func `usage is taken once`() {
        let outbox = Outbox()
        outbox.put([usage("ana", 10, 3), usage("ben", 10, 4)])
        outbox.put([usage("ana", 20, 5)])
        #expect(sums(outbox.takeUsage()).mapValues(\.low) == ["ana 10": 3, "ben 10": 4, "ana 20": 5])
        #expect(outbox.takeUsage().isEmpty && outbox.lostUsage == 0)
    }

    @Test func `usage that nobody takes for long is added up, to the last unit`() {
        let outbox = Outbox()
        // A store that hangs for an hour: 20 turns a second, three users, one of them from two places.
        let place = Origin(client: Endpoint(high: 0, low: 1, port: 9), server: Endpoint(high: 0, low: 2, port: 5432))
        for turn in 0..<72_000 as Range<Int64> {
            let start = turn / 200 * 10
            outbox.put([usage("ana", start), usage("ana", start, 1, place), usage("ben", start), usage("eve", start)])
        }
        let taken = outbox.takeUsage()
        #expect(taken.count < 10_000 && outbox.lostUsage == 0)
        #expect(sums(taken).count == 3 * 360)
        let all = taken.flatMap(\.slots).reduce(Usage.zero) { $0 + $1.usage }
        #expect(all == Usage(low: 4 * 72_000, high: 8 * 72_000))
        #expect(taken.filter { $0.origin == place }.flatMap(\.slots).reduce(0) { $0 + $1.usage.low } == 72_000)
    }

    @Test func `what finds no room at all is counted, and what has room is still added up`() {
        let outbox = Outbox(mostUsage: 10_000)
        for number in 0..<40_000 as Range<Int64> { outbox.put([usage("user \(number)", 0), usage("ana", 0)]) }
        let taken = outbox.takeUsage()
        let slots = taken.reduce(0) { $0 + $1.slots.count }
        #expect(taken.filter { $0.user == "ana" }.flatMap(\.slots).reduce(0) { $0 + $1.usage.low } == 40_000)
        #expect(slots <= 20_000 && outbox.lostUsage > 0)
        let others = taken.filter { $0.user != "ana" }.flatMap(\.slots).count
        #expect(others + Int(outbox.lostUsage) == 40_000, "each is there or counted")
        outbox.put([usage("ana", 0)])
        #expect(sums(outbox.takeUsage()).mapValues(\.low) == ["ana 0": 1])
    }

    @Test func `activity has room until it is taken`() {
        let outbox = Outbox()
        let record = ActivityRecord(
            user: "ana",
            database: "shop",
            fingerprint: Fingerprint(high: 1, low: 1),
            text: [],
            counts: ActivityCounts()
        )
        #expect(outbox.hasRoomForActivity)
        outbox.put(Array(repeating: record, count: 1 << 16))
        #expect(!outbox.hasRoomForActivity)
        #expect(outbox.takeActivity().count == 1 << 16 && outbox.hasRoomForActivity && outbox.takeActivity().isEmpty)
    }

    @Test func `price questions have a share of what all workers' may take; what has none is counted`() {
        func question(_ number: UInt64) -> PriceQuestion {
            var sample = PatternSample(text: [])
            sample.user = "user \(number % 100)"
            return PriceQuestion(
                key: Fingerprint(high: 0, low: number),
                fingerprint: Fingerprint(high: 0, low: number),
                pattern: [],
                sample: sample,
                database: "shop"
            )
        }
        let outbox = Outbox(workers: 4)
        for number in 0..<10_000 as Range<UInt64> { outbox.put(PricingBatch(questions: [question(number)])) }
        let taken = outbox.takePricing()
        #expect(taken.questions.count == 4096 && taken.overflow == 10_000 - 4096)
        #expect(outbox.takePricing().questions.isEmpty)
        var all = PricingBatch()
        for _ in 0..<4 { all.add(taken) }
        #expect(all.questions.count == 4 * 4096 && all.overflow == 4 * (10_000 - 4096))
    }

    @Test func `what is put in while somebody takes is taken once`() {
        let outbox = Outbox()
        let isOver = Atomic<Bool>(false)
        let done = DispatchSemaphore(value: 0)
        for thread in 0..<4 {
            Thread.detachNewThread {
                for number in 0..<20_000 as Range<Int64> { outbox.put([usage("user \(thread)", number / 100)]) }
                done.signal()
            }
        }
        let sum = Mutex<Int64>(0)
        let taker = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            while true {
                let isLast = isOver.load(ordering: .acquiring)
                let taken = outbox.takeUsage().flatMap(\.slots).reduce(0) { $0 + $1.usage.low }
                sum.withLock { $0 += taken }
                if isLast { break }
            }
            taker.signal()
        }
        for _ in 0..<4 { done.wait() }
        isOver.store(true, ordering: .releasing)
        taker.wait()
        #expect(sum.withLock { $0 } == 80_000 && outbox.lostUsage == 0)
    }
}
