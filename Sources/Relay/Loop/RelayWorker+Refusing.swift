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

    /// The reason goes out once the client's first packet is here: clients that ask for encryption want one byte first.
    mutating func tellRefusal(_ connection: Slot<Connection>) {
        let client = legs.slot(connection.place &* 2)
        if client.value.tls == nil {
            loop: while true {
                guard let bytes = Socket.peek(client.value.descriptor, 16) else { return end(connection, resets: true) }
                switch Greeting(bytes) {
                case .tlsRequest, .gssRequest:
                    Socket.skip(client.value.descriptor, 8)
                    guard Socket.send(client.value.descriptor, [0x4E]) else { return end(connection, resets: true) }
                case .unfinished:
                    if client.value.state.contains(.hasEnd) { end(connection, resets: false) }
                    return
                case .cancel where connection.value.refusal == .tooMany && connection.value.attempt == 0:
                    // Who cancels wants less load: there is room for that.
                    return connect(connection)
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
    /// and is no cancel request; false if there is none here.
    mutating func endOldestRefusal() -> Bool {
        var examined = 0
        defer { refusals.removeFirst(examined) }
        for key in refusals {
            examined &+= 1
            guard let connection = connection(of: key),
                connection.value.phase == .refusing || connection.value.phase == .lingering
            else { continue }
            end(connection, resets: true)
            return true
        }
        return false
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
