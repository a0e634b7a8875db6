// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A thread of our own: the cooperative pool and Dispatch start no more threads than there are cores, and what waits for others,
/// or for a server, must not hold up what runs there.
public struct WorkerThread: Sendable {
    private let thread: pthread_t

    private final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Starts `body`; `nil` when the system refuses a thread, and `errno` says why.
    ///
    /// - Parameter blocksSignals: whether no signal is delivered to it, SIGPIPE included.
    public init?(blocksSignals: Bool = false, _ body: @escaping @Sendable () -> Void) {
        // Threads inherit the mask of whoever starts them.
        var before = sigset_t()
        if blocksSignals {
            var all = sigset_t()
            unsafe sigfillset(&all)
            unsafe pthread_sigmask(SIG_BLOCK, &all, &before)
        }
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
        if blocksSignals { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
        guard code == 0 else {
            unsafe box.release()
            errno = code
            return nil
        }
        self.thread = thread
    }

    /// Waits for its end; once, and not after ``detach()``.
    public func join() { pthread_join(thread, nil) }

    /// Nobody will wait for its end; once.
    public func detach() { pthread_detach(thread) }

    /// Starts a thread that nobody waits for; false when the system refuses one, and `errno` says why.
    public static func runDetached(blocksSignals: Bool = false, _ body: @escaping @Sendable () -> Void) -> Bool {
        guard let thread = WorkerThread(blocksSignals: blocksSignals, body) else { return false }
        thread.detach()
        return true
    }
}
