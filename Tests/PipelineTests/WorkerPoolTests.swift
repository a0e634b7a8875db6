// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Foundation
import Metering
import Platform
import Quotas
import Synchronization
import Testing

@testable import Pipeline

/// Workers of a test, a thread each, that look into their mailboxes until they are told to end.
private final class Crew: Sendable {
    let pool: WorkerPool
    private let ended = DispatchSemaphore(value: 0)
    private let isStopped = Atomic<Bool>(false)

    init(_ workers: Int, running: Int? = nil) {
        pool = WorkerPool(workers: workers, policy: PolicySnapshot(policy: .standard, prices: PriceList()))
        for number in 0..<(running ?? workers) {
            Thread.detachNewThread { [self] in
                var state = FinalWorkerState()
                state.last.capture.packets = UInt64(number + 1)
                state.counts.openFlows = 10
                state.calls = [SeenCalls(user: "user \(number)", database: "shop", server: nil)]
                var worker: any WorkerState & ~Copyable = state
                _ = pool.handles[number].work(on: &worker) {
                    // Its own wait would be over at once: it has no packets.
                    pool.handles[number].mailbox.wakeUp.wait(0.05)
                    return isStopped.load(ordering: .acquiring)
                }
                ended.signal()
            }
        }
    }

    func stop(_ count: Int) {
        isStopped.store(true, ordering: .releasing)
        for _ in 0..<count { ended.wait() }
    }
}

@Suite("Questions to all workers", .serialized)
struct WorkerPoolTests {
    private static func elapsed(_ body: () -> Void) -> Double {
        let began = SystemClock.now()
        body()
        return SystemClock.now() - began
    }

    @Test func `all workers are asked, and their answers added up`() {
        let crew = Crew(3)
        let snapshot = crew.pool.snapshot(timeout: 60)
        #expect(snapshot.workers.map(\.number) == [0, 1, 2] && snapshot.result.capture.packets == 6)
        #expect(snapshot.missing == 0)
        #expect(crew.pool.counters(timeout: 60).openFlows == 30)
        #expect(crew.pool.seenCalls(timeout: 60)?.compactMap(\.user) == ["user 0", "user 1", "user 2"])
        #expect(crew.pool.handles[1].run(timeout: 60) { $0.snapshot().capture.packets } == 2)
        crew.stop(3)
    }

    @Test func `a worker that hangs is waited for once, not for each of the others, and is told of`() {
        // Two of the four have no thread.
        let crew = Crew(4, running: 2)
        let time = Self.elapsed {
            let snapshot = crew.pool.snapshot(timeout: 0.3)
            #expect(snapshot.missing == 2 && snapshot.workers.map(\.number) == [0, 1])
        }
        #expect(time >= 0.29)
        #expect(crew.pool.counters(timeout: 0.1).missing == 2)
        #expect(crew.pool.seenCalls(timeout: 0.1) == nil && crew.pool.seenConnections(timeout: 0.1) == nil)
        #expect(crew.pool.handles[3].run(timeout: 0.01) { $0.snapshot().cpu } == nil)
        // However often it is asked, no more waits there than there is room for.
        for _ in 0..<200 { _ = crew.pool.sessionCounts(timeout: 0) }
        var worker: any WorkerState & ~Copyable = FinalWorkerState()
        crew.pool.handles[3].mailbox.run(on: &worker)
        #expect(crew.pool.handles[3].mailbox.isEmpty)
        crew.stop(2)
    }

    @Test func `workers that ended answer from what they left, and nobody waits for those that never ran`() {
        let crew = Crew(3, running: 2)
        crew.stop(2)
        let result = crew.pool.close()
        #expect(result.capture.packets == 3)
        let time = Self.elapsed {
            let snapshot = crew.pool.snapshot(timeout: 600)
            #expect(snapshot.missing == 1 && snapshot.result.capture.packets == 3)
            #expect(crew.pool.counters(timeout: 600).openFlows == 20)
        }
        #expect(time < 300)
        crew.pool.apply(PolicySnapshot(policy: .standard, prices: PriceList()))
        #expect(crew.pool.handles.allSatisfy { $0.mailbox.isEmpty })
    }

    @Test func `who waits for a worker is let go when the capture ends without it`() {
        let pool = WorkerPool(workers: 1, policy: PolicySnapshot(policy: .standard, prices: PriceList()))
        Thread.detachNewThread {
            while pool.handles[0].mailbox.isEmpty { sched_yield() }
            _ = pool.close()
        }
        let time = Self.elapsed { #expect(pool.counters(timeout: 600).missing == 1) }
        #expect(time < 300)
    }

    @Test func `commands reach a worker before the questions that come after them`() {
        let pool = WorkerPool(workers: 1, policy: PolicySnapshot(policy: .standard, prices: PriceList()))
        let seen = Mutex<[String]>([])
        pool.handles[0].mailbox.post(.latest("first")) { _ in seen.withLock { $0.append("command") } }
        let pending = PendingAnswers<Int>(1, WakeUp())
        pool.handles[0].mailbox.ask(pending) { _ in seen.withLock { $0.append("question") } }
        var worker: any WorkerState & ~Copyable = FinalWorkerState()
        pool.handles[0].turn(on: &worker, isWoken: true)
        #expect(seen.withLock { $0 } == ["command", "question"] && pool.heartbeats == [1])
    }
}
