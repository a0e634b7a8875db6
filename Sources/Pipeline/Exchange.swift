// SPDX-License-Identifier: Apache-2.0
import Capture
import Glibc
import Quotas
import Synchronization

/// Shares one capture among workers: whoever has nothing to do reads the next chunk, for all.
///
/// The source is read under a lock by one worker at a time, which decodes the chunk and queues its segments for the
/// owners of their flows; so every worker sees its flows' packets in the order of the capture.
final class Exchange: Sendable {
    private struct Queues {
        var waiting: [[Batch]]
        var free: [Batch]
        var users: [ObjectIdentifier: Int] = [:]
        var isExhausted = false
        var failure: CaptureError?
        var deposits: [(result: ReplayResult, cpu: Double)?]
    }

    private let source: Mutex<ReplaySource>
    private let queues: Mutex<Queues>
    private let workers: Int

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
            if let batch = take(worker) {
                shard.process(batch, worker)
                release(batch)
                continue
            }
            if isDone(worker) { break }
            let hasRead = source.withLockIfAvailable { source in produce(&source, onProgress, isCancelled) }
            // Another worker is reading, or every batch is in use.
            if hasRead != true { usleep(20) }
        }
        let end = source.withLock { $0.end }
        shard.finish(at: end)
    }

    func deposit(_ worker: Int, _ shard: borrowing Shard<NoRecorder>, cpu: Double) {
        var result = ReplayResult(policy: .standard, capture: CaptureSummary(), consumed: 0)
        result.add(shard)
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
    ) -> Bool {
        guard let batch = queues.withLock({ $0.isExhausted ? nil : $0.free.popLast() }) else { return false }
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
        }
        return true
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
