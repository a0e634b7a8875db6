// SPDX-License-Identifier: Apache-2.0
import Costs
import Foundation
import Glibc
import Quotas
import Synchronization
import Testing

@testable import Pipeline

@Suite("Waking workers", .serialized)
struct WakeUpTests {
    private static let rounds = 60_000

    private func desk() -> LiveDesk {
        LiveDesk(workers: 1, judgement: LiveJudgement(policy: .standard, prices: PriceList()))
    }

    /// Whether a worker that waits is woken.
    private static func isWoken(_ desk: LiveDesk, milliseconds: Int32 = 0) -> Bool {
        var waiting = pollfd(fd: desk.wakeUp(0), events: Int16(POLLIN), revents: 0)
        return unsafe poll(&waiting, 1, milliseconds) > 0
    }

    private static func wait(until isTrue: () -> Bool) { while !isTrue() { sched_yield() } }

    @Test("A worker that has seen what it was woken for sleeps, however closely both meet")
    func noSpin() {
        let desk = desk()
        let asked = Atomic<Int>(0)
        let rung = Atomic<Int>(0)
        Thread.detachNewThread {
            for round in 1...Self.rounds {
                Self.wait { asked.load(ordering: .acquiring) >= round }
                desk.ring()
                rung.store(round, ordering: .releasing)
            }
        }
        var seen = 0
        var stale = 0
        _ = desk.visit(0, &seen, isWoken: Self.isWoken(desk))
        for round in 1...Self.rounds {
            asked.store(round, ordering: .releasing)
            Self.wait { desk.visit(0, &seen, isWoken: Self.isWoken(desk)) != nil }
            Self.wait { rung.load(ordering: .acquiring) >= round }
            // What was written behind its look wakes it once more, and not again.
            _ = desk.visit(0, &seen, isWoken: Self.isWoken(desk))
            if Self.isWoken(desk) { stale += 1 }
        }
        #expect(stale == 0, "wake-ups that nobody takes: the worker would turn without a pause")
    }

    @Test("What is rung while a worker looks is seen, or wakes it from its next wait")
    func noLoss() {
        let desk = desk()
        let asked = Atomic<Int>(0)
        let rung = Atomic<Int>(0)
        Thread.detachNewThread {
            for round in 1...Self.rounds {
                Self.wait { asked.load(ordering: .acquiring) >= round }
                for _ in 0..<4 { desk.ring() }
                rung.store(round, ordering: .releasing)
            }
        }
        var seen = 0
        var lost = 0
        _ = desk.visit(0, &seen, isWoken: false)
        for round in 1...Self.rounds {
            asked.store(round, ordering: .releasing)
            // Packets have it turn all the time.
            Self.wait { desk.visit(0, &seen, isWoken: Self.isWoken(desk)) != nil }
            Self.wait { rung.load(ordering: .acquiring) >= round }
            if seen != 1 + round * 4, !Self.isWoken(desk) { lost += 1 }
            while seen != 1 + round * 4 { _ = desk.visit(0, &seen, isWoken: Self.isWoken(desk)) }
        }
        #expect(lost == 0, "the worker would sleep, and something was rung")
    }
}
