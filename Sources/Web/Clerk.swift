// SPDX-License-Identifier: Apache-2.0
import Platform
import Synchronization

/// A thread that answers one request after the other: what an answer waits for holds up neither the workers nor the
/// threads that Swift's tasks share.
final class Clerk: Sendable {
    private struct Desk {
        var waiting: [@Sendable () -> Void] = []
        /// What goes before all that waits, such as probes.
        var urgent: [@Sendable () -> Void] = []
        var isClosed = false
    }

    private let desk = Mutex(Desk())
    private let wakeUp = WakeUp()
    private static let most = 128

    /// Starts the thread; it lives until ``finish()``.
    func start() -> Bool { WorkerThread.runDetached { self.work() } }

    /// Ends the thread once it is done with what waits.
    func finish() {
        desk.withLock { $0.isClosed = true }
        wakeUp.wake()
    }

    /// Has `work` done; false if too much of its kind waits already.
    func take(isUrgent: Bool = false, _ work: @escaping @Sendable () -> Void) -> Bool {
        let isTaken = desk.withLock { desk in
            guard !desk.isClosed, (isUrgent ? desk.urgent : desk.waiting).count < Self.most else { return false }
            if isUrgent { desk.urgent.append(work) } else { desk.waiting.append(work) }
            return true
        }
        if isTaken { wakeUp.wake() }
        return isTaken
    }

    private func work() {
        while true {
            let (next, isClosed) = desk.withLock { desk -> ((@Sendable () -> Void)?, Bool) in
                if !desk.urgent.isEmpty { return (desk.urgent.removeFirst(), false) }
                return (desk.waiting.isEmpty ? nil : desk.waiting.removeFirst(), desk.isClosed)
            }
            if let next {
                next()
            } else if isClosed {
                return
            } else {
                wakeUp.wait(nil)
            }
        }
    }
}
