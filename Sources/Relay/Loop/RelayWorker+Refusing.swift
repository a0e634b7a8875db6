// SPDX-License-Identifier: Apache-2.0
import Domain

/// Clients that cannot be served are told why.
extension RelayWorker {
    /// Sends a client away with a reason.
    mutating func refuse(_ connection: Slot<Connection>, _ refusal: Refusal) {
        counts.refused &+= 1
        connection.value.refusal = refusal
        legs.slot(connection.place &* 2 &+ 1).value.close(resets: false)
        enter(.refusing, connection, seconds: 10)
        tellRefusal(connection)
    }

    /// A connection came back that the relay made to a server: whoever it is relayed for is told.
    mutating func refuseLoop(_ connection: Slot<Connection>) {
        counts.loops &+= 1
        refuse(connection, .loop)
    }

    /// The reason goes out once the client's first packet is here: clients that ask for encryption want one byte first, and
    /// one beyond the limit may want to cancel.
    mutating func tellRefusal(_ connection: Slot<Connection>) {
        let client = legs.slot(connection.place &* 2)
        let isBeyond = connection.value.refusal == .tooMany
        if client.value.tls == nil || isBeyond {
            loop: while true {
                guard let bytes = client.value.peek(16) else { return end(connection, resets: true) }
                switch Greeting(bytes) {
                case .tlsRequest where isBeyond && mayPassTLS(connection):
                    connection.value.encryption = .requested
                    return serveCancel(connection)
                case .directTLS where isBeyond && mayPassTLS(connection):
                    connection.value.encryption = .direct
                    return serveCancel(connection)
                case .tlsRequest where client.value.tls == nil, .gssRequest where client.value.tls == nil:
                    Socket.skip(client.value.descriptor, 8)
                    guard Socket.send(client.value.descriptor, [0x4E]) else { return end(connection, resets: true) }
                case .unfinished:
                    if client.value.state.contains(.hasEnd) { end(connection, resets: false) }
                    return
                case .cancel where isBeyond && connection.value.target == .none:
                    // Who cancels wants less load: there is room for that.
                    return serveCancel(connection)
                default: break loop
                }
            }
        }
        let message = connection.value.refusal.message
        _ = unsafe message.withUnsafeBytes { bytes in
            unsafe bytes.baseAddress.map { unsafe client.value.send($0, bytes.count) }
        }
        client.value.shut()
        enter(.lingering, connection, seconds: 2)
        linger(connection)
    }

    /// Makes room for a newcomer, who may want to cancel: ends the connection beyond the limit that has been open longest
    /// and has sent no cancel request; false if there is none here.
    mutating func endOldestRefusal() -> Bool {
        var kept: [UInt64] = []
        for (index, key) in refusals.enumerated() {
            guard let connection = connection(of: key), !connection.value.isAdmitted else { continue }
            guard !isCancel(connection) else {
                kept.append(key)
                continue
            }
            refusals = kept + refusals[(index + 1)...]
            end(connection, resets: true)
            return true
        }
        refusals = kept
        return false
    }

    private func isCancel(_ connection: Slot<Connection>) -> Bool {
        switch connection.value.phase {
        case .open: true
        case .connecting, .upstreamGreeting, .upstreamHandshake: connection.value.encryption == .unknown
        case .cancelling: connection.value.records.hasCancelled
        default: false
        }
    }

    /// Forgets those of ``refusals`` that are over: at most ``RelayBoard/mostRefusing`` are not.
    mutating func dropOverRefusals() {
        var open: [UInt64] = []
        for key in refusals where connection(of: key) != nil { open.append(key) }
        refusals = open
    }

    /// Unread bytes would make a reset of the end, and the reason might be lost.
    mutating func linger(_ connection: Slot<Connection>) {
        let client = legs.slot(connection.place &* 2)
        while true {
            let count = unsafe client.value.receive(buffer, Self.most)
            if count == Socket.Outcome.again { return }
            guard count > 0 else { return end(connection, resets: false) }
        }
    }
}
