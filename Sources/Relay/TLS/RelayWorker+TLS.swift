// SPDX-License-Identifier: Apache-2.0
import Domain

/// Connections on which the relay speaks TLS itself, up to where they are open as any other.
extension RelayWorker {
    /// Takes the client's first bytes, which tell whether it wants TLS (PostgreSQL documentation, "SSL Session Encryption").
    mutating func greet(_ connection: Slot<Connection>) {
        let client = legs.slot(connection.place &* 2)
        while true {
            guard let bytes = Socket.peek(client.value.descriptor, 8) else { return end(connection, resets: true) }
            switch Greeting(bytes) {
            case .unfinished:
                if client.value.state.contains(.hasEnd) { end(connection, resets: false) }
                return
            case .tlsRequest where tls.client == nil, .gssRequest:
                Socket.skip(client.value.descriptor, 8)
                guard Socket.send(client.value.descriptor, [0x4E]) else { return end(connection, resets: true) }
            case .tlsRequest:
                // What comes behind the request before our answer is taken for TLS, and never for a plain message.
                Socket.skip(client.value.descriptor, 8)
                guard Socket.send(client.value.descriptor, [0x53]) else { return end(connection, resets: true) }
                return beginTLS(connection, client, tls.client, host: nil)
            case .directTLS:
                connection.value.isDirect = true
                return beginTLS(connection, client, tls.client, host: nil)
            case .cancel, .other:
                if board.options.tls.isRequired { return refuse(connection, .tlsRequired) }
                return connection.value.isAdmitted ? connect(connection) : refuse(connection, .tooMany)
            }
        }
    }

    private mutating func beginTLS(
        _ connection: Slot<Connection>,
        _ leg: Slot<Leg>,
        _ context: TLSContext?,
        host: String?
    ) {
        guard let session = context?.session(on: leg.value.descriptor, host: host) else {
            return end(connection, resets: true)
        }
        leg.value.tls = session
        if leg.handle & 1 == 0 {
            enter(.clientHandshake, connection, seconds: connection.value.isAdmitted ? 60 : 10)
        } else {
            // In the time that the attempt has as a whole.
            connection.value.phase = .upstreamHandshake
        }
        shakeHands(connection, leg)
    }

    mutating func shakeHands(_ connection: Slot<Connection>, _ leg: Slot<Leg>) {
        let isClient = leg.handle & 1 == 0
        guard isClient == (connection.value.phase == .clientHandshake), let session = leg.value.tls else { return }
        let outcome = session.shakeHands()
        if outcome == Socket.Outcome.again { return }
        guard outcome == 1 else {
            guard isClient else { return connectNext(connection, ofTLS: true) }
            counts.failed &+= 1
            return end(connection, resets: false)
        }
        // Without a request before it, only the protocol's name tells that this is meant for PostgreSQL.
        if isClient, connection.value.isDirect, !session.hasProtocol { return end(connection, resets: false) }
        // Bytes may have come with the last of the handshake, and no event tells of them.
        leg.value.state.insert(.readable)
        guard isClient else { return open(connection) }
        if connection.value.isAdmitted { connect(connection) } else { refuse(connection, .tooMany) }
    }

    /// The upstream is connected: it is asked for TLS, in the time that the attempt has as a whole.
    mutating func askUpstream(_ connection: Slot<Connection>) {
        let server = legs.slot(connection.place &* 2 &+ 1)
        guard Socket.send(server.value.descriptor, Greeting.tlsRequestBytes) else {
            return connectNext(connection, ofTLS: true)
        }
        connection.value.phase = .upstreamGreeting
    }

    /// The upstream's answer: one byte, and nothing more before TLS.
    mutating func hearUpstream(_ connection: Slot<Connection>) {
        let server = legs.slot(connection.place &* 2 &+ 1)
        let bytes = Socket.peek(server.value.descriptor, 2)
        if let bytes, bytes.isEmpty, !server.value.state.contains(.hasEnd) { return }
        // Asked on behalf of a client beyond the limit, whom a server without TLS serves as well.
        if connection.value.encryption == .requested { return answerRequest(connection, isTaken: bytes == [0x53]) }
        guard bytes == [0x53], let target = target(connection) else { return connectNext(connection, ofTLS: true) }
        Socket.skip(server.value.descriptor, 1)
        beginTLS(connection, server, tls.upstream, host: target.host)
    }
}
