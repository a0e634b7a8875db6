// SPDX-License-Identifier: Apache-2.0
import Platform
import Synchronization

/// What the callers' threads and the client's own share.
final class Mailbox: Sendable {
    struct Contents {
        var operations: [Operation] = []
        /// When the first of them came.
        var first = 0.0
        var isUrgent = false
        var resolutions: [(node: Int, resolution: Resolution)] = []
        var isClosed = false
        /// Until when what was taken in may still be answered.
        var drainDeadline = Double.infinity
    }

    let options: RedisOptions
    let contents = Mutex(Contents())
    /// Operations that have not ended.
    let outstanding = Atomic<Int>(0)
    let circuit = Atomic<UInt8>(CircuitState.closed.rawValue)
    /// As of the last turn of the client's thread.
    let status = Mutex(RedisStatus())
    /// What was refused on the callers' threads.
    let refused = Mutex<[RedisError.Kind: UInt64]>([:])
    /// The client's thread, once it runs; no thread is 0.
    let thread = Atomic<UInt>(0)
    let wake = WakeUp()
    let finished = WakeUp()

    init?(_ options: RedisOptions) {
        self.options = options.clamped
        guard wake.descriptor >= 0, finished.descriptor >= 0 else { return nil }
    }

    /// Takes an operation in, or says why not.
    func submit(_ operation: Operation) -> RedisError? {
        guard circuit.load(ordering: .relaxed) == CircuitState.closed.rawValue else { return refuse(.circuitOpen) }
        guard outstanding.add(1, ordering: .relaxed).newValue <= options.queueLimit else {
            outstanding.subtract(1, ordering: .relaxed)
            return refuse(.overloaded(limit: options.queueLimit))
        }
        let isWoken = contents.withLock { contents -> Bool? in
            guard !contents.isClosed else { return nil }
            if contents.operations.isEmpty { contents.first = operation.submitted }
            contents.operations.append(operation)
            let isFirstUrgent = operation.isUrgent && !contents.isUrgent
            if isFirstUrgent { contents.isUrgent = true }
            // At the first, so that the thread knows when to come; it sleeps through those between.
            let count = contents.operations.count
            return count == 1 || count == options.batch || isFirstUrgent
        }
        guard let isWoken else {
            outstanding.subtract(1, ordering: .relaxed)
            return refuse(.closed)
        }
        if isWoken { wake.wake() }
        return nil
    }

    /// Counts an operation that is refused at once.
    func refuse(_ error: RedisError) -> RedisError {
        refused.withLock { $0[error.kind, default: 0] &+= 1 }
        return error
    }

    /// Tells what became of a node's name.
    func resolved(_ resolution: Resolution, for node: Int) {
        contents.withLock { $0.resolutions.append((node, resolution)) }
        wake.wake()
    }

    /// Refuses what comes from now on; what is in has until `deadline`.
    func close(deadline: Double) {
        contents.withLock { contents in
            contents.isClosed = true
            contents.drainDeadline = min(contents.drainDeadline, deadline)
        }
        wake.wake()
    }

    /// What the thread is to look at now.
    struct Delivery {
        var resolutions: [(node: Int, resolution: Resolution)] = []
        /// When the operations that are still in should be taken; infinity for none.
        var next = Double.infinity
        /// When all that has not ended is given up; infinity while the client is open.
        var drainDeadline = Double.infinity
    }

    /// Takes the operations into `place`, which is empty, if it is time for them.
    func take(into place: inout [Operation], at now: Double) -> Delivery {
        contents.withLock { contents in
            var delivery = Delivery()
            swap(&delivery.resolutions, &contents.resolutions)
            delivery.drainDeadline = contents.isClosed ? contents.drainDeadline : .infinity
            guard !contents.operations.isEmpty else { return delivery }
            let due = contents.first + options.batchDelay
            if contents.isUrgent || contents.isClosed || contents.operations.count >= options.batch || now >= due {
                swap(&place, &contents.operations)
                contents.isUrgent = false
            } else {
                delivery.next = due
            }
            return delivery
        }
    }
}
