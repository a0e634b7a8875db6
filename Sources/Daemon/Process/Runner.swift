// SPDX-License-Identifier: Apache-2.0
import Pipeline
import Synchronization

/// The thread of one of the daemon's services: begun once, told to end, and waited for.
final class Runner: Sendable {
    private let finishing = Atomic<Bool>(false)
    private let thread = Mutex<ServiceThread?>(nil)
    private let bell = Bell()

    /// Whether the service is to end: to be looked at in every turn.
    var isFinished: Bool { finishing.load(ordering: .acquiring) }

    /// Begins; where no thread is to be had, `complaint` says what that means.
    func start(_ complaint: String, _ body: @escaping @Sendable () -> Void) {
        let started = ServiceThread { body() }
        if started == nil { Log.warning("daemon.no_thread", complaint) }
        thread.withLock { $0 = started }
    }

    /// Lets the service sleep for so many seconds, less if it is woken or to end.
    func rest(_ seconds: Double) { bell.rest(seconds) }

    /// There is something new for it.
    func wake() { bell.ring() }

    /// Tells it to end, and waits until it has.
    func finish() {
        finishing.store(true, ordering: .releasing)
        bell.ring()
        let thread = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        thread?.join()
    }
}
