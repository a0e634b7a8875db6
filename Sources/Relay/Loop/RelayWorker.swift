// SPDX-License-Identifier: Apache-2.0
import CLinux
import DequeModule
import Domain
import Glibc
import Platform
import RelayRing
import Synchronization

/// One event loop: accepts, connects, moves bytes, and copies what it moved, but parses nothing of it.
@safe struct RelayWorker: ~Copyable {
    let board: RelayBoard
    let own: WorkerBoard
    let queue: EventQueue
    let tls: RelayTLS
    var connections: SlotTable<Connection>
    /// Two a connection: the client's at twice its place, the server's behind it.
    var legs: SlotTable<Leg>
    var listeners: [Int32]
    /// Where bytes pass that are not copied.
    let buffer: UnsafeMutableRawPointer
    /// The analyser's, while one is attached.
    var ring: RingWriter?
    /// Which attachment it is.
    var epoch: UInt32 = 0
    /// Ends of connections that the ring had no room for.
    var untold: [ClosedRecord] = []
    /// Legs that have more to give than was their turn, each once, in the order in which they are read next.
    var again = Deque<UInt64>()
    /// Connections whose phase ends at a deadline.
    var waiting: [UInt64] = []
    /// Connections beyond the limit, oldest first; some of them are over.
    var refusals: [UInt64] = []
    var lastSerial: UInt32 = 0
    /// Addresses of upstreams in the order in which they are tried, as of a version.
    var upstreams: [Upstream] = []
    var upstreamVersion = 0
    /// Logins that are looked into, by the connection's serial.
    var logins: [UInt32: Login] = [:]
    /// Connections of suspects since they were counted last, and what came of that; see ``mayLoop()``.
    var suspects = 0, unanswered = 0
    /// When they were counted, and when one of them had been answered.
    var lastCount: Int64 = 0, lastAnswer: Int64 = 0
    /// When deadlines were looked at.
    var lastTick: Int64 = 0
    /// Accepts that may be made now, where there is a limit to their rate; and when that was worked out.
    var tokens = 1.0
    var tokenTime: Int64 = 0
    /// Until when nothing is accepted; 0: accepting.
    var pausedUntil: Int64 = 0
    /// Bytes moved up to the last turn of the loop.
    var lastMoved: UInt64 = 0
    /// Until when the thread has short turns; 0: it has the usual ones.
    var longTurnsAt: Int64 = 0
    var isClosing = false
    var counts = Counts()

    struct ClosedRecord {
        var record: RingRecord
        var clientBytes: UInt64, serverBytes: UInt64
    }

    struct Counts {
        var accepted: UInt64 = 0, refused: UInt64 = 0, failed: UInt64 = 0, reset: UInt64 = 0, cut: UInt64 = 0
        var exhausted: UInt64 = 0, loops: UInt64 = 0, toServer: UInt64 = 0, toClient: UInt64 = 0
        var copied: UInt64 = 0, droppedBytes: UInt64 = 0, droppedRecords: UInt64 = 0, unread: UInt64 = 0
    }

    /// Bytes moved at once, at most.
    static var most: Int { 64 << 10 }
    /// The shortest turn that Linux grants a thread, ns.
    static var schedulerTurn: UInt64 { 100_000 }
    /// Keys above are not those of legs: a serial never is all ones.
    static var special: UInt64 { 0xFFFF_FFFF_0000_0000 }
    static var interest: Events { [.readable, .writable, .urgent, .ended, .edge] }

    init(board: RelayBoard, number: Int, listeners: [Int32], tls: RelayTLS) throws(RelayError) {
        let queue = try EventQueue()
        guard queue.add(board.workers[number].wakeUp.descriptor, .readable, key: Self.special) else {
            throw .system(what: "epoll_ctl", code: errno)
        }
        self.board = board
        self.tls = tls
        self.queue = queue
        self.listeners = listeners
        own = board.workers[number]
        let limit = board.most + board.mostRefusing + 1
        connections = SlotTable(limit: limit, blank: Connection(), checksHandles: true)
        legs = SlotTable(limit: 2 * limit, blank: Leg())
        unsafe buffer = .allocate(byteCount: Self.most, alignment: 4096)
        watchListeners()
    }

    deinit { unsafe buffer.deallocate() }

    /// Works until the listeners are closed and the last connection is over.
    mutating func run() {
        while !(isClosing && connections.count == 0) {
            let isCalm = waiting.isEmpty && pausedUntil == 0 && untold.isEmpty
            let count = queue.wait(again.isEmpty ? (isCalm ? -1 : 20) : 0)
            for index in 0..<count {
                let event = queue.event(index)
                handle(event.key, event.events)
            }
            let moved = counts.toServer &+ counts.toClient
            if moved &- lastMoved >= Self.most || longTurnsAt != 0 {
                chooseTurns(hasBulk: moved &- lastMoved >= Self.most)
            }
            lastMoved = moved
            if !again.isEmpty { goOn() }
            if !waiting.isEmpty || pausedUntil != 0 { tick() }
            if !untold.isEmpty { tellClosed() }
            publish()
        }
        detach()
        publish()
    }

    @inline(__always)
    private mutating func handle(_ key: UInt64, _ events: Events) {
        guard key < Self.special else { return handleSpecial(key) }
        // One that ended in this very turn may still have an event.
        guard let connection = connection(of: key) else { return }
        let leg = legs.slot(Int32(truncatingIfNeeded: key & 0xFFFF_FFFF))
        if !events.isDisjoint(with: [.readable, .urgent, .ended, .failed, .hungUp]) {
            leg.value.state.insert(.readable)
        }
        if !events.isDisjoint(with: [.ended, .failed, .hungUp]) { leg.value.state.insert(.hasEnd) }
        if events.contains(.urgent) { leg.value.state.insert(.urgent) }
        guard connection.value.phase == .open else { return advance(connection, leg, events) }
        let peer = legs.slot(leg.handle ^ 1)
        if leg.value.isBlocked {
            guard leg.value.flush() else { return breakOff(leg, peer, connection) }
            if !leg.value.isBlocked { forward(peer, leg, connection) }
            guard self.connection(of: key) != nil else { return }
        } else if leg.value.tls != nil, peer.value.state.contains(.readable) {
            // TLS may have waited for this side in order to write, or to read.
            forward(peer, leg, connection)
            guard self.connection(of: key) != nil else { return }
        }
        if leg.value.state.contains(.readable) { forward(leg, peer, connection) }
    }

    private mutating func handleSpecial(_ key: UInt64) {
        guard key != Self.special else { return obey() }
        let index = Int(key & 0xFFFF_FFFF) - 1
        if index < listeners.count { accept(listeners[index]) }
    }

    /// Has short turns of the scheduler's as long as there is bulk, and the usual ones otherwise.
    ///
    /// Beside bulk the thread is always busy, and who asks little would wait for whole turns of other threads. Without any,
    /// short turns would only cost throughput.
    private mutating func chooseTurns(hasBulk: Bool) {
        let now = Self.steady()
        if hasBulk {
            if longTurnsAt == 0 { _ = linux_take_turns(Self.schedulerTurn) }
            longTurnsAt = now &+ 100_000_000
        } else if now >= longTurnsAt {
            _ = linux_take_turns(0)
            longTurnsAt = 0
        }
    }

    /// The side that waits longest for another turn has one.
    ///
    /// Only one, as small messages that came meanwhile go first: they wait for one read of bulk, however many have some.
    private mutating func goOn() {
        guard let key = again.popFirst(), let connection = connection(of: key) else { return }
        let leg = legs.slot(Int32(truncatingIfNeeded: key & 0xFFFF_FFFF))
        leg.value.state.remove(.queued)
        forward(leg, legs.slot(leg.handle ^ 1), connection)
    }

    /// The key of a leg's events.
    func key(_ leg: Slot<Leg>, _ connection: Slot<Connection>) -> UInt64 {
        UInt64(connection.value.serial) &<< 32 | UInt64(UInt32(bitPattern: leg.handle))
    }

    /// The connection of a leg's key; `nil`: it is over, and another one may have its place.
    @inline(__always)
    func connection(of key: UInt64) -> Slot<Connection>? {
        let place = Int(key & 0xFFFF_FFFF) &>> 1
        guard let connection = connections.occupant(at: place),
            connection.value.serial == UInt32(truncatingIfNeeded: key &>> 32)
        else { return nil }
        return connection
    }

    static func steady() -> Int64 { SystemClock.nanoseconds() }

    // MARK: Orders

    private mutating func obey() {
        own.wakeUp.clear()
        let orders = own.orders.withLock { current in
            defer { current = WorkerBoard.Orders() }
            return current
        }
        if orders.detaches { detach() }
        if let box = orders.ring {
            detach()
            ring = box.take()
            epoch &+= 1
        }
        if orders.closesListeners { closeListeners() }
        if orders.cuts { cut() }
    }

    /// Nobody reads the ring any more: what is left in it was not analysed.
    private mutating func detach() {
        guard let old = ring.take() else { return }
        untold.removeAll()
        counts.unread &+= old.unread
    }

    private mutating func closeListeners() {
        isClosing = true
        for listener in listeners { close(listener) }
        listeners = []
    }

    private mutating func cut() {
        for place in 0..<connections.highWater {
            guard let connection = connections.occupant(at: place), connection.value.serial != 0 else { continue }
            counts.cut &+= 1
            end(connection, resets: false)
        }
    }

    private func publish() {
        own.accepted.store(counts.accepted, ordering: .relaxed)
        own.refused.store(counts.refused, ordering: .relaxed)
        own.failed.store(counts.failed, ordering: .relaxed)
        own.reset.store(counts.reset, ordering: .relaxed)
        own.cut.store(counts.cut, ordering: .relaxed)
        own.exhausted.store(counts.exhausted, ordering: .relaxed)
        own.loops.store(counts.loops, ordering: .relaxed)
        own.toServer.store(counts.toServer, ordering: .relaxed)
        own.toClient.store(counts.toClient, ordering: .relaxed)
        own.unread.store(counts.unread, ordering: .relaxed)
        own.copied.store(counts.copied, ordering: .relaxed)
        own.droppedBytes.store(counts.droppedBytes, ordering: .relaxed)
        own.droppedRecords.store(counts.droppedRecords, ordering: .relaxed)
    }
}
