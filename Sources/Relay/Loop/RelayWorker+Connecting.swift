// SPDX-License-Identifier: Apache-2.0
import CLinux
import Domain
import Glibc
import Synchronization

/// From the listener to an open connection.
extension RelayWorker {
    mutating func watchListeners() {
        for (index, listener) in listeners.enumerated() {
            _ = queue.add(listener, .readable, key: Self.special | UInt64(index + 1))
        }
        pausedUntil = 0
    }

    /// Leaves new connections in the kernel's queue for a while.
    private mutating func pause(until time: Int64) {
        for listener in listeners { queue.remove(listener) }
        pausedUntil = time
    }

    mutating func accept(_ listener: Int32) {
        for _ in 0..<64 where pausedUntil == 0 {
            guard hasToken() else { return }
            let descriptor = linux_accept(listener)
            if descriptor < 0 {
                if [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(errno) {
                    // Listening on would be a busy loop.
                    counts.exhausted &+= 1
                    pause(until: Self.steady() &+ 100_000_000)
                }
                if errno == EAGAIN { return }
                continue
            }
            begin(descriptor)
        }
    }

    /// Whether the rate of accepts allows one more now.
    private mutating func hasToken() -> Bool {
        let rate = board.options.acceptRate / Double(board.workers.count)
        guard rate > 0 else { return true }
        let now = Self.steady()
        tokens = min(max(1, rate / 10), tokens + Double(now &- tokenTime) / 1e9 * rate)
        tokenTime = now
        guard tokens >= 1 else {
            pause(until: now &+ Int64((1 - tokens) / rate * 1e9) &+ 1)
            return false
        }
        tokens -= 1
        return true
    }

    private mutating func begin(_ descriptor: Int32) {
        counts.accepted &+= 1
        let isAdmitted = board.open.add(1, ordering: .relaxed).newValue <= board.most
        if !isAdmitted { board.open.subtract(1, ordering: .relaxed) }
        let mayRefuse =
            isAdmitted || board.refusing.add(1, ordering: .relaxed).newValue <= board.mostRefusing || endOldestRefusal()
        guard mayRefuse, let handle = connections.take(), legs.include(connections.place(of: handle) &* 2 &+ 1) else {
            if isAdmitted {
                board.open.subtract(1, ordering: .relaxed)
            } else {
                board.refusing.subtract(1, ordering: .relaxed)
            }
            counts.refused &+= 1
            return Socket.reset(descriptor)
        }
        lastSerial = lastSerial >= .max &- 1 ? 1 : lastSerial &+ 1
        let connection = connections.slot(handle)
        connection.value.serial = lastSerial
        connection.value.isAdmitted = isAdmitted
        let client = legs.slot(connection.place &* 2)
        (client.value, legs[connection.place &* 2 &+ 1]) = (Leg(), Leg())
        client.value.descriptor = descriptor
        guard queue.add(descriptor, Self.interest, key: key(client, connection)) else {
            return end(connection, resets: true)
        }
        if !isAdmitted {
            if refusals.count >= 4 * board.mostRefusing { dropOverRefusals() }
            refusals.append(key(client, connection))
            return refuse(connection, .tooMany)
        }
        if tls.isUsed {
            // As long as a server waits for a client that says nothing (authentication_timeout).
            enter(.greeting, connection, seconds: 60)
        } else {
            connect(connection)
        }
    }

    /// Begins a phase that must be over in time.
    mutating func enter(_ phase: Connection.Phase, _ connection: Slot<Connection>, seconds: Double) {
        connection.value.phase = phase
        connection.value.deadline = Self.steady() &+ Int64(seconds * 1e9)
        waiting.append(key(legs.slot(connection.place &* 2), connection))
    }

    /// Connects to the next of the upstream's addresses.
    mutating func connect(_ connection: Slot<Connection>) {
        let server = legs.slot(connection.place &* 2 &+ 1)
        while let upstream = next(connection) {
            let descriptor = Socket.connect(upstream.address, mark: board.options.mark)
            if descriptor >= 0 {
                server.value.descriptor = descriptor
                guard queue.add(descriptor, Self.interest, key: key(server, connection)) else { break }
                return enter(.connecting, connection, seconds: board.options.connectTimeout)
            }
            if descriptor == -EMFILE || descriptor == -ENFILE {
                // Not the server's fault.
                counts.exhausted &+= 1
                break
            }
            board.upstreams.noteFailure(upstream.address)
        }
        counts.failed &+= 1
        refuse(connection, .unreachable)
    }

    /// Where to connect to now; `nil`: all was tried.
    private mutating func next(_ connection: Slot<Connection>) -> Upstream? {
        let attempt = Int(connection.value.attempt)
        var found: Upstream?
        if board.options.followsOriginalDestination,
            let address = Socket.originalDestination(legs[connection.place &* 2].descriptor)
        {
            found = attempt == 0 ? Upstream(address: address, host: address.text) : nil
        } else {
            let version = board.upstreams.version.load(ordering: .acquiring)
            if version != upstreamVersion, attempt == 0 {
                upstreamVersion = version
                upstreams = board.upstreams.order
            }
            found = attempt < min(upstreams.count, 255) ? upstreams[attempt] : nil
        }
        guard let found else { return nil }
        connection.value.attempt &+= 1
        // A connection remembers its address by number; the list of these begins anew when DNS has made it long.
        let known = targets.firstIndex(of: found)
        if known == nil, targets.count >= Self.mostTargets { targets.removeAll() }
        if known == nil { targets.append(found) }
        connection.value.target = UInt16(truncatingIfNeeded: known ?? targets.count - 1)
        return found
    }

    private static var mostTargets: Int { 4096 }

    /// The address that is tried.
    func target(_ connection: Slot<Connection>) -> Upstream? {
        let index = Int(connection.value.target)
        return index < targets.count ? targets[index] : nil
    }

    /// The address that is tried did not answer, or said no.
    private mutating func connectNext(_ connection: Slot<Connection>) {
        if let target = target(connection) { board.upstreams.noteFailure(target.address) }
        legs.slot(connection.place &* 2 &+ 1).value.close(resets: false)
        connect(connection)
    }

    /// An event of a connection that is not open yet, or no longer.
    @inline(never)
    mutating func advance(_ connection: Slot<Connection>, _ leg: Slot<Leg>, _ events: Events) {
        let isClient = leg.handle & 1 == 0
        let isGone = !events.isDisjoint(with: [.failed, .hungUp])
        // A client that is gone needs no server.
        if isClient, isGone, connection.value.phase != .open { return end(connection, resets: true) }
        switch connection.value.phase {
        case .greeting: greet(connection)
        case .clientHandshake: shakeHands(connection, leg)
        case .connecting:
            guard !isClient, isGone || events.contains(.writable) else { return }
            if isGone || Socket.pendingError(leg.value.descriptor) != 0 {
                connectNext(connection)
            } else {
                connected(connection)
            }
        case .upstreamGreeting: if !isClient { hearUpstream(connection) }
        case .upstreamHandshake: if !isClient { shakeHands(connection, leg) }
        case .refusing: tellRefusal(connection)
        case .lingering: linger(connection)
        case .open: break
        }
    }

    private mutating func connected(_ connection: Slot<Connection>) {
        let (client, server) = (legs.slot(connection.place &* 2), legs.slot(connection.place &* 2 &+ 1))
        if board.options.sendsProxyHeader,
            let header = ProxyHeader.bytes(client.value.descriptor),
            !Socket.send(server.value.descriptor, header)
        {
            return connectNext(connection)
        }
        if tls.upstream != nil { return askUpstream(connection) }
        open(connection)
    }

    /// Bytes move from now on; what came meanwhile first.
    mutating func open(_ connection: Slot<Connection>) {
        connection.value.phase = .open
        let (client, server) = (legs.slot(connection.place &* 2), legs.slot(connection.place &* 2 &+ 1))
        let key = key(client, connection)
        forward(client, server, connection)
        guard self.connection(of: key) != nil, server.value.state.contains(.readable) else { return }
        forward(server, client, connection)
    }

    // MARK: Time

    /// Ends phases whose time is over, and pauses.
    mutating func tick() {
        let now = Self.steady()
        if pausedUntil != 0, pausedUntil <= now { watchListeners() }
        guard now &- lastTick >= 20_000_000 else { return }
        lastTick = now
        let keys = waiting
        waiting.removeAll(keepingCapacity: true)
        for key in keys {
            guard let connection = connection(of: key), connection.value.deadline != 0,
                connection.value.phase != .open
            else { continue }
            if connection.value.deadline > now {
                waiting.append(key)
                continue
            }
            switch connection.value.phase {
            case .connecting: connectNext(connection)
            case .upstreamGreeting, .upstreamHandshake: refuse(connection, .upstreamTLS)
            default: end(connection, resets: false)
            }
        }
    }
}
