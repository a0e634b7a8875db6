// SPDX-License-Identifier: Apache-2.0
import Capture
import Metering
import Platform
import Quotas
import Synchronization

/// Shares one capture among workers, who take turns to read the next chunk, for all.
///
/// The one whose turn it is decodes the chunk and queues its segments for the owners of their flows; so every worker
/// sees its flows' packets in the order of the capture. It reads ahead, so that the others do not wait for it. Turns
/// share the work of reading evenly: were it left to whoever is idle, the one that just read would be it each time.
final class Exchange: Sendable {
    private struct Queues {
        var waiting: [[Batch]]
        var free: [Batch]
        var users: [ObjectIdentifier: Int] = [:]
        var isExhausted = false
        /// The worker that reads next.
        var reader = 0
        var failure: CaptureError?
        var deposits: [(result: ReplayResult, cpu: Double)?]
        /// Workers that sleep until they are woken.
        var isWaiting: [Bool]

        /// Whether it is this worker's turn to read, and somebody could do with more.
        func isReader(_ worker: Int) -> Bool {
            reader == worker && !isExhausted && !free.isEmpty && waiting.contains { $0.count < Exchange.ahead }
        }

        /// The worker that reads next, if it sleeps and has work by now; it counts as woken.
        mutating func takeSleepingReader() -> Int? {
            guard isWaiting[reader], isReader(reader) else { return nil }
            isWaiting[reader] = false
            return reader
        }

        /// All who sleep; they count as woken.
        mutating func takeSleepers() -> [Int] {
            defer { for worker in isWaiting.indices { isWaiting[worker] = false } }
            return isWaiting.indices.filter { isWaiting[$0] }
        }
    }

    /// What a worker does next.
    private enum Step {
        case read
        case process(Batch)
        /// Another worker is reading, or every batch is in use.
        case wait
        case end
    }

    private let source: Mutex<ReplaySource>
    private let queues: Mutex<Queues>
    private let workers: Int
    private let wakeUps: [WakeUp]
    /// Chunks that each worker should have in store.
    private static let ahead = 2

    init(source: consuming ReplaySource, workers: Int) {
        self.source = Mutex(source)
        self.workers = workers
        wakeUps = (0..<workers).map { _ in WakeUp() }
        queues = Mutex(
            Queues(
                waiting: Array(repeating: [], count: workers),
                free: (0..<workers * 4).map { _ in Batch(workers: workers) },
                deposits: Array(repeating: nil, count: workers),
                isWaiting: Array(repeating: false, count: workers)
            )
        )
    }

    /// Works until the capture is used up.
    func run(
        _ worker: Int,
        _ shard: inout Shard<NoRecorder>,
        _ onProgress: (ReplayProgress) -> Void,
        _ isCancelled: () -> Bool
    ) {
        while true {
            switch next(worker) {
            case .read: source.withLock { source in produce(&source, onProgress, isCancelled) }
            case .process(let batch):
                shard.process(batch, worker)
                if shard.analyser.metering.wantsSweep { shard.analyser.sweepTables() }
                release(batch)
            case .wait:
                // For ever: it is noted that it sleeps. Without a descriptor nobody can wake it.
                wakeUps[worker].wait(wakeUps[worker].descriptor >= 0 ? nil : 0.001)
            case .end: return shard.finish(at: source.withLock { $0.end })
            }
        }
    }

    /// Leaves what a worker counted; after that its thread ends.
    func deposit(_ worker: Int, _ shard: borrowing Shard<NoRecorder>) {
        var result = ReplayResult(policy: .standard, capture: CaptureSummary(), consumed: 0)
        result.add(shard)
        let cpu = SystemClock.threadCPU()
        queues.withLock { $0.deposits[worker] = (result, cpu) }
    }

    /// The sum of all workers' results.
    func result(_ options: ReplayOptions) throws(CaptureError) -> ReplayResult {
        let (summary, consumed) = source.withLock { ($0.summary, $0.progress.consumed) }
        var total = ReplayResult(policy: options.policy, capture: summary, consumed: consumed)
        let (deposits, failure) = queues.withLock { ($0.deposits, $0.failure) }
        if let failure { throw failure }
        for deposit in deposits {
            guard let deposit else { continue }
            total.add(deposit.result)
            total.workerCPU.append(deposit.cpu)
        }
        return total
    }

    private func produce(
        _ source: inout ReplaySource,
        _ onProgress: (ReplayProgress) -> Void,
        _ isCancelled: () -> Bool
    ) {
        guard let batch = queues.withLock({ $0.free.popLast() }) else { return }
        var hasMore = false
        var failure: CaptureError?
        do throws(CaptureError) {
            hasMore = isCancelled() ? false : try source.fill(batch.chunk)
            if hasMore {
                var sorter = batch.sorter()
                try source.decode(batch.chunk, into: &sorter)
                sorter.finish()
            }
        } catch {
            failure = error
        }
        onProgress(source.progress)
        let sleepers = queues.withLock { queues in
            if hasMore {
                queues.users[ObjectIdentifier(batch)] = workers
                for worker in 0..<workers { queues.waiting[worker].append(batch) }
            } else {
                queues.isExhausted = true
                queues.failure = failure
            }
            queues.reader = (queues.reader + 1) % workers
            return queues.takeSleepers()
        }
        for worker in sleepers { wakeUps[worker].wake() }
    }

    /// What this worker does next; that it sleeps is noted in the same step in which nothing was found for it, so that whoever has
    /// something for it later sees that.
    private func next(_ worker: Int) -> Step {
        let (step, reader): (Step, Int?) = queues.withLock { queues in
            if queues.isReader(worker) { return (.read, nil) }
            guard queues.waiting[worker].isEmpty else {
                let batch = queues.waiting[worker].removeFirst()
                return (.process(batch), queues.takeSleepingReader())
            }
            if queues.isExhausted { return (.end, nil) }
            queues.isWaiting[worker] = true
            return (.wait, nil)
        }
        if let reader { wakeUps[reader].wake() }
        return step
    }

    private func release(_ batch: Batch) {
        let reader: Int? = queues.withLock { queues in
            let left = (queues.users[ObjectIdentifier(batch)] ?? 1) - 1
            queues.users[ObjectIdentifier(batch)] = left
            if left == 0 { queues.free.append(batch) }
            return queues.takeSleepingReader()
        }
        if let reader { wakeUps[reader].wake() }
    }
}
