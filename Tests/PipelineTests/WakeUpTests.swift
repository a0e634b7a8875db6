// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Platform
import Synchronization
import Testing

@testable import Pipeline

@Suite("Waking workers", .serialized)
struct WakeUpTests {
    private static let rounds = 60_000

    private final class Counter: Sendable { let value = Atomic<Int>(0) }

    /// Whether a worker that waits is woken.
    private static func isWoken(_ handle: WorkerHandle, milliseconds: Int32 = 0) -> Bool {
        var waiting = pollfd(fd: handle.mailbox.wakeUp.descriptor, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&waiting, 1, milliseconds) > 0
    }

    private static func wait(until isTrue: () -> Bool) { while !isTrue() { sched_yield() } }

    @Test("A worker that has seen what it was woken for sleeps, however closely both meet")
    func noSpin() {
        let handle = WorkerHandle()
        let asked = Atomic<Int>(0)
        let rung = Atomic<Int>(0)
        let done = Counter()
        Thread.detachNewThread {
            for round in 1...Self.rounds {
                Self.wait { asked.load(ordering: .acquiring) >= round }
                handle.mailbox.post(.latest("round")) { _ in done.value.store(round, ordering: .relaxed) }
                rung.store(round, ordering: .releasing)
            }
        }
        var worker: any WorkerState & ~Copyable = FinalWorkerState()
        var stale = 0
        handle.turn(on: &worker, isWoken: Self.isWoken(handle))
        for round in 1...Self.rounds {
            asked.store(round, ordering: .releasing)
            while done.value.load(ordering: .relaxed) != round {
                handle.turn(on: &worker, isWoken: Self.isWoken(handle))
                sched_yield()
            }
            Self.wait { rung.load(ordering: .acquiring) >= round }
            // What was written behind its look wakes it once more, and not again.
            handle.turn(on: &worker, isWoken: Self.isWoken(handle))
            if Self.isWoken(handle) { stale += 1 }
        }
        #expect(stale == 0, "wake-ups that nobody takes: the worker would turn without a pause")
    }

    @Test("What is put in while a worker looks is seen, or wakes it from its next wait")
    func noLoss() {
        let handle = WorkerHandle()
        let asked = Atomic<Int>(0)
        let rung = Atomic<Int>(0)
        let done = Counter()
        Thread.detachNewThread {
            for round in 1...Self.rounds {
                Self.wait { asked.load(ordering: .acquiring) >= round }
                for _ in 0..<4 {
                    handle.mailbox.post(.each("round", weight: .max)) { _ in done.value.add(1, ordering: .relaxed) }
                }
                rung.store(round, ordering: .releasing)
            }
        }
        var worker: any WorkerState & ~Copyable = FinalWorkerState()
        var lost = 0
        for round in 1...Self.rounds {
            asked.store(round, ordering: .releasing)
            // Packets have it turn all the time.
            while done.value.load(ordering: .relaxed) <= (round - 1) * 4 {
                handle.turn(on: &worker, isWoken: Self.isWoken(handle))
                sched_yield()
            }
            Self.wait { rung.load(ordering: .acquiring) >= round }
            if done.value.load(ordering: .relaxed) != round * 4, !Self.isWoken(handle) { lost += 1 }
            while done.value.load(ordering: .relaxed) != round * 4 {
                handle.turn(on: &worker, isWoken: Self.isWoken(handle))
            }
        }
        #expect(lost == 0, "the worker would sleep, and something waits")
    }
}
