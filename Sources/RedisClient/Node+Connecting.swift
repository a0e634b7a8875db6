// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform

extension Node {
    /// Why a connection, or an attempt at one, is over.
    enum Cause {
        /// It was never there.
        case attempt(String)
        case lost(String)
        case malformed(String)
        /// A reply did not come in time; those after it could not be told from it.
        case timedOut
    }

    /// Begins an attempt.
    func connect(at now: Double) {
        guard let endpoint else {
            // The search has ends of its own.
            (state, attemptDeadline) = (.locating, .infinity)
            worker.locateMaster(at: now)
            return
        }
        attempts &+= 1
        triedAddresses = 0
        attemptDeadline = now + worker.options.connectTimeout
        switch endpoint {
        case .unix(let path):
            guard let address = Address(unix: path) else { return fail(.attempt("the path is too long"), at: now) }
            addresses = [address]
            tryAddress(at: now)
        case .tcp(let host, let port):
            if case .found(let found) = Address.resolve(host, port: port, isNumeric: true) {
                addresses = found
                return tryAddress(at: now)
            }
            state = .resolving
            // A name server may be slower than our patience; its answer will do for a later attempt.
            guard !isResolving else { return }
            let (mailbox, id) = (worker.mailbox, id)
            isResolving = WorkerThread.runDetached(blocksSignals: true) {
                mailbox.resolved(Address.resolve(host, port: port, isNumeric: false), for: id)
            }
            if !isResolving { fail(.attempt("the system refuses a thread"), at: now) }
        }
    }

    /// The answer for the host's name.
    func resolved(_ resolution: Resolution, at now: Double) {
        isResolving = false
        guard state == .resolving else { return }
        switch resolution {
        case .found(let found):
            addresses = found
            tryAddress(at: now)
        case .failed(let reason): fail(.attempt(reason), at: now)
        }
    }

    /// Begins with the next address of the host, another one first in each attempt.
    private func tryAddress(at now: Double, after reason: String = "no address") {
        var reason = reason
        while triedAddresses < addresses.count {
            let address = addresses[(triedAddresses &+ attempts &- 1) % addresses.count]
            triedAddresses += 1
            do throws(LinkFailure) {
                link = try Link(to: address)
                state = .connecting
                return
            } catch { reason = error.reason }
        }
        fail(.attempt(reason), at: now)
    }

    /// Does what the socket asks for.
    func handle(_ events: Int16, at now: Double) {
        guard let link else { return }
        if state == .connecting {
            let code = link.connectError
            guard code == 0 else { return tryAddress(at: now, after: SystemError.text(code)) }
            if events & Int16(POLLOUT) != 0 { greet(link, at: now) }
            return
        }
        do throws(LinkFailure) {
            if events & Int16(POLLIN | POLLHUP | POLLERR) != 0 { try readReplies(link) }
            if events & Int16(POLLOUT) != 0, self.link === link { try link.write() }
        } catch  where state == .greeting {
            fail(.attempt(error.reason), at: now)
        } catch { fail(error.isMalformed ? .malformed(error.reason) : .lost(error.reason), at: now) }
    }

    /// Ends the connection; what was sent and not answered ends, what was not sent waits for the next connection,
    /// unless there was none this time either.
    func fail(_ cause: Cause, at now: Double) {
        let wasReady = state == .ready || state == .retiring
        // A server that ends quiet connections is not one that fails.
        if wasReady, now - readySince > 10 { backOff.reset() }
        disconnect(at: now)
        let timeout = worker.options.replyTimeout
        let reason: String =
            switch cause {
            case .attempt(let reason), .lost(let reason), .malformed(let reason): reason
            case .timedOut: "no answer within \(timeout) s"
            }
        lastFailure = reason
        worker.status.lastFailure = "\(name): \(reason)"
        for operation in inFlight.removeAll() {
            let error: RedisError =
                switch cause {
                case .attempt: .cannotConnect(server: name, reason: reason)
                case .malformed: .malformedReply(server: name, reason: reason)
                case .timedOut where operation.sent + timeout <= now:
                    .timedOut(server: name, seconds: timeout, isSent: true)
                case .lost, .timedOut: .connectionLost(server: name, reason: reason)
                }
            worker.end(operation, .failure(error), at: self)
        }
        if !wasReady {
            earliestDeadline = .infinity
            hasUrgent = false
            for operation in pending.removeAll() {
                worker.end(operation, .failure(.cannotConnect(server: name, reason: reason)), at: self)
            }
        }
        worker.disconnected(self, at: now)
    }

    /// Takes nothing more on this connection; a new one is made when all is answered.
    func retire(at now: Double) {
        guard state == .ready else { return }
        state = .retiring
        endIfRetired(at: now)
    }

    func endIfRetired(at now: Double) {
        guard state == .retiring, inFlight.isEmpty else { return }
        disconnect(at: now)
        worker.disconnected(self, at: now)
    }

    private func disconnect(at now: Double) {
        link = nil
        state = .idle
        nextAttempt = now + backOff.next(chance: Double.random(in: 0...1))
        worker.isChanged = true
    }
}
