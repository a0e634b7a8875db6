// SPDX-License-Identifier: Apache-2.0
import Platform
import Synchronization

/// A question that services put to all workers of a live capture, and the workers' answers to it.
///
/// A worker looks at the number of the latest question when something rang, and answers between packets. A late answer
/// to an earlier question does not count.
final class Inquiry<Question: Sendable, Answer: Sendable>: Sendable {
    private struct State {
        /// The latest question; 0: none was put yet.
        var number = 0
        var question: Question?
        var answers: [Int: Answer] = [:]
        /// What workers that ended left: their answer to every later question.
        var legacies: [Int: Answer] = [:]

        var all: [Int: Answer] { answers.merging(legacies) { _, legacy in legacy } }
    }

    private let state = Mutex(State())
    /// One question at a time.
    private let turn = Mutex(())
    /// Woken by each answer.
    private let answered = WakeUp()
    /// How often it is looked whether to go on, in seconds.
    private static var look: Double { 0.02 }

    // MARK: Services

    /// Puts a question to `workers` workers, wakes them by `ring`, and waits at most `patience` seconds, or while
    /// `goesOn`; returns the answers by worker, those that did not come are left out.
    func ask(
        _ question: Question,
        of workers: Int,
        patience: Double,
        ring: () -> Void,
        while goesOn: () -> Bool
    ) -> [Int: Answer] {
        turn.withLock { _ in
            state.withLock { state in
                state.answers = [:]
                state.question = question
                state.number += 1
            }
            ring()
            let deadline = SystemClock.now() + patience
            while true {
                answered.clear()
                let left = deadline - SystemClock.now()
                guard state.withLock({ $0.all.count }) < workers, left > 0, goesOn() else { break }
                // What ends the wait otherwise is nothing that wakes.
                answered.wait(min(left, Self.look))
            }
            return state.withLock { $0.all }
        }
    }

    /// What workers that ended left.
    var legacies: [Int: Answer] { state.withLock { $0.legacies } }

    // MARK: Workers

    /// The question, if it is another than the one with the number `seen`, which then is its number.
    func news(since seen: inout Int) -> Question? {
        state.withLock { state in
            guard state.number != seen else { return nil }
            seen = state.number
            return state.question
        }
    }

    /// A worker's answer to the question of this number.
    func answer(_ answer: Answer, to number: Int, from worker: Int) {
        state.withLock { if $0.number == number { $0.answers[worker] = answer } }
        answered.wake()
    }

    /// What a worker leaves when it ends.
    func leave(_ answer: Answer, from worker: Int) {
        state.withLock { $0.legacies[worker] = answer }
        answered.wake()
    }
}
