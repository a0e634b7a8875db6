// SPDX-License-Identifier: Apache-2.0
import Domain
import Packets

/// What a sink is told of one connection.
enum Told: Equatable {
    case opened(isMidstream: Bool)
    case bytes(Direction, [UInt8])
    case gap(Direction, Int)
    case closed
}

/// Something that a sink was told, and of which client.
struct Telling: Equatable {
    var client: Endpoint
    var told: Told
}

/// Notes what a reassembler tells, and faults that show by themselves: a connection told of twice, or never opened.
struct NotingSink: StreamSink {
    var tellings: [Telling] = []
    var fault: String?
    private var clients: [FlowHandle: Endpoint] = [:]
    private var carriers: Set<FlowHandle> = []

    /// Of pieces of this length on, nothing more of a connection is wanted.
    static let lastLength = 13

    mutating func opened(_ flow: FlowHandle, client: Endpoint, server: Endpoint, isMidstream: Bool, at moment: Moment) {
        if let other = clients[flow] { fault = "\(client) was opened in the flow of \(other), which is open" }
        clients[flow] = client
        tellings.append(Telling(client: client, told: .opened(isMidstream: isMidstream)))
    }

    func sender(of bytes: RawSpan) -> Direction? { nil }

    mutating func bytes(_ flow: FlowHandle, from side: Direction, _ bytes: RawSpan, at moment: Moment) -> Interest {
        note(flow, .bytes(side, (0..<bytes.byteCount).map { bytes.byte(at: $0) }))
        carriers.insert(flow)
        return bytes.byteCount == Self.lastLength ? .drop : .keep
    }

    mutating func gap(_ flow: FlowHandle, from side: Direction, count: Int, at moment: Moment) -> Interest {
        note(flow, .gap(side, count))
        return .keep
    }

    mutating func closed(_ flow: FlowHandle, at moment: Moment) {
        note(flow, .closed)
        clients[flow] = nil
        carriers.remove(flow)
    }

    mutating func isBlank(_ flow: FlowHandle) -> Bool { !carriers.contains(flow) }

    private mutating func note(_ flow: FlowHandle, _ told: Told) {
        guard let client = clients[flow] else {
            fault = "\(told) of a flow that is not open"
            return
        }
        tellings.append(Telling(client: client, told: told))
    }
}

/// One connection as the model knows it.
struct ModelConnection {
    /// One side's stream.
    struct Side {
        /// The sequence number of its next byte; `nil`: nothing was seen of it.
        var next: UInt32?
        var hasFinished = false
    }

    var client = Side(), server = Side()
    var lastSeen = Timestamp.epoch
    var isBlank = true, isDropped = false
    /// Bytes that came behind some that never did.
    var held: (side: Direction, missing: Int, bytes: [UInt8])?
    /// The initial sequence number of a SYN that may be another connection on these ports.
    var candidate: UInt32?
    /// The relay's number; 0: its packets were seen.
    var number: UInt64 = 0
    var flow: FlowHandle = -1

    subscript(side: Direction) -> Side {
        get { side == .client ? client : server }
        set { if side == .client { client = newValue } else { server = newValue } }
    }

    /// What the sink must be told when the connection ends now.
    var ending: [Told] {
        guard let held else { return [.closed] }
        return [.gap(held.side, held.missing), .bytes(held.side, held.bytes), .closed]
    }
}

/// A set whose members can be chosen by chance.
struct Bag {
    private(set) var members: [Endpoint] = []
    private var places: [Endpoint: Int] = [:]

    mutating func insert(_ member: Endpoint) {
        guard places[member] == nil else { return }
        places[member] = members.count
        members.append(member)
    }

    mutating func remove(_ member: Endpoint) {
        guard let place = places.removeValue(forKey: member), let last = members.popLast() else { return }
        guard last != member else { return }
        members[place] = last
        places[last] = place
    }
}

/// The connections that a reassembler must know, as a plain map: the open ones, and those that ended a while ago.
struct ReassemblyModel {
    let limits: ReassemblyLimits
    private(set) var open: [Endpoint: ModelConnection] = [:]
    private(set) var ended: [Endpoint: ModelConnection] = [:]
    private(set) var relayed = Bag(), seen = Bag()
    /// When each ended one ended, and the other way round.
    private var ends: [Endpoint: UInt64] = [:], order: [UInt64: Endpoint] = [:]
    private var (lastEnd, oldestEnd) = (UInt64(0), UInt64(1))
    var evicted: UInt64 = 0, expired: UInt64 = 0, opened: UInt64 = 0

    init(limits: ReassemblyLimits) { self.limits = limits }

    var count: Int { open.count + ended.count }
    var isFull: Bool { count >= limits.flows }

    mutating func put(_ client: Endpoint, _ connection: ModelConnection) {
        open[client] = connection
        if connection.number == 0 { seen.insert(client) } else { relayed.insert(client) }
    }

    /// The connection is over and forgotten at once.
    mutating func forget(_ client: Endpoint) -> [Told] {
        let connection = open.removeValue(forKey: client)
        relayed.remove(client)
        seen.remove(client)
        return connection?.ending ?? []
    }

    /// The connection is over and kept for late packets.
    mutating func end(_ client: Endpoint) -> [Told] {
        let connection = open[client]
        let told = forget(client)
        lastEnd += 1
        (ended[client], ends[client], order[lastEnd]) = (connection, lastEnd, client)
        if ended.count > 4096 { forgetOldestEnded() }
        return told
    }

    /// Another connection begins on the ports of an ended one.
    mutating func revive(_ client: Endpoint) {
        if let end = ends.removeValue(forKey: client) { order[end] = nil }
        ended[client] = nil
    }

    mutating func forgetOldestEnded() {
        while oldestEnd <= lastEnd {
            let client = order[oldestEnd]
            oldestEnd += 1
            if let client { return revive(client) }
        }
    }

    /// Whether a connection must be forgotten by now.
    func isSilent(_ client: Endpoint, at time: Timestamp) -> Bool {
        guard let connection = open[client] else { return false }
        return time.nanoseconds(since: connection.lastSeen) > (connection.isBlank ? limits.blankIdle : limits.idle)
    }

    /// Whether a connection may make room for another: where all are looked at, one that is worth nothing goes first.
    func mayGo(_ client: Endpoint) -> Bool {
        guard let connection = open[client] else { return false }
        if connection.isBlank || connection.isDropped || limits.flows > 1024 { return true }
        return !open.values.contains { $0.isBlank || $0.isDropped }
    }
}
