// SPDX-License-Identifier: Apache-2.0

extension Worker {
    /// Puts an operation to the node of its slot.
    func routeInCluster(_ operation: Operation, at now: Double) {
        guard cluster?.isKnown == true else {
            cluster?.unrouted.append(operation)
            return
        }
        var node: Node?
        if case .slot(let slot) = operation.routing { node = cluster?.nodes[slot] }
        if node == nil, operation.routing != .anywhere { cluster?.wantRefresh(at: now) }
        // For a slot of nobody's any node will say CLUSTERDOWN, or know better than we.
        (node ?? clusterNode())?.enqueue(operation)
    }

    /// Any node: one that is connected, if there is one.
    func clusterNode() -> Node? {
        guard let cluster else { return nil }
        let servers = nodes.filter { !$0.isLeaving }
        let ready = servers.filter { $0.state == .ready }
        self.cluster?.asked &+= 1
        if !ready.isEmpty { return ready[cluster.asked % ready.count] }
        // Seeds and known nodes in turn: all seeds may be gone after years, and all nodes may have new addresses.
        let known = servers.compactMap(\.endpoint)
        let all = cluster.seeds + known.filter { !cluster.seeds.contains($0) }
        return node(of: all[cluster.asked % all.count])
    }

    private func node(of endpoint: Endpoint) -> Node {
        let node = nodes.first { $0.endpoint == endpoint } ?? add(.server, endpoint)
        node.isLeaving = false
        return node
    }

    /// Asks for the map if it is time to.
    func tendCluster(at now: Double) {
        guard let map = cluster else { return }
        if let first = map.unrouted.first, first.deadline <= now {
            for operation in cluster?.takeUnrouted() ?? [] {
                if operation.deadline <= now {
                    let error = RedisError.timedOut(
                        server: name,
                        seconds: operation.deadline - operation.submitted,
                        isSent: false
                    )
                    end(operation, .failure(error), at: nil)
                } else {
                    cluster?.unrouted.append(operation)
                }
            }
        }
        guard !map.isAsking, now >= map.refreshTime, let node = clusterNode() else { return }
        cluster?.isAsking = true
        cluster?.refreshTime = .infinity
        cluster?.lastRefresh = now
        if node.state == .idle { node.nextAttempt = min(node.nextAttempt, now) }
        node.enqueue(internalOperation(RedisCommand("CLUSTER", "SLOTS", key: nil), .slots, at: now))
    }

    /// A node has told the map, or has not.
    func learnedSlots(_ result: Result<RedisReply, RedisError>, by node: Node?, at now: Double) {
        cluster?.isAsking = false
        var reason = "CLUSTER SLOTS was answered with what is no map"
        switch result {
        case .success(let reply):
            guard let ranges = SlotRange.ranges(reply, from: node?.endpoint), !ranges.isEmpty,
                Set(ranges.map(\.master)).count <= ClusterMap.mostNodes
            else { break }
            return apply(ranges, at: now)
        case .failure(let error): reason = error.description
        }
        guard var map = cluster else { return }
        map.failures &+= 1
        map.refreshTime = now + map.backOff.next(chance: Double.random(in: 0...1))
        cluster = map
        // Once all seeds were asked in vain, nobody knows.
        guard map.failures >= map.seeds.count else { return }
        for operation in cluster?.takeUnrouted() ?? [] {
            end(operation, .failure(.cannotConnect(server: name, reason: reason)), at: nil)
        }
    }

    private func apply(_ ranges: [SlotRange], at now: Double) {
        var map = [Node?](repeating: nil, count: HashSlot.count)
        var masters: [Endpoint: Node] = [:]
        for range in ranges {
            let node = masters[range.master] ?? node(of: range.master)
            masters[range.master] = node
            for slot in range.slots { map[slot] = node }
        }
        cluster?.nodes = map
        cluster?.isKnown = true
        cluster?.failures = 0
        cluster?.backOff.reset()
        var homeless = cluster?.takeUnrouted() ?? []
        for node in nodes where node.endpoint.map({ masters[$0] == nil }) ?? true {
            node.isLeaving = true
            let waiting = node.pending.removeAll()
            homeless += waiting.filter(\.isCallers)
            for operation in waiting where !operation.isCallers { node.pending.append(operation) }
            leaveIfDone(node)
        }
        for operation in homeless { route(operation, at: now) }
    }

    func leaveIfDone(_ node: Node) {
        guard node.isLeaving, node.inFlight.isEmpty, node.pending.isEmpty else { return }
        node.link = nil
        remove(node)
        isChanged = true
    }

    func clusterDisconnected(_ node: Node, at now: Double) {
        cluster?.wantRefresh(at: now)
        leaveIfDone(node)
    }

    /// Sends a command on if that is what the node's error asks for; false: the error is the caller's.
    func redirect(_ operation: Operation, _ refusal: RedisRefusal, from node: Node, at now: Double) -> Bool {
        guard [.moved, .ask, .tryAgain, .clusterDown].contains(refusal.kind) else { return false }
        guard operation.redirects < ClusterMap.mostRedirects else {
            if refusal.kind == .clusterDown || refusal.kind == .tryAgain { return false }
            end(operation, .failure(.tooManyRedirects(count: operation.redirects)), at: node)
            return true
        }
        var operation = operation
        operation.redirects += 1
        operation.isAsking = refusal.kind == .ask
        if refusal.kind != .ask, refusal.kind != .tryAgain { cluster?.wantRefresh(at: now) }
        if refusal.kind == .tryAgain || refusal.kind == .clusterDown {
            // 20, 40, 80, 160, 320 ms.
            delayed.append((now + 0.01 * Double(1 << operation.redirects), operation))
        } else {
            guard let (slot, target) = SlotRange.redirect(refusal.message, from: node.endpoint),
                nodes.count < ClusterMap.mostNodes
            else { return false }
            let next = self.node(of: target)
            if refusal.kind == .moved { cluster?.nodes[slot] = next }
            next.enqueue(operation)
            next.hasUrgent = true
        }
        status.redirects &+= 1
        return true
    }
}
