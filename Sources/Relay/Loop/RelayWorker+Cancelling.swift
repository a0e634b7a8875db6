// SPDX-License-Identifier: Apache-2.0
import Domain
import Synchronization

/// Clients beyond the limit that may want to cancel.
///
/// Where the relay passes TLS through, it cannot see what they want before they are in TLS with the server, nor tell them
/// anything afterwards. So their handshake passes, and what comes behind it if it is as short as a cancel request. The server
/// answers that by closing the connection. If it does not, or the client sent more, it is a login: that one waits, without an
/// answer, until there is room.
extension RelayWorker {
    /// Whether an encrypted client beyond the limit may go on to the server, in TLS that the relay does not end.
    ///
    /// Whose address has no connection has nothing to cancel: without TLS it can at least be told.
    func mayPassTLS(_ connection: Slot<Connection>) -> Bool {
        !tls.isUsed && !connection.value.isAdmitted && connection.value.encryption == .unknown
            && connection.value.target == .none && board.clients.hasAny(at: connection.value.client)
    }

    /// Connects a client beyond the limit, who was counted as refused.
    mutating func serveCancel(_ connection: Slot<Connection>) {
        counts.refused &-= 1
        connect(connection)
    }

    /// The server has said whether it takes TLS; if not, the client goes on in the clear, where all can be told.
    mutating func answerRequest(_ connection: Slot<Connection>, isTaken: Bool) {
        let (client, server) = (legs.slot(connection.place &* 2), legs.slot(connection.place &* 2 &+ 1))
        guard isTaken else {
            connection.value.encryption = .none
            // Nothing else was tried for it: a cancel request may still follow.
            (connection.value.target, connection.value.tried) = (.none, TriedUpstreams())
            return refuse(connection, .tooMany)
        }
        Socket.skip(server.value.descriptor, 1)
        Socket.skip(client.value.descriptor, 8)
        guard Socket.send(client.value.descriptor, [0x53]) else { return end(connection, resets: true) }
        beginCancel(connection)
    }

    /// The client's handshake with the server passes from now on.
    mutating func beginCancel(_ connection: Slot<Connection>) {
        enter(.cancelling, connection, seconds: Self.cancelTime)
        passCancel(connection)
    }

    /// What a handshake and a cancel request may take, s.
    private static var cancelTime: Double { 5 }
    /// How long a server has to close the connection after what may be a cancel request, s.
    private static var answerTime: Double { 1 }
    /// What a server may send meanwhile: its certificates.
    private static var mostCancelBytes: Int { 64 << 10 }

    /// Moves what may pass in ``Connection/Phase/cancelling``.
    mutating func passCancel(_ connection: Slot<Connection>) {
        let (client, server) = (legs.slot(connection.place &* 2), legs.slot(connection.place &* 2 &+ 1))
        for leg in [client, server] where leg.value.isBlocked {
            guard leg.value.flush() else { return end(connection, resets: true) }
        }
        while server.value.state.contains(.readable), !client.value.isBlocked {
            // An answer to a login would have the client believe that it is logged in.
            guard !connection.value.records.hasCancelled || server.value.state.contains(.hasEnd) else { break }
            guard server.value.received < Self.mostCancelBytes else { return end(connection, resets: false) }
            guard move(server, client, connection, limit: Self.mostCancelBytes) else { break }
        }
        while connection.value.serial != 0, client.value.state.contains(.readable), !server.value.isBlocked {
            if connection.value.records.remaining == 0 {
                guard takeRecord(connection, client) else { break }
            }
            let before = client.value.received
            guard move(client, server, connection, limit: Int(connection.value.records.remaining)) else { break }
            connection.value.records.remaining &-= UInt16(truncatingIfNeeded: client.value.received &- before)
        }
    }

    /// Looks at the client's next TLS record; false when it does not pass, for now or for good.
    private mutating func takeRecord(_ connection: Slot<Connection>, _ client: Slot<Leg>) -> Bool {
        let size = ClientRecords.headerSize
        guard let header = Socket.peek(client.value.descriptor, size) else {
            end(connection, resets: true)
            return false
        }
        guard header.count == size else {
            // The rest of it comes with an event of its own; at the end there is none, and the server is told.
            guard client.value.state.contains(.hasEnd) else {
                client.value.state.remove(.readable)
                return false
            }
            connection.value.records.remaining = UInt16(truncatingIfNeeded: max(1, header.count))
            return true
        }
        var records = connection.value.records
        let (count, verdict) = records.take(header)
        switch verdict {
        case .unknown:
            end(connection, resets: false)
            return false
        case .other:
            // After a cancel request nothing else comes from who wanted to cancel.
            if records.hasCancelled { end(connection, resets: false) } else { wait(connection) }
            return false
        case .handshake, .cancel:
            if verdict == .cancel { enter(.cancelling, connection, seconds: Self.answerTime) }
            connection.value.records = records
            connection.value.records.remaining = UInt16(truncatingIfNeeded: count)
            return true
        }
    }

    /// A login waits for room, for as long as a connection to a server may take.
    mutating func wait(_ connection: Slot<Connection>) {
        counts.refused &+= 1
        enter(.queued, connection, seconds: board.options.connectTimeout)
        if admit(connection) { open(connection) }
    }

    /// A connection that waits has an event.
    mutating func goOnWaiting(_ connection: Slot<Connection>, _ leg: Slot<Leg>) {
        guard leg.handle & 1 != 0, leg.value.state.contains(.hasEnd) else { return }
        // It was a cancel request after all, or the server has had enough of it.
        connection.value.phase = .cancelling
        passCancel(connection)
    }

    /// Takes a connection that waits among those within the limit, if there is room.
    mutating func admit(_ connection: Slot<Connection>) -> Bool {
        guard board.open.add(1, ordering: .relaxed).newValue <= board.most else {
            board.open.subtract(1, ordering: .relaxed)
            return false
        }
        board.refusing.subtract(1, ordering: .relaxed)
        connection.value.isAdmitted = true
        board.clients.add(1, at: connection.value.client)
        counts.refused &-= 1
        return true
    }
}
