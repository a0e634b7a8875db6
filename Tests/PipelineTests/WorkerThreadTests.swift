// SPDX-License-Identifier: Apache-2.0
import Synchronization
import Testing

@testable import Pipeline

struct WorkerThreadTests {
    @Test func `each number runs once`() {
        let sum = Mutex<[Int]>([])
        #expect(WorkerThreads.run(4) { number in sum.withLock { $0.append(number) } })
        #expect(sum.withLock { $0.sorted() } == [0, 1, 2, 3])
    }

    @Test func `where a thread is refused none runs, and nobody waits`() {
        let count = Atomic<Int>(0)
        #expect(!WorkerThreads.run(4, limit: 2) { _ in count.add(1, ordering: .relaxed) })
        #expect(count.load(ordering: .relaxed) == 0)
    }
}
