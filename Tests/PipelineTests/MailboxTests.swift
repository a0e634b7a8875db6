// SPDX-License-Identifier: Apache-2.0
import Foundation
import Platform
import Synchronization
import Testing

@testable import Pipeline

/// A worker of a test: what was run on it, in order.
private struct TestWorker: ~Copyable {
    var ran: [Int] = []
}

@Suite("A worker's mailbox")
struct MailboxTests {
    private let box = Mailbox<TestWorker>(limit: 4)
    private let wakeUp = WakeUp()

    private func asker(_ count: Int = 1) -> PendingAnswers<Int> { PendingAnswers(count, wakeUp) }

    /// Puts a question that notes `number` and is answered by it.
    private func ask(_ number: Int, _ asker: PendingAnswers<Int>) {
        box.ask(asker) { worker in
            worker.ran.append(number)
            asker.answer(number, from: 0)
        }
    }

    @Test func `what waits is run in the order in which it came, once`() {
        let asker = asker()
        var worker = TestWorker()
        box.run(on: &worker)
        #expect(box.isEmpty && worker.ran.isEmpty)
        ask(1, asker)
        box.post(.each("count", weight: 10)) { $0.ran.append(2) }
        box.post(.each("count", weight: 10)) { $0.ran.append(3) }
        #expect(!box.isEmpty && box.wakeUp.wait(0))
        box.run(on: &worker)
        box.run(on: &worker)
        #expect(worker.ran == [1, 2, 3] && box.isEmpty)
        #expect(asker.wait(0) == [1])
    }

    @Test func `who waits is answered as soon as the last worker has, and after the time-out goes without`() {
        let (first, second) = (Mailbox<TestWorker>(), Mailbox<TestWorker>())
        let asker = asker(2)
        for (number, box) in [first, second].enumerated() {
            box.ask(asker) { _ in asker.answer(number, from: number) }
        }
        var worker = TestWorker()
        first.run(on: &worker)
        #expect(asker.wait(0.01) == [0, nil])
        second.run(on: &worker)
        #expect(asker.wait(0) == [], "too late")
        let again = self.asker(2)
        for (number, box) in [first, second].enumerated() {
            box.ask(again) { _ in again.answer(number, from: number) }
        }
        Thread.detachNewThread {
            var worker = TestWorker()
            first.run(on: &worker)
            second.run(on: &worker)
        }
        let began = SystemClock.now()
        #expect(again.wait(600) == [0, 1])
        #expect(SystemClock.now() - began < 300)
    }

    @Test func `a question whose asker has given up is not run`() {
        let asker = asker()
        ask(1, asker)
        #expect(asker.wait(0) == [nil])
        var worker = TestWorker()
        box.run(on: &worker)
        #expect(worker.ran == [] && box.isEmpty)
    }

    @Test func `a full mailbox refuses questions at once, never commands, and has room for whoever still waits`() {
        let asked = (0..<4).map { number in
            let asker = asker()
            ask(number, asker)
            return asker
        }
        let refused = asker()
        ask(4, refused)
        let began = SystemClock.now()
        #expect(refused.wait(600) == [nil])
        #expect(SystemClock.now() - began < 300, "nobody waits for what was refused")
        for number in 10..<30 { box.post(.each("many", weight: 100)) { $0.ran.append(number) } }
        // One gives up, and makes room.
        _ = asked[2].wait(0)
        let taken = asker()
        ask(5, taken)
        var worker = TestWorker()
        box.run(on: &worker)
        #expect(worker.ran == [0, 1, 3] + Array(10..<30) + [5])
        #expect(taken.wait(0) == [5])
        let next = asker()
        ask(6, next)
        box.run(on: &worker)
        #expect(next.wait(0) == [6], "what was answered makes room, too")
    }

    @Test func `of commands of a kind the later one holds, in the place of the earlier one`() {
        for number in 0..<1000 {
            box.post(.latest("policy")) { $0.ran.append(number) }
            box.post(.latest("roles")) { $0.ran.append(-number) }
        }
        var worker = TestWorker()
        box.run(on: &worker)
        #expect(worker.ran == [999, -999] && box.droppedCommands == 0)
    }

    @Test func `commands that all hold are bounded by what they weigh: the oldest ones go, and are counted`() {
        for number in 0..<10 { box.post(.each("prices", weight: 100), weight: 30) { $0.ran.append(number) } }
        box.post(.each("other", weight: 100)) { $0.ran.append(-1) }
        var worker = TestWorker()
        box.run(on: &worker)
        #expect(worker.ran == [7, 8, 9, -1] && box.droppedCommands == 7)
        box.post(.each("prices", weight: 100), weight: 1000) { $0.ran.append(1000) }
        box.run(on: &worker)
        #expect(worker.ran.last == 1000 && box.droppedCommands == 7, "one alone is never too heavy")
    }

    @Test func `questions that take long are answered a turn at a time, with packets in between`() {
        let askers = (0..<3).map { _ in asker() }
        for (number, asker) in askers.enumerated() { ask(number, asker) }
        box.post(.latest("policy")) { $0.ran.append(-1) }
        var worker = TestWorker()
        _ = box.wakeUp.wait(0)
        box.run(on: &worker, budget: 0)
        #expect(worker.ran == [0, -1], "commands do not wait")
        #expect(!box.isEmpty && box.wakeUp.wait(0), "the next turn comes at once")
        box.run(on: &worker, budget: 0)
        box.run(on: &worker, budget: 0)
        #expect(worker.ran == [0, -1, 1, 2] && box.isEmpty)
        #expect(askers.map { $0.wait(0) } == [[0], [1], [2]])
    }

    @Test func `a worker that ends runs what is left; later questions are answered by its last state`() {
        let left = asker()
        ask(1, left)
        box.post(.latest("policy")) { $0.ran.append(2) }
        let abandoned = asker()
        ask(3, abandoned)
        _ = abandoned.wait(0)
        var worker = TestWorker()
        box.close(on: &worker) { TestWorker(ran: [42]) }
        #expect(worker.ran == [1, 2] && left.wait(0) == [1])
        let late = asker()
        box.ask(late) { late.answer($0.ran[0], from: 0) }
        box.post(.latest("policy")) { $0.ran.append(4) }
        box.close()
        let later = asker()
        box.ask(later) { later.answer($0.ran[0], from: 0) }
        #expect(late.wait(600) == [42] && later.wait(600) == [42] && box.isEmpty)
    }

    @Test func `nobody waits for a worker that is not there`() {
        let before = asker()
        ask(1, before)
        box.close()
        let after = asker()
        ask(2, after)
        let began = SystemClock.now()
        #expect(before.wait(600) == [nil] && after.wait(600) == [nil])
        #expect(SystemClock.now() - began < 300)
    }

    /// Whoever asks from many threads while the worker sleeps whenever nothing waits.
    @Test func `of 8 threads' commands none is lost, run twice, or slept through`() async {
        let (threads, each) = (8, 10_000)
        let box = Mailbox<TestWorker>(limit: 64)
        let finished = Atomic<Int>(0)
        for thread in 0..<threads {
            Thread.detachNewThread {
                let wakeUp = WakeUp()
                for number in 0..<each {
                    let value = thread * each + number
                    if number % 4 == 0 {
                        let asker = PendingAnswers<Int>(1, wakeUp)
                        box.ask(asker) { worker in
                            worker.ran.append(value)
                            asker.answer(value, from: 0)
                        }
                        #expect(asker.wait(60) == [value], "the worker slept while this waited")
                    } else {
                        box.post(.each("all", weight: .max)) { $0.ran.append(value) }
                    }
                }
                finished.add(1, ordering: .releasing)
                box.wakeUp.wake()
            }
        }
        let ran = await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                var worker = TestWorker()
                while finished.load(ordering: .acquiring) < threads || !box.isEmpty {
                    // A wake-up that got lost would leave somebody waiting for a minute.
                    if box.isEmpty { box.wakeUp.wait(60) } else { box.wakeUp.clear() }
                    box.run(on: &worker, budget: 0.0001)
                }
                continuation.resume(returning: worker.ran)
            }
        }
        #expect(ran.count == threads * each && Set(ran).count == threads * each)
        for thread in 0..<threads {
            // Commands keep their order among themselves.
            let commands = ran.filter { $0 / each == thread && $0 % 4 != 0 }
            #expect(commands == commands.sorted())
        }
    }
}
