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
            var peer = sockaddr_storage()
            let descriptor = unsafe linux_accept_from(listener, &peer)
            if descriptor < 0 {
                if [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(errno) {
                    // Listening on would be a busy loop.
                    counts.exhausted &+= 1
                    pause(until: Self.steady() &+ 100_000_000)
                }
                if errno == EAGAIN { return }
                continue
            }
            begin(descriptor, from: SocketAddress(peer))
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

    private mutating func begin(_ descriptor: Int32, from peer: SocketAddress?) {
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
        connection.value.client = peer.map { ClientCounts.place(of: $0) } ?? 0
        if isAdmitted { board.clients.add(1, at: connection.value.client) }
        let client = legs.slot(connection.place &* 2)
        (client.value, legs[connection.place &* 2 &+ 1]) = (Leg(), Leg())
        client.value.descriptor = descriptor
        guard queue.add(descriptor, Self.interest, key: key(client, connection)) else {
            return end(connection, resets: true)
        }
        if !isAdmitted {
            if refusals.count >= 4 * board.mostRefusing { dropOverRefusals() }
            refusals.append(key(client, connection))
        }
        // Our own: it would go round until all places are taken.
        if let port = peer?.endpoint.port, board.ownConnections.contains(descriptor, port: port) {
            return refuseLoop(connection)
        }
        connection.value.isSuspect = peer.map { isUpstream($0) } ?? false
        if tls.isUsed {
            // As long as a server waits for a client that says nothing (authentication_timeout).
            enter(.greeting, connection, seconds: isAdmitted ? 60 : 10)
        } else if isAdmitted {
            connect(connection)
        } else {
            refuse(connection, .tooMany)
        }
    }

    /// Begins a phase that must be over in time.
    mutating func enter(_ phase: Connection.Phase, _ connection: Slot<Connection>, seconds: Double) {
        connection.value.phase = phase
        connection.value.deadline = Self.steady() &+ Int64(seconds * 1e9)
        guard !connection.value.isTimed else { return }
        connection.value.isTimed = true
        waiting.append(key(legs.slot(connection.place &* 2), connection))
    }

    /// Connects to the next of the upstreams' addresses.
    mutating func connect(_ connection: Slot<Connection>) {
        if connection.value.isSuspect, connection.value.target == .none, connection.value.phase != .held, mayLoop() {
            return enter(.held, connection, seconds: board.options.connectTimeout)
        }
        let server = legs.slot(connection.place &* 2 &+ 1)
        while let upstream = next(connection) {
            let descriptor = Socket.connect(upstream.address, mark: board.options.mark)
            if descriptor >= 0 {
                server.value.descriptor = descriptor
                if connection.value.via != 0 { board.ownConnections.forget(port: connection.value.via) }
                connection.value.via = board.ownConnections.remember(descriptor, to: upstream.address)
                guard queue.add(descriptor, Self.interest, key: key(server, connection)) else { break }
                return enter(.connecting, connection, seconds: board.options.connectTimeout)
            }
            if descriptor == -EMFILE || descriptor == -ENFILE {
                // Not the server's fault.
                counts.exhausted &+= 1
                break
            }
            board.upstreams.noteFailure(upstream, ofTLS: false)
        }
        counts.failed &+= 1
        refuse(connection, connection.value.isAdmitted ? connection.value.refusal : .tooMany)
    }

    /// Where to connect to now: the first that this connection has not tried; `nil`: all was tried.
    ///
    /// The order may have changed since its last attempt, by other connections' failures, probes and DNS.
    private mutating func next(_ connection: Slot<Connection>) -> Upstream? {
        if let original = original(connection) {
            guard connection.value.target == .none else { return nil }
            connection.value.target = .original
            return original
        }
        refreshUpstreams()
        let tried = connection.value.tried
        guard let found = upstreams.first(where: { !tried.contains($0.number) }) else { return nil }
        connection.value.tried.insert(found.number)
        connection.value.target = .upstream(found.serial)
        return found
    }

    mutating func refreshUpstreams() {
        let version = board.upstreams.version.load(ordering: .acquiring)
        guard version != upstreamVersion else { return }
        upstreamVersion = version
        upstreams = board.upstreams.order
    }

    /// Where a connection was going before netfilter's REDIRECT brought it here, if that is asked for.
    private func original(_ connection: Slot<Connection>) -> Upstream? {
        guard board.options.followsOriginalDestination,
            let address = Socket.originalDestination(legs[connection.place &* 2].descriptor)
        else { return nil }
        return Upstream(address: address, host: HostPort(address.text)?.host ?? "")
    }

    /// The upstream that is tried; `nil`: DNS does not name it any more.
    func target(_ connection: Slot<Connection>) -> Upstream? {
        switch connection.value.target {
        case .none: nil
        case .original: original(connection)
        case .upstream(let serial): upstreams.upstream(serial)
        }
    }

    /// The upstream that is tried did not answer, or said no, or TLS with it failed: the next one has a turn.
    mutating func connectNext(_ connection: Slot<Connection>, ofTLS: Bool) {
        if let target = target(connection) { board.upstreams.noteFailure(target, ofTLS: ofTLS) }
        if ofTLS { connection.value.refusal = .upstreamTLS }
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
                connectNext(connection, ofTLS: false)
            } else {
                connected(connection)
            }
        case .upstreamGreeting: if !isClient { hearUpstream(connection) }
        case .upstreamHandshake: if !isClient { shakeHands(connection, leg) }
        case .refusing: tellRefusal(connection)
        case .lingering: linger(connection)
        case .cancelling: passCancel(connection)
        case .queued: goOnWaiting(connection, leg)
        case .held, .open: break
        }
    }

    private mutating func connected(_ connection: Slot<Connection>) {
        let (client, server) = (legs.slot(connection.place &* 2), legs.slot(connection.place &* 2 &+ 1))
        if board.options.sendsProxyHeader,
            let header = ProxyHeader.bytes(client.value.descriptor),
            !Socket.send(server.value.descriptor, header)
        {
            return connectNext(connection, ofTLS: false)
        }
        if tls.upstream != nil || connection.value.encryption == .requested { return askUpstream(connection) }
        if connection.value.encryption == .direct { return beginCancel(connection) }
        open(connection)
    }

    /// Bytes move from now on; what came meanwhile first.
    mutating func open(_ connection: Slot<Connection>) {
        connection.value.phase = .open
        if let target = target(connection), target.isFailed { board.upstreams.noteSuccess(target) }
        if tls.upstream != nil { beginExamination(connection) }
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
            guard let connection = connection(of: key) else { continue }
            if connection.value.phase == .queued, admit(connection) { open(connection) }
            if connection.value.phase == .held, !isLooping(at: now) { connect(connection) }
            guard self.connection(of: key) != nil else { continue }
            guard connection.value.phase != .open else {
                connection.value.isTimed = false
                continue
            }
            let isHeldOn = connection.value.phase == .held && lastAnswer &+ connectNanoseconds > now
            if connection.value.deadline > now || isHeldOn {
                waiting.append(key)
                continue
            }
            connection.value.isTimed = false
            switch connection.value.phase {
            case .connecting: connectNext(connection, ofTLS: false)
            case .upstreamGreeting, .upstreamHandshake: connectNext(connection, ofTLS: true)
            case .held: refuseLoop(connection)
            case .cancelling where connection.value.records.hasCancelled: wait(connection)
            default: end(connection, resets: false)
            }
        }
    }
}
