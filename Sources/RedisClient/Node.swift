// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A server and the one connection to it; belongs to the client's thread.
final class Node {
    enum Role {
        case server
        /// A server that must be a master, whose address sentinels tell.
        case master
        case sentinel
    }

    enum State {
        /// Not connected; the next attempt comes at `nextAttempt`.
        case idle
        /// Sentinels are being asked where it is.
        case locating
        case resolving
        case connecting
        case greeting
        case ready
        /// Takes nothing more, and ends when all is answered.
        case retiring
    }

    let id: Int
    let role: Role
    unowned let worker: Worker
    /// Where it is; `nil`: sentinels know.
    var endpoint: Endpoint?
    var state = State.idle
    var link: Link?
    /// What is to be sent.
    var pending = Ring<Operation>()
    /// What was sent, in the order in which replies will come.
    var inFlight = Ring<Operation>()
    var hasUrgent = false
    /// No later than the earliest deadline of what is to be sent.
    var earliestDeadline = Double.infinity
    var backOff = BackOff()
    var nextAttempt = 0.0
    var attemptDeadline = Double.infinity
    var attempts = 0
    var addresses: [Address] = []
    var triedAddresses = 0
    var isResolving = false
    var greetingsLeft = 0
    var readySince = 0.0
    var connections: UInt64 = 0
    /// Why it has no connection; `nil` before the first attempt failed.
    var lastFailure: String?
    /// Not of the cluster any more; goes when all is answered.
    var isLeaving = false

    init(id: Int, role: Role, endpoint: Endpoint?, worker: Worker) {
        self.id = id
        self.role = role
        self.endpoint = endpoint
        self.worker = worker
    }

    /// The server's name for messages.
    var name: String { endpoint?.description ?? worker.name }

    /// Puts an operation behind those to be sent, or ends it if it cannot be sent in time.
    func enqueue(_ operation: Operation) {
        if state == .idle, let lastFailure, nextAttempt > operation.deadline {
            worker.end(operation, .failure(.cannotConnect(server: name, reason: lastFailure)), at: self)
            return
        }
        pending.append(operation)
        earliestDeadline = min(earliestDeadline, operation.deadline)
        if operation.isUrgent { hasUrgent = true }
    }

    private var window: Int { worker.options.batch * 10 }

    private var canSend: Bool {
        state == .ready && !pending.isEmpty && inFlight.count < window && link?.isWaitingToWrite == false
    }

    /// When what is to be sent should go, if it can.
    private var sendTime: Double {
        guard canSend, let first = pending.first else { return .infinity }
        if hasUrgent || worker.isDraining || pending.count >= worker.options.batch { return 0 }
        return first.submitted + worker.options.batchDelay
    }

    /// When `tend` has something to do; infinity: only when the socket has.
    var nextTime: Double {
        let time: Double =
            switch state {
            case .idle: nextAttempt
            case .locating, .resolving, .connecting, .greeting: attemptDeadline
            case .ready, .retiring: min(replyDeadline, sendTime)
            }
        return min(time, earliestDeadline)
    }

    private var replyDeadline: Double { inFlight.first.map { $0.sent + worker.options.replyTimeout } ?? .infinity }

    /// Does what the time asks for.
    func tend(at now: Double) {
        if now >= earliestDeadline { expire(at: now) }
        switch state {
        case .idle: if now >= nextAttempt { connect(at: now) }
        case .locating, .resolving, .connecting, .greeting:
            if now >= attemptDeadline {
                fail(.attempt("no connection within \(worker.options.connectTimeout) s"), at: now)
            }
        case .ready, .retiring:
            if now >= replyDeadline {
                fail(.timedOut, at: now)
            } else if now >= sendTime {
                send(at: now)
            }
        }
    }

    private func expire(at now: Double) {
        earliestDeadline = .infinity
        for operation in pending.removeAll() {
            if operation.deadline <= now {
                worker.end(operation, .failure(timeout(operation, now)), at: self)
            } else {
                pending.append(operation)
                earliestDeadline = min(earliestDeadline, operation.deadline)
            }
        }
    }

    private func timeout(_ operation: Operation, _ now: Double) -> RedisError {
        if state != .ready, let lastFailure { return .cannotConnect(server: name, reason: lastFailure) }
        return .timedOut(server: name, seconds: operation.deadline - operation.submitted, isSent: false)
    }

    /// Sends all that the window has room for, a batch at a time.
    private func send(at now: Double) {
        guard let link else { return }
        do throws(LinkFailure) {
            while canSend {
                worker.buffer.removeAll(keepingCapacity: true)
                var count = 0
                while count < worker.options.batch, let operation = pending.popFirst() {
                    count += 1
                    send(operation, at: now)
                }
                try link.append(worker.buffer)
                try link.write()
                worker.status.batches &+= 1
            }
        } catch { fail(.lost(error.reason), at: now) }
        if pending.isEmpty { (hasUrgent, earliestDeadline) = (false, .infinity) }
    }

    /// Encodes a command and waits for its reply.
    func send(_ operation: Operation, at now: Double) {
        var operation = operation
        operation.sent = now
        if operation.isAsking {
            let asking = RedisCommand("ASKING", key: nil)
            asking.encode(into: &worker.buffer)
            var first = Operation(asking, .asking, submitted: now)
            first.sent = now
            inFlight.append(first)
        }
        operation.command.encode(into: &worker.buffer)
        inFlight.append(operation)
    }
}
