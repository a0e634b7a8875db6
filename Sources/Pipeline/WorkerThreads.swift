// SPDX-License-Identifier: Apache-2.0
import Platform
import Synchronization

/// Workers that wait for each other, each on a thread of its own: all of them run, or none.
enum WorkerThreads {
    /// Holds threads back until it is known whether all of them could be had.
    private final class Gate: Sendable {
        let isOpen = Mutex(false)
    }

    /// Runs `body` once for each number below `count`, on a thread each, the first on the caller's own; returns when
    /// all are done.
    ///
    /// Workers wait for each other, so it is all or none: false, and nothing was run, when the system refuses a thread.
    ///
    /// - Parameter limit: threads that may be started, for tests.
    static func run(_ count: Int, limit: Int = .max, _ body: @escaping @Sendable (Int) -> Void) -> Bool {
        let gate = Gate()
        var threads: [WorkerThread] = []
        // Nobody passes before the lock is free.
        let isComplete = gate.isOpen.withLock { isOpen in
            for number in 1..<max(count, 1) {
                guard threads.count < limit,
                    let thread = WorkerThread({ if gate.isOpen.withLock({ $0 }) { body(number) } })
                else { return false }
                threads.append(thread)
            }
            isOpen = true
            return true
        }
        if isComplete { body(0) }
        for thread in threads { thread.join() }
        return isComplete
    }
}
