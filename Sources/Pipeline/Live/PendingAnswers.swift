// SPDX-License-Identifier: Apache-2.0
import Platform
import Synchronization

/// One answer of each of some workers, for the one caller that waits for all of them.
final class PendingAnswers<Answer: Sendable>: Asker {
    private struct State {
        var answers: [Answer?]
        /// Workers that have neither answered nor declined.
        var left: Int
        var isOver = false
    }

    private let state: Mutex<State>
    private let isOver = Atomic<Bool>(false)
    private let wakeUp: WakeUp

    /// Answers of `count` workers, the last of which wakes by `wakeUp`.
    init(_ count: Int, _ wakeUp: WakeUp) {
        state = Mutex(State(answers: Array(repeating: nil, count: count), left: count))
        self.wakeUp = wakeUp
    }

    var hasGivenUp: Bool { isOver.load(ordering: .relaxed) }

    /// A worker's answer; one that comes too late counts for nothing.
    func answer(_ answer: Answer, from worker: Int) {
        settle { state in if state.answers.indices.contains(worker) { state.answers[worker] = answer } }
    }

    func decline() { settle { _ in } }

    private func settle(_ body: (inout State) -> Void) {
        let isLast = state.withLock { state in
            guard !state.isOver else { return false }
            body(&state)
            state.left -= 1
            return state.left == 0
        }
        if isLast { wakeUp.wake() }
    }

    /// Waits until all have answered or declined, at most so many seconds; the answers by worker, those that are missing `nil`.
    func wait(_ seconds: Double) -> [Answer?] {
        let deadline = SystemClock.now() + seconds
        while true {
            wakeUp.clear()
            let left = deadline - SystemClock.now()
            guard state.withLock({ $0.left > 0 }), left > 0 else { break }
            wakeUp.wait(left)
        }
        isOver.store(true, ordering: .relaxed)
        return state.withLock { state in
            state.isOver = true
            defer { state.answers = [] }
            return state.answers
        }
    }
}
