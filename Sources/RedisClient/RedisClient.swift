// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform
import Synchronization

/// A client of Redis that keeps nobody waiting: commands go to a thread of its own, which sends them in pipelines.
///
/// For one server, a master that sentinels know, or a cluster. Every command ends exactly once, with a reply or an
/// error, and none is sent a second time unless the server said that it had not been done.
public final class RedisClient: Sendable {
    private let mailbox: Mailbox
    private let isCluster: Bool

    /// Starts the client; it connects in the background.
    ///
    /// Throws `.libraryMissing` or `.noResources`, never for a server that is not there.
    public init(_ options: RedisOptions) throws(RedisError) {
        guard Hiredis.shared != nil else { throw .libraryMissing }
        guard let mailbox = Mailbox(options) else { throw .noResources(reason: SystemError.text(errno)) }
        self.mailbox = mailbox
        if case .cluster = options.topology { isCluster = true } else { isCluster = false }
        let isStarted = WorkerThread.runDetached(blocksSignals: true) {
            mailbox.thread.store(UInt(pthread_self()), ordering: .relaxed)
            Worker(mailbox).run()
            mailbox.finished.wake()
        }
        guard isStarted else { throw .noResources(reason: "the system refuses a thread") }
    }

    /// Ends the thread without waiting for it: the last reference may be one that a completion held.
    deinit { mailbox.close(deadline: 0) }

    /// Sends a command; never waits.
    ///
    /// It ends within `connectTimeout` + 2 `replyTimeout`, or at once where it cannot be sent at all (`.overloaded`,
    /// `.circuitOpen`, `.closed`, `.severalSlots`, `.malformedCommand`).
    ///
    /// - Parameters:
    ///   - command: what to do.
    ///   - completion: is told the end exactly once, on the client's thread, which it must not keep; on the caller's
    ///     where the command ends at once.
    public func send(
        _ command: RedisCommand,
        then completion: @escaping @Sendable (Result<RedisReply, RedisError>) -> Void
    ) {
        send(command, within: .infinity, isUrgent: false, completion)
    }

    private func send(
        _ command: RedisCommand,
        within seconds: Double,
        isUrgent: Bool,
        _ completion: @escaping Completion
    ) {
        guard command.isWellFormed else { return completion(.failure(mailbox.refuse(.malformedCommand))) }
        var routing = Routing.anywhere
        if isCluster {
            guard let slot = HashSlot.of(command) else { return completion(.failure(mailbox.refuse(.severalSlots))) }
            routing = slot
        }
        let now = SystemClock.now()
        let patience = mailbox.options.connectTimeout + mailbox.options.replyTimeout
        let operation = Operation(
            command,
            .caller(completion),
            routing,
            submitted: now,
            deadline: now + min(patience, seconds),
            isUrgent: isUrgent
        )
        if let error = mailbox.submit(operation) { completion(.failure(error)) }
    }

    /// Sends commands, without waiting for others to go with, and waits for all replies.
    ///
    /// - Parameters:
    ///   - commands: what to do; at a cluster those of different nodes are done in no particular order.
    ///   - seconds: how long to wait at most. What has no reply by then is `.timedOut`, and may have been done.
    /// - Returns: the ends, in the order of the commands.
    ///
    /// Throws `.noResources` where it cannot wait: when the system gives no descriptor, and in a completion.
    public func call(
        _ commands: [RedisCommand],
        seconds: Double
    ) throws(RedisError) -> [Result<RedisReply, RedisError>] {
        guard UInt(pthread_self()) != mailbox.thread.load(ordering: .relaxed) else {
            throw .noResources(reason: "a completion waits for the thread it runs on")
        }
        guard !commands.isEmpty else { return [] }
        guard let collector = Collector(commands.count) else { throw .noResources(reason: SystemError.text(errno)) }
        let seconds = max(0, min(seconds, 3600))
        let deadline = SystemClock.now() + seconds
        for (index, command) in commands.enumerated() {
            send(command, within: seconds, isUrgent: true) { collector.put($0, at: index) }
        }
        _ = collector.isDone.isWoken(within: deadline - SystemClock.now())
        let late = RedisError.timedOut(server: mailbox.options.description, seconds: seconds, isSent: true)
        return collector.results.withLock { $0.map { $0 ?? .failure(late) } }
    }

    /// Refuses further commands, waits until those under way have ended, and ends the thread; may be called again.
    ///
    /// - Parameter seconds: how long commands under way may take to end; the rest end as `.closed`. It returns a
    ///   second later at the latest, and at once when called by a completion.
    public func close(seconds: Double = 0.5) {
        let drainDeadline = SystemClock.now() + max(0, min(seconds, 3600))
        mailbox.close(deadline: drainDeadline)
        guard UInt(pthread_self()) != mailbox.thread.load(ordering: .relaxed) else { return }
        // Raised once and never cleared, so that everybody who closes sees it.
        _ = mailbox.finished.isWoken(within: drainDeadline + 1 - SystemClock.now())
    }

    /// How the client fares: as of the thread's last turn, which is at most a batch ago.
    public var status: RedisStatus {
        var status = mailbox.status.withLock { $0 }
        status.queued = max(0, mailbox.outstanding.load(ordering: .relaxed))
        for (kind, count) in mailbox.refused.withLock({ $0 }) { status.errors[kind, default: 0] &+= count }
        return status
    }
}

/// Gathers the ends of one call's commands.
private final class Collector: Sendable {
    let results: Mutex<[Result<RedisReply, RedisError>?]>
    let isDone = WakeUp()
    private let left: Atomic<Int>

    init?(_ count: Int) {
        results = Mutex(Array(repeating: nil, count: count))
        left = Atomic(count)
        guard isDone.descriptor >= 0 else { return nil }
    }

    func put(_ result: Result<RedisReply, RedisError>, at index: Int) {
        results.withLock { $0[index] = result }
        if left.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { isDone.wake() }
    }
}
