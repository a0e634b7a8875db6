// SPDX-License-Identifier: Apache-2.0
import Capture
import Glibc
import Platform
import Synchronization

/// A worker as others see it: its mailbox, its outbox, and what it tells of itself all the time.
final class WorkerHandle: Sendable {
    let mailbox = Mailbox<any WorkerState & ~Copyable>()
    let outbox: Outbox
    /// How often the worker has turned.
    let heartbeat = Atomic<Int>(0)
    let unknownCount = Atomic<Int>(0)
    let shedding = Atomic<Int>(0)
    let isCutting = Atomic<Bool>(false)

    /// How long questions may keep a worker from its packets in a turn, in seconds, beyond what one of them takes; as long as the
    /// packets of that turn took, if that was longer: so neither waits for ever for the other.
    private static let budget = 0.005

    /// One of so many workers.
    init(of workers: Int = 1) { outbox = Outbox(workers: workers) }

    /// Asks this worker alone; `nil`: it has not answered within `timeout` seconds, or too much waits there.
    func run<Answer: Sendable>(
        timeout: Double,
        _ body: @escaping @Sendable (inout any WorkerState & ~Copyable) -> Answer
    ) -> Answer? {
        let pending = PendingAnswers<Answer>(1, WakeUp())
        mailbox.ask(pending) { worker in pending.answer(body(&worker), from: 0) }
        return pending.wait(timeout)[0]
    }

    // MARK: The worker

    /// Works until `isStopped`, then takes what passed before that; returns why it ended earlier, if it did.
    func work(on worker: inout any WorkerState & ~Copyable, _ isStopped: () -> Bool) -> CaptureError? {
        var failure: CaptureError?
        do throws(CaptureError) {
            while !isStopped() {
                let isWoken = wait(worker.descriptors, worker.timeout)
                let began = SystemClock.now()
                try worker.takePackets()
                turn(on: &worker, isWoken: isWoken, budget: SystemClock.now() - began)
                worker.tidy()
            }
            try worker.takeRest()
            mailbox.run(on: &worker)
            worker.settleRest()
        } catch {
            failure = error
        }
        let last = worker.finish()
        mailbox.close(on: &worker) { last }
        return failure
    }

    /// Waits for one of these, at most so many milliseconds, or until somebody wakes it; whether somebody did.
    private func wait(_ descriptors: [Int32], _ milliseconds: Int32) -> Bool {
        let all = descriptors + [mailbox.wakeUp.descriptor]
        var waiting = all.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        let count = unsafe poll(&waiting, nfds_t(waiting.count), milliseconds)
        return count > 0 && waiting.last?.revents != 0
    }

    /// A turn of the worker's loop: a sign of life, and what waits in the mailbox.
    ///
    /// - Parameters:
    ///   - isWoken: whether its wake-up was readable. That is cleared before the mailbox is looked at: see ``WakeUp``.
    ///   - budget: how long packets took in this turn, in seconds.
    func turn(on worker: inout any WorkerState & ~Copyable, isWoken: Bool, budget: Double = 0) {
        heartbeat.add(1, ordering: .relaxed)
        if isWoken { mailbox.wakeUp.clear() }
        mailbox.run(on: &worker, budget: max(Self.budget, budget))
    }

    /// How far the worker leaves out flows.
    func note(shedding rung: Int, cutting isCutting: Bool) {
        shedding.store(rung, ordering: .relaxed)
        self.isCutting.store(isCutting, ordering: .relaxed)
    }

    /// How many of its sessions are in question.
    func note(unknown count: Int) { unknownCount.store(count, ordering: .relaxed) }
}
