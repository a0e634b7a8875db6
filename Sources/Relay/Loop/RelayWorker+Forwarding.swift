// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc
import RelayRing
import Synchronization

/// Open connections: bytes go on at once, then their copy into the ring.
extension RelayWorker {
    /// Moves what `from` sent on to `to`, until one of them has enough or others have their turn.
    @inline(__always)
    mutating func forward(_ from: Slot<Leg>, _ to: Slot<Leg>, _ connection: Slot<Connection>) {
        guard from.value.state.isDisjoint(with: [.queued]) else { return }
        // One read of TLS is one record: at most 16 KiB.
        var reads = from.value.tls == nil ? 1 : 4
        while from.value.state.contains(.readable), !to.value.isBlocked {
            guard reads > 0 else {
                from.value.state.insert(.queued)
                return again.append(key(from, connection))
            }
            reads &-= 1
            guard move(from, to, connection, limit: Self.most) else { return }
        }
    }

    /// Moves some bytes, at most `limit`; false when there is nothing more to do here now.
    @inline(__always)
    mutating func move(_ from: Slot<Leg>, _ to: Slot<Leg>, _ connection: Slot<Connection>, limit: Int) -> Bool {
        // A read that begins at the urgent byte would pass over it; one before it ends there.
        if from.value.state.contains(.urgent) { moveUrgent(from, to) }
        // Into the ring at once, where the analyser sees nothing before it is committed.
        var place = unsafe buffer
        var isInRing = false
        let isTold = ring != nil && (connection.value.announced == epoch || announce(connection))
        if isTold, let free = unsafe ring?.place(Self.most) {
            unsafe place = unsafe free
            isInRing = true
        }
        let count = unsafe from.value.receive(place, limit)
        guard count > 0 else { return stop(from, to, connection, count) }
        // Now, as the other side may run, and answer, before its send returns.
        let time = ring == nil ? Timestamp.epoch : RingWriter.now()
        // A short read emptied the socket: the next bytes come with an event of their own.
        if count < limit, from.value.tls == nil, from.value.state.isDisjoint(with: [.hasEnd, .urgent]) {
            from.value.state.remove(.readable)
        }
        if from.value.state.contains(.examined) {
            return unsafe passExamined(from, to, connection, UnsafeRawBufferPointer(start: place, count: count))
        }
        var sent = unsafe to.value.send(place, count)
        if sent < count {
            if sent == Socket.Outcome.failed || sent == Socket.Outcome.end {
                breakOff(to, from, connection)
                return false
            }
            sent = max(sent, 0)
            unsafe to.value.keep(place + sent, count - sent)
        }
        if ring != nil {
            let record = record(of: from, connection, at: time)
            if isInRing {
                ring?.commit(record, count: count)
                counts.copied &+= UInt64(truncatingIfNeeded: count)
            } else {
                unsafe copyLate(record, UnsafeRawBufferPointer(start: place, count: count), isTold: isTold)
            }
        }
        note(count, of: from)
        if from.value.state.contains(.urgent) { moveUrgent(from, to) }
        return true
    }

    /// Nothing was read: for now, for good, or because the connection broke.
    @inline(never)
    private mutating func stop(
        _ from: Slot<Leg>,
        _ to: Slot<Leg>,
        _ connection: Slot<Connection>,
        _ outcome: Int
    ) -> Bool {
        if from.value.state.contains(.urgent) { moveUrgent(from, to) }
        from.value.state.remove(.readable)
        switch outcome {
        case Socket.Outcome.again: break
        case Socket.Outcome.end:
            endExamination(from, to, connection)
            guard connection.value.serial != 0 else { break }
            // What was held goes first: the end is read once more afterwards.
            if to.value.isBlocked {
                from.value.state.insert(.readable)
                break
            }
            from.value.state.insert(.finished)
            finish(to, from, connection)
        default:
            counts.reset &+= 1
            end(connection, resets: true)
        }
        return false
    }

    /// `from` sends no more, and `to` has all of it: so `to` is told; when both are, it is over.
    private mutating func finish(_ to: Slot<Leg>, _ from: Slot<Leg>, _ connection: Slot<Connection>) {
        if !to.value.state.contains(.shut) { to.value.shut() }
        if to.value.state.contains(.finished), from.value.state.contains(.shut) { end(connection, resets: false) }
    }

    /// Ends a connection of which `broken` takes no more: what it sent before is still good for `other`, such as why.
    @inline(never)
    mutating func breakOff(_ broken: Slot<Leg>, _ other: Slot<Leg>, _ connection: Slot<Connection>) {
        var isGiven = false
        broken.value.forget()
        if !other.value.isBlocked { endExamination(broken, other, connection) }
        guard connection.value.serial != 0 else { return }
        while !other.value.isBlocked {
            let count = unsafe broken.value.receive(buffer, Self.most)
            guard count > 0 else { break }
            let time = RingWriter.now()
            let sent = unsafe other.value.send(buffer, count)
            if ring != nil {
                let isTold = connection.value.announced == epoch
                let bytes = unsafe UnsafeRawBufferPointer(start: buffer, count: count)
                unsafe copyLate(record(of: broken, connection, at: time), bytes, isTold: isTold)
            }
            note(count, of: broken)
            guard sent == count else { break }
            isGiven = true
        }
        counts.reset &+= 1
        // A reset would take back what the kernel has not sent yet.
        end(connection, resets: !isGiven)
    }

    private func moveUrgent(_ from: Slot<Leg>, _ to: Slot<Leg>) {
        guard Socket.isAtMark(from.value.descriptor) else { return }
        from.value.state.remove(.urgent)
        if let byte = Socket.receiveUrgent(from.value.descriptor) { Socket.sendUrgent(to.value.descriptor, byte) }
    }

    /// Passes on bytes that lie in memory of our own; false when the connection is broken.
    mutating func pass(
        _ bytes: UnsafeRawPointer,
        _ count: Int,
        _ from: Slot<Leg>,
        _ to: Slot<Leg>,
        _ connection: Slot<Connection>
    ) -> Bool {
        let time = RingWriter.now()
        let sent = unsafe to.value.send(bytes, count)
        guard sent == Socket.Outcome.again || sent > 0 else {
            breakOff(to, from, connection)
            return false
        }
        if sent < count { unsafe to.value.keep(bytes + max(sent, 0), count - max(sent, 0)) }
        if ring != nil {
            let isTold = connection.value.announced == epoch || announce(connection)
            let record = record(of: from, connection, at: time)
            unsafe copyLate(record, UnsafeRawBufferPointer(start: bytes, count: count), isTold: isTold)
        }
        note(count, of: from)
        return true
    }

    // MARK: The analyser's copy

    /// The record of bytes that `from` sent now.
    @inline(__always)
    private func record(of from: Slot<Leg>, _ connection: Slot<Connection>, at time: Timestamp) -> RingRecord {
        var record = record(.bytes, connection, at: time)
        record.side = from.handle & 1 != 0 ? .server : .client
        record.position = from.value.received
        return record
    }

    /// So many bytes of `from` were forwarded.
    @inline(__always)
    private mutating func note(_ count: Int, of from: Slot<Leg>) {
        from.value.received &+= UInt64(truncatingIfNeeded: count)
        if from.handle & 1 == 0 {
            counts.toServer &+= UInt64(truncatingIfNeeded: count)
        } else {
            counts.toClient &+= UInt64(truncatingIfNeeded: count)
        }
    }

    /// Copies bytes that lie elsewhere, if there is room for so many, and counts them if not.
    @inline(never)
    private mutating func copyLate(_ record: RingRecord, _ bytes: UnsafeRawBufferPointer, isTold: Bool) {
        if isTold, unsafe ring?.put(record, bytes) == true {
            counts.copied &+= UInt64(truncatingIfNeeded: bytes.count)
        } else {
            counts.droppedBytes &+= UInt64(truncatingIfNeeded: bytes.count)
            counts.droppedRecords &+= 1
            ring?.drop(bytes.count)
        }
    }

    @inline(__always)
    private func record(_ kind: RingRecordKind, _ connection: Slot<Connection>, at time: Timestamp) -> RingRecord {
        var record = RingRecord()
        (record.kind, record.time) = (kind, time)
        record.slot = UInt32(bitPattern: connection.place)
        record.serial = connection.value.serial
        return record
    }

    /// Tells the analyser of a connection before its first bytes; false when there is no room for that.
    @inline(never)
    private mutating func announce(_ connection: Slot<Connection>) -> Bool {
        // The end of the connection that had this place before goes first.
        if !untold.isEmpty { tellClosed() }
        guard untold.isEmpty else { return false }
        let (client, server) = (legs.slot(connection.place &* 2), legs.slot(connection.place &* 2 &+ 1))
        guard let from = Socket.address(client.value.descriptor, .remote),
            let via = Socket.address(server.value.descriptor, .local),
            let to = Socket.address(server.value.descriptor, .remote)
        else { return false }
        var ends = RelayedEnds(client: from.endpoint, via: via.endpoint, server: to.endpoint)
        (ends.clientBytes, ends.serverBytes) = (client.value.received, server.value.received)
        let record = record(.opened, connection, at: RingWriter.now())
        guard ring?.open(record, ends) == true else { return false }
        connection.value.announced = epoch
        return true
    }

    mutating func tellClosed() {
        var told = 0
        for closed in untold {
            let isTold = ring?.close(
                closed.record,
                clientBytes: closed.clientBytes,
                serverBytes: closed.serverBytes
            )
            guard isTold == true else { break }
            told += 1
        }
        untold.removeFirst(told)
    }

    /// The connection is over, on both sides.
    mutating func end(_ connection: Slot<Connection>, resets: Bool) {
        // Once: its place is another's afterwards.
        guard connection.value.serial != 0 else { return }
        let (client, server) = (legs.slot(connection.place &* 2), legs.slot(connection.place &* 2 &+ 1))
        if ring != nil, connection.value.announced == epoch {
            let closed = ClosedRecord(
                record: record(.closed, connection, at: RingWriter.now()),
                clientBytes: client.value.received,
                serverBytes: server.value.received
            )
            // Whoever does not look for so long learns it when the place is used again.
            if untold.count < Self.mostUntold { untold.append(closed) }
            tellClosed()
        }
        client.value.close(resets: resets)
        server.value.close(resets: resets)
        if !logins.isEmpty { logins[connection.value.serial] = nil }
        if connection.value.via != 0 { board.ownConnections.forget(port: connection.value.via) }
        release(connection)
        connection.value = Connection()
        connections.give(connection.handle)
    }

    private static var mostUntold: Int { 65_536 }

    /// It is one of those at once no longer.
    func release(_ connection: Slot<Connection>) {
        if connection.value.isAdmitted {
            board.open.subtract(1, ordering: .relaxed)
            board.clients.add(-1, at: connection.value.client)
        } else {
            board.refusing.subtract(1, ordering: .relaxed)
        }
    }
}
