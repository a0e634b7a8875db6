// SPDX-License-Identifier: Apache-2.0
import Capture
import Glibc
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
    }

    private let source: Mutex<ReplaySource>
    private let queues: Mutex<Queues>
    private let workers: Int
    /// Chunks that each worker should have in store.
    private static let ahead = 2

    init(source: consuming ReplaySource, workers: Int) {
        self.source = Mutex(source)
        self.workers = workers
        queues = Mutex(
            Queues(
                waiting: Array(repeating: [], count: workers),
                free: (0..<workers * 4).map { _ in Batch(workers: workers) },
                deposits: Array(repeating: nil, count: workers)
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
            if isReader(worker) {
                source.withLock { source in produce(&source, onProgress, isCancelled) }
            } else if let batch = take(worker) {
                shard.process(batch, worker)
                if shard.analyser.metering.wantsSweep { shard.analyser.sweepTables() }
                release(batch)
            } else if isDone(worker) {
                break
            } else {
                // Another worker is reading, or every batch is in use.
                usleep(50)
            }
        }
        let end = source.withLock { $0.end }
        shard.finish(at: end)
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
        queues.withLock { queues in
            if hasMore {
                queues.users[ObjectIdentifier(batch)] = workers
                for worker in 0..<workers { queues.waiting[worker].append(batch) }
            } else {
                queues.isExhausted = true
                queues.failure = failure
            }
            queues.reader = (queues.reader + 1) % workers
        }
    }

    /// Whether it is this worker's turn to read, and somebody could do with more.
    private func isReader(_ worker: Int) -> Bool {
        queues.withLock { queues in
            queues.reader == worker && !queues.isExhausted && !queues.free.isEmpty
                && queues.waiting.contains { $0.count < Self.ahead }
        }
    }

    private func take(_ worker: Int) -> Batch? {
        queues.withLock { queues in
            queues.waiting[worker].isEmpty ? nil : queues.waiting[worker].removeFirst()
        }
    }

    private func isDone(_ worker: Int) -> Bool {
        queues.withLock { $0.isExhausted && $0.waiting[worker].isEmpty }
    }

    private func release(_ batch: Batch) {
        queues.withLock { queues in
            let left = (queues.users[ObjectIdentifier(batch)] ?? 1) - 1
            queues.users[ObjectIdentifier(batch)] = left
            if left == 0 { queues.free.append(batch) }
        }
    }
}
