// SPDX-License-Identifier: Apache-2.0
import Platform
import Synchronization

extension Worker {
    /// A reply came.
    func answered(_ operation: Operation, _ reply: RedisReply, latency: Double, by node: Node, at now: Double) {
        status.latency += (latency - status.latency) / (status.operations == 0 ? 1 : 16)
        guard case .error(let refusal) = reply else {
            node.backOff.reset()
            return end(operation, .success(reply), at: node, latency: latency, now)
        }
        if operation.isCallers, cluster != nil, redirect(operation, refusal, from: node, at: now) { return }
        end(operation, .failure(.refused(refusal, server: node.name)), at: node, latency: latency, now)
        if refusal.wantsReconnect { node.retire(at: now) }
    }

    /// Ends an operation, whoever waits for it.
    func end(
        _ operation: Operation,
        _ result: Result<RedisReply, RedisError>,
        at node: Node?,
        latency: Double = 0,
        _ now: Double = SystemClock.now()
    ) {
        switch operation.purpose {
        case .caller(let completion):
            count(result, latency, now)
            mailbox.outstanding.subtract(1, ordering: .relaxed)
            completion(result)
        case .greeting, .asking: break
        case .master: locatedMaster(result, by: node, at: now)
        case .slots: learnedSlots(result, by: node, at: now)
        case .probe:
            // Any answer is one, but for those of a server that is of no use.
            var isSuccess = true
            if case .failure(let error) = result {
                if case .refused = error { isSuccess = !error.isOutage } else { isSuccess = false }
            }
            breaker.probed(isSuccess: isSuccess, at: now)
            mailbox.circuit.store(breaker.state.rawValue, ordering: .relaxed)
        }
    }

    private func count(_ result: Result<RedisReply, RedisError>, _ latency: Double, _ now: Double) {
        let wasClosed = breaker.state == .closed
        switch result {
        case .success:
            status.operations &+= 1
            breaker.record(isFailure: false, latency: latency, at: now)
        case .failure(let error):
            status.errors[error.kind, default: 0] &+= 1
            if case .refused(let refusal, _) = error { status.refusals[refusal.kind, default: 0] &+= 1 }
            // What we refused ourselves says nothing of the server.
            switch error.kind {
            case .circuitOpen, .closed, .unusable, .overloaded, .resources: return
            default: breaker.record(isFailure: error.isOutage, latency: latency, at: now)
            }
        }
        guard wasClosed, breaker.state == .open else { return }
        mailbox.circuit.store(breaker.state.rawValue, ordering: .relaxed)
        endUnsent()
    }

    /// The circuit has opened: what was not sent is not worth waiting for.
    private func endUnsent() {
        var unsent = delayed.map(\.operation) + (cluster?.takeUnrouted() ?? [])
        delayed.removeAll()
        for node in nodes {
            for operation in node.pending.removeAll() {
                if operation.isCallers { unsent.append(operation) } else { node.pending.append(operation) }
            }
        }
        for operation in unsent { end(operation, .failure(.circuitOpen), at: nil) }
    }

    /// Sends again what was to be sent again by now.
    func tendDelayed(at now: Double) {
        guard !delayed.isEmpty else { return }
        let all = delayed
        delayed.removeAll()
        for (time, operation) in all {
            if time > now {
                delayed.append((time, operation))
            } else if operation.deadline <= now {
                let seconds = operation.deadline - operation.submitted
                end(operation, .failure(.timedOut(server: name, seconds: seconds, isSent: false)), at: nil)
            } else {
                route(operation, at: now)
            }
        }
    }
}
