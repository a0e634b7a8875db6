// SPDX-License-Identifier: Apache-2.0
import Glibc
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
    /// A pipe that wakes the thread.
    private let bell: Int32, button: Int32
    private static let most = 128

    init() {
        var ends: [Int32] = [-1, -1]
        _ = unsafe pipe(&ends)
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        (bell, button) = (ends[0], ends[1])
        _ = fcntl(button, F_SETFL, O_NONBLOCK)
    }

    deinit {
        close(bell)
        close(button)
    }

    /// Starts the thread; it lives until ``finish()``.
    func start() -> Bool {
        let box = unsafe Unmanaged.passRetained(self)
        var thread = pthread_t()
        let code = unsafe pthread_create(
            &thread,
            nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                unsafe Unmanaged<Clerk>.fromOpaque(argument).takeRetainedValue().work()
                return nil
            },
            box.toOpaque()
        )
        guard code == 0 else {
            unsafe box.release()
            return false
        }
        pthread_detach(thread)
        return true
    }

    /// Ends the thread once it is done with what waits.
    func finish() {
        desk.withLock { $0.isClosed = true }
        ring()
    }

    /// Has `work` done; false if too much of its kind waits already.
    func take(isUrgent: Bool = false, _ work: @escaping @Sendable () -> Void) -> Bool {
        let isTaken = desk.withLock { desk in
            guard !desk.isClosed, (isUrgent ? desk.urgent : desk.waiting).count < Self.most else { return false }
            if isUrgent { desk.urgent.append(work) } else { desk.waiting.append(work) }
            return true
        }
        if isTaken { ring() }
        return isTaken
    }

    private func ring() {
        var one: UInt8 = 1
        _ = unsafe write(button, &one, 1)
    }

    private func work() {
        var buffer = [UInt8](repeating: 0, count: 64)
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
                _ = unsafe read(bell, &buffer, buffer.count)
            }
        }
    }
}
