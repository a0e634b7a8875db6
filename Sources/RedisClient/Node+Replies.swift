// SPDX-License-Identifier: Apache-2.0
import Platform

extension Node {
    /// Says who we are, and asks whether the server is of use.
    func greet(_ link: Link, at now: Double) {
        let options = worker.options
        var greetings: [(Operation.Greeting, RedisCommand)] = []
        if let password = options.password {
            let words = ["AUTH"] + [options.user, password].compactMap { $0 }
            greetings.append((.authenticate, RedisCommand(words.map { Array($0.utf8) }, key: nil)))
        }
        if role != .sentinel, options.database != 0 {
            greetings.append((.select, RedisCommand("SELECT", String(options.database), key: nil)))
        }
        greetings.append((.name, RedisCommand("CLIENT", "SETNAME", "pgweir", key: nil)))
        greetings.append((.ping, RedisCommand("PING", key: nil)))
        if role == .master { greetings.append((.role, RedisCommand("ROLE", key: nil))) }
        state = .greeting
        greetingsLeft = greetings.count
        worker.buffer.removeAll(keepingCapacity: true)
        for (step, command) in greetings {
            send(Operation(command, .greeting(step), submitted: now), at: now)
        }
        do throws(LinkFailure) {
            try link.append(worker.buffer)
            try link.write()
        } catch { fail(.attempt(error.reason), at: now) }
    }

    /// Hands out the replies that have come.
    func readReplies(_ link: Link) throws(LinkFailure) {
        // Not for ever: other nodes have replies, too.
        for _ in 0..<16 {
            let isFull = try link.read()
            let now = SystemClock.now()
            while self.link === link, let reply = try link.nextReply() {
                guard let operation = inFlight.popFirst() else {
                    throw LinkFailure(reason: "a reply that nobody asked for", isMalformed: true)
                }
                switch operation.purpose {
                case .greeting(let step): greeted(step, reply, at: now)
                case .asking: break
                case .caller, .slots, .master, .probe:
                    worker.answered(operation, reply, latency: now - operation.sent, by: self, at: now)
                }
                endIfRetired(at: now)
            }
            guard isFull, self.link === link else { return }
        }
    }

    private func greeted(_ step: Operation.Greeting, _ reply: RedisReply, at now: Double) {
        if let fault = fault(step, reply) { return fail(.attempt(fault), at: now) }
        greetingsLeft -= 1
        guard greetingsLeft == 0 else { return }
        state = .ready
        readySince = now
        connections &+= 1
        if connections > 1 { worker.status.reconnects &+= 1 }
        worker.connected(self, at: now)
    }

    /// Why a greeting's reply makes the server useless; `nil` if it does not.
    private func fault(_ step: Operation.Greeting, _ reply: RedisReply) -> String? {
        guard case .error(let refusal) = reply else {
            guard step == .role, let role = reply.elements?.first?.text, role != "master" else { return nil }
            worker.masterIsNone()
            return "it is no master but a \(role)"
        }
        let whole = RedisError.refused(refusal, server: name).description
        switch step {
        // Sentinels have passwords of their own, or none.
        case .authenticate: return role == .sentinel ? nil : whole
        case .select: return whole
        // The name is a courtesy, and an ACL may forbid any of these; LOADING and NOAUTH say so here already.
        case .name, .ping, .role: return refusal.isOutage ? whole : nil
        }
    }
}
