// SPDX-License-Identifier: Apache-2.0
import Glibc
import Pipeline
import Platform
import ServiceLifecycle
import Synchronization

/// The thread of one of the daemon's services: begun once, told to end, and waited for.
///
/// Services wait for servers, files and locks, so none of them runs on the cooperative pool, which has a thread a core: its
/// task only waits for the thread.
final class Runner: Sendable {
    private struct State {
        var thread: WorkerThread?
        var waiting: CheckedContinuation<Void, Never>?
        /// Whether no thread was to be had, and whether the thread's work is done.
        var isRefused = false, isOver = false
    }

    /// The time that the service goes by.
    let clock: any ServiceClock
    private let finishing = Atomic<Bool>(false)
    private let state = Mutex(State())
    private let wakeUp = WakeUp()

    init(_ clock: any ServiceClock = SystemClock()) { self.clock = clock }

    /// Whether the service is to end: to be looked at in every turn.
    var isFinished: Bool { finishing.load(ordering: .acquiring) }

    /// Readable once somebody wakes the service, for one that waits for something else, too.
    var descriptor: Int32 { wakeUp.descriptor }

    /// Runs `body` on a thread of its own until the group stops the service, or its task is cancelled; where no thread is to be
    /// had, `complaint` says what that means, and the service does nothing.
    ///
    /// - Parameter isAwaited: whether the end of `body` is waited for, as it has something to store or to take back; else it is
    ///   left behind if it is busy, since a server that is slow must not hold up the end.
    func run(_ complaint: String, isAwaited: Bool = true, _ body: @escaping @Sendable () -> Void) async {
        await withTaskCancellationOrGracefulShutdownHandler {
            await withCheckedContinuation { continuation in
                state.withLock { $0.waiting = continuation }
                let started = WorkerThread { [self] in
                    Self.takeSignals()
                    body()
                    state.withLock { $0.isOver = true }
                    resume()
                }
                if started == nil { Log.warning("daemon.no_thread", complaint) }
                state.withLock { ($0.thread, $0.isRefused) = (started, started == nil) }
                // Told to end meanwhile.
                if isFinished, started == nil || !isAwaited { resume() }
            }
        } onCancelOrGracefulShutdown: { [self] in
            finish()
            if !isAwaited || state.withLock({ $0.isRefused }) { resume() }
        }
        let thread = state.withLock { state in
            defer { state.thread = nil }
            return state.isOver ? state.thread : nil
        }
        // It is at its last instruction.
        thread?.join()
    }

    /// Lets the service sleep for so many seconds, less if it is woken or to end.
    func rest(_ seconds: Double) { clock.rest(seconds, until: wakeUp) }

    /// Lets the service sleep for all of so many seconds, less if it is to end.
    func sleep(_ seconds: Double) {
        let end = clock.now() + seconds
        while !isFinished, clock.now() < end { rest(end - clock.now()) }
    }

    /// There is something new for it.
    func wake() { wakeUp.wake() }

    /// Tells it to end.
    func finish() {
        finishing.store(true, ordering: .releasing)
        wakeUp.wake()
    }

    private func resume() {
        let waiting = state.withLock { state in
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume()
    }

    /// Threads of the pool block all signals, and what they start, threads and programs, would too.
    private static func takeSignals() {
        var none = sigset_t()
        unsafe sigemptyset(&none)
        unsafe pthread_sigmask(SIG_SETMASK, &none, nil)
    }
}
