// SPDX-License-Identifier: Apache-2.0
import Domain

/// The beginning of connections whose server is spoken to in TLS: the only one that the relay looks into.
extension RelayWorker {
    /// What was seen of a connection's login.
    struct Login {
        var offer = MechanismFilter()
        /// The client's answer to it, as far as it came.
        var answer: [UInt8] = []
    }

    /// Looks at the server's offer, unless client and server are in the same TLS as far as channel binding goes.
    func beginExamination(_ connection: Slot<Connection>) {
        let (client, server) = (legs.slot(connection.place &* 2), legs.slot(connection.place &* 2 &+ 1))
        guard let session = server.value.tls else { return }
        // The client is shown the certificate that the server has: what both bind their login to is the same.
        if client.value.tls != nil, let own = tls.client, session.peerHasCertificate(of: own) { return }
        server.value.state.insert(.examined)
    }

    /// Passes on what was received of a side that is examined; false when there is nothing more to do here now.
    @inline(never)
    mutating func passExamined(
        _ from: Slot<Leg>,
        _ to: Slot<Leg>,
        _ connection: Slot<Connection>,
        _ bytes: UnsafeRawBufferPointer
    ) -> Bool {
        let serial = connection.value.serial
        var login = logins[serial] ?? Login()
        guard from.handle & 1 == 0 else {
            let result = login.offer.pass(unsafe Array(bytes))
            logins[serial] = login
            if login.offer.isOver {
                from.value.state.remove(.examined)
                // A client in TLS of its own might take the offer for tampered with.
                if login.offer.hasRemoved, to.value.tls != nil {
                    to.value.state.insert(.examined)
                } else {
                    logins[serial] = nil
                }
            }
            return give(result, from, to, connection)
        }
        unsafe login.answer += bytes
        logins[serial] = login
        switch BindingAnswer(login.answer) {
        case .unfinished: return true
        case .refusedByServer:
            refuse(connection, .channelBinding)
            return false
        case .other:
            from.value.state.remove(.examined)
            logins[serial] = nil
            return give(login.answer, from, to, connection)
        }
    }

    /// Nothing more comes from a side that is examined: what was held goes on.
    @inline(never)
    mutating func endExamination(_ from: Slot<Leg>, _ to: Slot<Leg>, _ connection: Slot<Connection>) {
        guard from.value.state.contains(.examined) else { return }
        from.value.state.remove(.examined)
        guard var login = logins.removeValue(forKey: connection.value.serial) else { return }
        _ = give(from.handle & 1 == 0 ? login.answer : login.offer.end(), from, to, connection)
    }

    /// Sends bytes on, and copies them as what `from` sent.
    private mutating func give(
        _ bytes: [UInt8],
        _ from: Slot<Leg>,
        _ to: Slot<Leg>,
        _ connection: Slot<Connection>
    ) -> Bool {
        unsafe bytes.withUnsafeBytes { buffer in
            guard let start = buffer.baseAddress, buffer.count > 0 else { return true }
            return unsafe pass(start, buffer.count, from, to, connection)
        }
    }
}
