// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Threads of our own: the cooperative pool and Dispatch start no more threads than there are cores, and workers that
/// wait for each other must all run.
enum WorkerThreads {
    private final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Runs `body` once for each number below `count`, on a thread each; returns when all are done.
    ///
    /// A thread that the system refuses is made up for by the caller's own.
    static func run(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
        var threads: [pthread_t] = []
        var refused: [Int] = []
        for number in 1..<max(count, 1) {
            var thread = pthread_t()
            let box = unsafe Unmanaged.passRetained(Box { body(number) })
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
            if code == 0 {
                threads.append(thread)
            } else {
                unsafe box.release()
                refused.append(number)
            }
        }
        body(0)
        for number in refused { body(number) }
        for thread in threads { pthread_join(thread, nil) }
    }
}
