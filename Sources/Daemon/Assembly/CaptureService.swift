// SPDX-License-Identifier: Apache-2.0
import Pipeline
import Platform
import ServiceLifecycle
import Synchronization

/// The packet threads, as the other services see them: none of them is a task.
///
/// It ends when they have, and they end when it is to; all others outlive it, so that they take what workers leave.
final class CaptureService: Service {
    private struct State {
        var outcome: LiveOutcome?
        var isOver = false
        var waiting: CheckedContinuation<Void, Never>?
    }

    /// The first failure to write lines on standard output, or to become another user: it ends all.
    let failure = FailureBox()
    private let clock: any ServiceClock
    private let end: Double?
    /// Whether all that is left is done, once the daemon may end; told the first time by `false`.
    private let isDrained: @Sendable (_ hasBegun: Bool) -> Bool
    private let draining = OneTime()
    private let isStopping = Atomic<Bool>(false)
    private let state = Mutex(State())

    /// - Parameters:
    ///   - duration: how long packets are looked at, in seconds; `nil`: until the service is to end.
    ///   - isDrained: whether nothing is left to see; sessions of a relay that is ours are seen to their end.
    init(
        duration: Int?,
        clock: any ServiceClock = SystemClock(),
        isDrained: @escaping @Sendable (_ hasBegun: Bool) -> Bool = { _ in true }
    ) {
        (self.clock, self.isDrained) = (clock, isDrained)
        end = duration.map { clock.now() + Double($0) }
    }

    /// Whether packet threads are to end: what they ask, at least ten times a second.
    var isStopped: Bool {
        guard isAskedToStop || failure.code != nil else { return false }
        return isDrained(draining.raise())
    }

    private var isAskedToStop: Bool {
        if isStopping.load(ordering: .relaxed) || Interrupt.isRequested { return true }
        guard let end else { return false }
        return clock.now() >= end
    }

    /// What packet threads saw, once they have ended; `nil`: they never began.
    var outcome: LiveOutcome? { state.withLock { $0.outcome } }

    /// The packet threads have ended.
    func finish(_ outcome: LiveOutcome?) {
        let waiting = state.withLock { state in
            (state.outcome, state.isOver) = (outcome, true)
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume()
    }

    func run() async {
        await withTaskCancellationOrGracefulShutdownHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if !state.isOver { state.waiting = continuation }
                    return state.isOver
                }
                if isOver { continuation.resume() }
            }
        } onCancelOrGracefulShutdown: { [self] in
            isStopping.store(true, ordering: .relaxed)
        }
    }
}
