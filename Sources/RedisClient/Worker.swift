// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform
import Synchronization

/// The client's thread: takes operations in, spreads them over nodes, waits for sockets and times.
///
/// Nothing here waits but poll(2), so one node that hangs delays no other.
final class Worker {
    let mailbox: Mailbox
    let options: RedisOptions
    /// What messages call the servers when no one is meant.
    let name: String
    var nodes: [Node] = []
    var breaker = CircuitBreaker()
    var status = RedisStatus()
    /// Whether the list of connected nodes is to be made anew.
    var isChanged = true
    /// Commands on their way to a socket; kept for its memory.
    var buffer: [UInt8] = []
    var isDraining = false
    var search: SentinelSearch?
    var cluster: ClusterMap?
    /// Operations that come again at a time: what a cluster asked to be tried again.
    var delayed: [(time: Double, operation: Operation)] = []
    private var nextNode = 0
    private var incoming: [Operation] = []
    /// The node that failed last, which is the one to probe.
    private weak var suspect: Node?

    init(_ mailbox: Mailbox) {
        self.mailbox = mailbox
        options = mailbox.options
        name = options.description
        switch options.topology {
        case .single(let server): _ = add(.server, server)
        case .sentinel(let sentinels, let master):
            search = SentinelSearch(sentinels: sentinels, master: master)
            _ = add(.master, nil)
        case .cluster(let seeds): cluster = ClusterMap(seeds: seeds)
        }
    }

    /// Works until the client is closed and all is answered or given up.
    func run() {
        while true {
            let now = SystemClock.now()
            let delivery = mailbox.take(into: &incoming, at: now)
            for (id, resolution) in delivery.resolutions {
                if let node = nodes.first(where: { $0.id == id }) { node.resolved(resolution, at: now) }
            }
            for operation in incoming { route(operation, at: now) }
            incoming.removeAll(keepingCapacity: true)
            isDraining = delivery.drainDeadline < .infinity
            if isDraining, now >= delivery.drainDeadline || mailbox.outstanding.load(ordering: .relaxed) <= 0 { break }
            let next = min(tend(at: now), min(delivery.next, delivery.drainDeadline))
            publish()
            wait(until: next)
        }
        giveUp()
        publish()
    }

    /// Does what the time asks for; returns when to come again.
    private func tend(at now: Double) -> Double {
        if breaker.beginProbe(at: now) { probe(at: now) }
        tendDelayed(at: now)
        tendCluster(at: now)
        for node in nodes { node.tend(at: now) }
        var next = min(breaker.nextProbe, cluster?.nextTime ?? .infinity)
        for (time, _) in delayed { next = min(next, time) }
        for node in nodes { next = min(next, node.nextTime) }
        return next
    }

    private func wait(until time: Double) {
        var waiting = [pollfd(fd: mailbox.wake.descriptor, events: Int16(POLLIN), revents: 0)]
        var owners: [Node] = []
        for node in nodes {
            guard let link = node.link else { continue }
            let wantsToWrite = node.state == .connecting || link.isWaitingToWrite
            let events = Int16(POLLIN) | (wantsToWrite ? Int16(POLLOUT) : 0)
            waiting.append(pollfd(fd: link.descriptor, events: events, revents: 0))
            owners.append(node)
        }
        guard unsafe poll(&waiting, nfds_t(waiting.count), Clock.milliseconds(time - SystemClock.now())) > 0 else {
            return
        }
        if waiting[0].revents != 0 { mailbox.wake.clear() }
        let now = SystemClock.now()
        for (node, socket) in zip(owners, waiting.dropFirst()) where socket.revents != 0 {
            // A node may have got another socket since, by what came over one before it.
            if node.link?.descriptor == socket.fd { node.handle(socket.revents, at: now) }
        }
    }

    /// A new node.
    func add(_ role: Node.Role, _ endpoint: Endpoint?) -> Node {
        nextNode &+= 1
        let node = Node(id: nextNode, role: role, endpoint: endpoint, worker: self)
        nodes.append(node)
        return node
    }

    /// Forgets a node that has nothing to do any more.
    func remove(_ node: Node) { nodes.removeAll { $0 === node } }

    /// Puts an operation where it belongs.
    func route(_ operation: Operation, at now: Double) {
        if breaker.state != .closed, operation.isCallers { return end(operation, .failure(.circuitOpen), at: nil) }
        guard cluster != nil else {
            // The first is the server or the master, and stays.
            nodes.first?.enqueue(operation)
            return
        }
        routeInCluster(operation, at: now)
    }

    /// Sends the breaker's PING where the trouble was.
    private func probe(at now: Double) {
        let operation = internalOperation(RedisCommand("PING", key: nil), .probe, at: now)
        let known = suspect.flatMap { suspect in nodes.first { $0 === suspect && $0.role != .sentinel && !$0.isLeaving }
        }
        guard let node = known ?? (cluster == nil ? nodes.first : clusterNode()) else {
            breaker.probed(isSuccess: false, at: now)
            return
        }
        // The pauses between probes are long enough.
        if node.state == .idle { node.nextAttempt = min(node.nextAttempt, now) }
        node.enqueue(operation)
    }

    /// A command of our own.
    func internalOperation(_ command: RedisCommand, _ purpose: Operation.Purpose, at now: Double) -> Operation {
        let deadline = now + options.connectTimeout + options.replyTimeout
        return Operation(command, purpose, submitted: now, deadline: deadline)
    }

    func connected(_ node: Node, at now: Double) {
        isChanged = true
        if node.role != .sentinel { breaker.connected(at: now) }
    }

    func disconnected(_ node: Node, at now: Double) {
        if node.role != .sentinel { suspect = node }
        // Another may be the master by now.
        if node.role == .master { node.endpoint = nil }
        if cluster != nil { clusterDisconnected(node, at: now) }
    }

    private func publish() {
        if isChanged {
            status.connected = nodes.filter { $0.state == .ready && $0.role != .sentinel }.map(\.name).sorted()
            isChanged = false
        }
        status.circuit = breaker.state
        status.openings = breaker.openings
        let status = status
        mailbox.status.withLock { $0 = status }
    }

    /// Ends all that has not ended.
    private func giveUp() {
        // What was submitted before the client was closed and has not been taken yet.
        _ = mailbox.take(into: &incoming, at: SystemClock.now())
        var left = incoming + delayed.map(\.operation) + (cluster?.takeUnrouted() ?? [])
        for node in nodes { left += node.inFlight.removeAll() + node.pending.removeAll() }
        nodes.removeAll()
        for operation in left where operation.isCallers { end(operation, .failure(.closed), at: nil) }
        isChanged = true
    }
}
