// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization

/// Threads of our own: the cooperative pool and Dispatch start no more threads than there are cores, and workers that
/// wait for each other must all run.
enum WorkerThreads {
    private final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Holds threads back until it is known whether all of them could be had.
    private final class Gate: Sendable {
        let state = Atomic<UInt8>(0)
        static let closed: UInt8 = 0, open: UInt8 = 1, cancelled: UInt8 = 2

        /// Whether to go on.
        func pass() -> Bool {
            while state.load(ordering: .acquiring) == Self.closed { usleep(50) }
            return state.load(ordering: .acquiring) == Self.open
        }
    }

    /// Runs `body` once for each number below `count`, on a thread each, the first on the caller's own; returns when
    /// all are done.
    ///
    /// Workers wait for each other, so it is all or none: false, and nothing was run, when the system refuses a thread.
    ///
    /// - Parameter limit: threads that may be started, for tests.
    static func run(_ count: Int, limit: Int = .max, _ body: @escaping @Sendable (Int) -> Void) -> Bool {
        let gate = Gate()
        var threads: [pthread_t] = []
        var isComplete = true
        for number in 1..<max(count, 1) {
            guard threads.count < limit, let thread = start({ if gate.pass() { body(number) } }) else {
                isComplete = false
                break
            }
            threads.append(thread)
        }
        gate.state.store(isComplete ? Gate.open : Gate.cancelled, ordering: .releasing)
        if isComplete { body(0) }
        for thread in threads { pthread_join(thread, nil) }
        return isComplete
    }

    fileprivate static func start(_ body: @escaping @Sendable () -> Void) -> pthread_t? {
        var thread = pthread_t()
        let box = unsafe Unmanaged.passRetained(Box(body))
        let code = unsafe pthread_create(
            &thread,
            nil,
            { argument in
                if let argument = unsafe argument {
                    unsafe Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body()
                }
                return nil
            },
            box.toOpaque()
        )
        guard code == 0 else {
            unsafe box.release()
            return nil
        }
        return thread
    }
}

/// A thread beside the workers, for what waits and serves.
public struct ServiceThread: Sendable {
    private let thread: pthread_t

    /// Starts `body`; `nil` when the system refuses a thread.
    public init?(_ body: @escaping @Sendable () -> Void) {
        guard let thread = WorkerThreads.start(body) else { return nil }
        self.thread = thread
    }

    /// Waits for its end; once.
    public func join() { pthread_join(thread, nil) }
}
