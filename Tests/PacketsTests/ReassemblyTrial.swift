// SPDX-License-Identifier: Apache-2.0
import Domain
import Packets
import TestKit

/// Random connections that a reassembler and a model of it see; after every step both must have told the same.
struct ReassemblyTrial: ~Copyable {
    private var reassembler: Reassembler
    private var model: ReassemblyModel
    private var sink = NotingSink()
    private var random: SplitMix64
    private var slots = SlotTable<Segment>(limit: 1, blank: Segment())
    private var time: Int64 = 1_000_000_000
    private var ordinal: UInt64 = 0
    private var expected: [Telling] = []
    /// Clients that ended at some time, and relayed flows that did.
    private var former: [Endpoint] = []
    private var formerFlows: [(FlowHandle, UInt64)] = []
    private var lastClient: UInt32 = 0
    private var lastNumber: UInt64 = 0
    private var steps = 0

    private static let server = Endpoint(ipv4: 0x0A00_0001, port: 5432)

    /// At most `flows` connections at once.
    init(seed: UInt64, flows: Int) {
        var limits = ReassemblyLimits()
        limits.flows = flows
        (limits.idle, limits.blankIdle) = (1000_000_000_000, 60_000_000_000)
        reassembler = Reassembler(serverPorts: PortSet([5432]), limits: limits)
        model = ReassemblyModel(limits: limits)
        random = SplitMix64(seed: seed)
        _ = slots.take()
    }

    /// Runs so many steps and then the end of the capture; returns what was wrong first.
    mutating func run(_ count: Int) -> String? {
        while steps < count {
            step()
            if let fault = check() { return "step \(steps): \(fault)" }
        }
        for client in model.open.keys { tell(client, model.open[client]?.ending ?? []) }
        reassembler.finish(at: moment, into: &sink)
        return fault(in: "the end")
    }

    private var moment: Moment { Moment(time: Timestamp(nanoseconds: time), ordinal: ordinal) }

    private mutating func step() {
        steps += 1
        time += Int64.random(in: 1...2_000_000, using: &random)
        switch Int.random(in: 0..<1000, using: &random) {
        case 0..<150: begin(newClient())
        case 150..<200: beginMidstream(newClient(), .random(in: 0...1, using: &random) == 0 ? .client : .server)
        case 200..<400: ifAny(model.seen) { $0.talk($1) }
        case 400..<500: ifAny(model.seen) { $0.finish($1) }
        case 500..<550: ifAny(model.seen) { $0.reset($1) }
        case 550..<580: ifAny(model.seen) { $0.lose($1) }
        case 580..<620: ifAny(model.seen) { $0.reuse($1) }
        case 620..<680: reopen()
        case 680..<760: openRelayed()
        case 760..<850: ifAny(model.relayed) { $0.relay($1) }
        case 850..<920: ifAny(model.relayed) { $0.closeRelayed($1) }
        case 920..<940: sayLate()
        case 940..<985: burst()
        default: expire()
        }
    }

    // MARK: Comparing

    private mutating func check() -> String? {
        if let fault = fault(in: "a step") { return fault }
        guard steps % 64 == 0 else { return nil }
        let counters = reassembler.counters
        guard reassembler.openFlowCount == model.open.count, reassembler.flowCount == model.count else {
            return "\(reassembler.openFlowCount) of \(reassembler.flowCount) flows are open, "
                + "\(model.open.count) of \(model.count) should be"
        }
        guard counters.flows == model.opened, counters.evicted == model.evicted, counters.expired == model.expired
        else {
            return
                "\(counters) do not agree with \(model.opened) opened, \(model.evicted) evicted, \(model.expired) expired"
        }
        return nil
    }

    private mutating func fault(in what: String) -> String? {
        defer { (expected, sink.tellings) = ([], []) }
        if let fault = sink.fault { return fault }
        // The order of different connections is nobody's concern.
        if expected == sink.tellings || byClient(expected) == byClient(sink.tellings) { return nil }
        return "in \(what) was told \(sink.tellings.prefix(20)), and should have been \(expected.prefix(20))"
    }

    private func byClient(_ tellings: [Telling]) -> [Endpoint: [Told]] {
        Dictionary(grouping: tellings) { $0.client }.mapValues { $0.map(\.told) }
    }

    private mutating func tell(_ client: Endpoint, _ told: [Told]) {
        expected += told.map { Telling(client: client, told: $0) }
    }

    /// Lets the reassembler forget somebody where there is no room for one more.
    private mutating func makeRoom(_ wasFull: Bool, since tellingsBefore: Int) {
        guard wasFull else { return }
        model.evicted += 1
        if !model.ended.isEmpty { return model.forgetOldestEnded() }
        // Which one goes is the reassembler's choice, within limits.
        let told = sink.tellings.dropFirst(tellingsBefore)
        guard let victim = told.first(where: { $0.told == .closed })?.client, model.mayGo(victim) else {
            sink.fault = "nobody made room, or somebody who should not: \(told.prefix(5))"
            return
        }
        noteFormer(victim)
        tell(victim, model.forget(victim))
    }

    private mutating func noteFormer(_ client: Endpoint) {
        if let connection = model.open[client], connection.number != 0 {
            formerFlows.append((connection.flow, connection.number))
            if formerFlows.count > 1000 { formerFlows.removeFirst(500) }
        } else {
            former.append(client)
            if former.count > 20_000 { former.removeFirst(10_000) }
        }
    }

    // MARK: Packets

    private mutating func send(
        _ client: Endpoint,
        _ side: Direction,
        _ flags: TCPFlags,
        _ sequence: UInt32,
        acknowledging: UInt32 = 0,
        _ payload: [UInt8] = []
    ) {
        ordinal += 1
        var segment = Segment()
        (segment.key, segment.fromLower) =
            side == .client
            ? FlowKey.make(source: client, destination: Self.server)
            : FlowKey.make(source: Self.server, destination: client)
        segment.hash = segment.key.hash(.standard)
        (segment.flags, segment.sequence, segment.acknowledgment) = (flags, sequence, acknowledging)
        (segment.announced, segment.captured) = (Int32(payload.count), Int32(payload.count))
        (segment.time, segment.ordinal) = (Timestamp(nanoseconds: time), ordinal)
        slots[0] = segment
        reassembler.process(slots.slot(0), payload.rawSpan, into: &sink)
    }

    private mutating func payload(_ range: ClosedRange<Int> = 1...40) -> [UInt8] {
        let first = UInt8.random(in: 0...255, using: &random)
        return (0..<Int.random(in: range, using: &random)).map { first &+ UInt8($0) }
    }

    /// A client that is not open; mostly one that never was.
    private mutating func newClient() -> Endpoint {
        lastClient += 1
        return Endpoint(ipv4: lastClient, port: 40_000)
    }

    private mutating func ifAny(_ bag: Bag, _ body: (inout Self, Endpoint) -> Void) {
        if let client = bag.members.randomElement(using: &random) { body(&self, client) }
    }

    private mutating func begin(_ client: Endpoint) {
        let (wasFull, before) = (model.isFull, sink.tellings.count)
        let start = UInt32.random(in: 0...(.max), using: &random)
        send(client, .client, .syn, start)
        makeRoom(wasFull, since: before)
        add(client, isMidstream: false) { $0.client.next = start &+ 1 }
        if Bool.random(using: &random) { answer(client) }
    }

    private mutating func add(_ client: Endpoint, isMidstream: Bool, _ change: (inout ModelConnection) -> Void) {
        var connection = ModelConnection()
        connection.lastSeen = Timestamp(nanoseconds: time)
        change(&connection)
        model.put(client, connection)
        model.opened += 1
        tell(client, [.opened(isMidstream: isMidstream)])
    }

    private mutating func answer(_ client: Endpoint) {
        guard var connection = model.open[client], connection.server.next == nil, let next = connection.client.next
        else { return }
        let start = UInt32.random(in: 0...(.max), using: &random)
        send(client, .server, [.syn, .ack], start, acknowledging: next)
        connection.server.next = start &+ 1
        model.put(client, connection)
    }

    private mutating func beginMidstream(_ client: Endpoint, _ side: Direction) {
        let (wasFull, before) = (model.isFull, sink.tellings.count)
        let bytes = payload()
        let start = UInt32.random(in: 0...(.max), using: &random)
        send(client, side, .ack, start, bytes)
        makeRoom(wasFull, since: before)
        add(client, isMidstream: true) { $0[side].next = start }
        deliver(client, side, bytes)
    }

    /// Bytes that come in order.
    private mutating func deliver(_ client: Endpoint, _ side: Direction, _ bytes: [UInt8]) {
        guard var connection = model.open[client] else { return }
        connection.lastSeen = Timestamp(nanoseconds: time)
        connection[side].next = connection[side].next.map { $0 &+ UInt32(bytes.count) }
        if !connection.isDropped, !bytes.isEmpty {
            tell(client, [.bytes(side, bytes)])
            connection.isBlank = false
            connection.isDropped = bytes.count == NotingSink.lastLength
        }
        model.put(client, connection)
    }

    private mutating func talk(_ client: Endpoint) {
        let side: Direction = .random(in: 0...1, using: &random) == 0 ? .client : .server
        guard var connection = model.open[client], connection.held == nil, !connection[side].hasFinished else { return }
        let peer = (side == .client ? connection.server : connection.client).next ?? 0
        let isKnown = connection[side].next != nil
        let next = connection[side].next ?? UInt32.random(in: 0...(.max), using: &random)
        connection[side].next = next
        model.put(client, connection)
        let (first, second) = (payload(20...40), payload(20...40))
        switch isKnown ? Int.random(in: 0..<4, using: &random) : 0 {
        case 0:
            let bytes = payload()
            send(client, side, .ack, next, acknowledging: peer, bytes)
            deliver(client, side, bytes)
        case 1:
            // In the wrong order.
            send(client, side, .ack, next &+ UInt32(first.count), acknowledging: peer, second)
            send(client, side, .ack, next, acknowledging: peer, first)
            deliver(client, side, first)
            deliver(client, side, second)
        case 2:
            // Twice, and the second time more.
            send(client, side, .ack, next, acknowledging: peer, first)
            send(client, side, .ack, next, acknowledging: peer, first)
            send(client, side, .ack, next, acknowledging: peer, first + second)
            deliver(client, side, first)
            deliver(client, side, second)
        default:
            // Resets that no receiver takes.
            send(client, side, .rst, next &+ 5_000_000)
            connection.lastSeen = Timestamp(nanoseconds: time)
            model.put(client, connection)
        }
    }

    private mutating func finish(_ client: Endpoint) {
        let side: Direction = .random(in: 0...1, using: &random) == 0 ? .client : .server
        for side in Bool.random(using: &random) ? [side] : [.client, .server] { finish(client, side) }
    }

    private mutating func finish(_ client: Endpoint, _ side: Direction) {
        guard var connection = model.open[client], connection.held == nil, !connection[side].hasFinished else { return }
        let next = connection[side].next ?? UInt32.random(in: 0...(.max), using: &random)
        let peer = (side == .client ? connection.server : connection.client).next ?? 0
        let bytes = Bool.random(using: &random) ? payload() : []
        send(client, side, [.fin, .ack], next, acknowledging: peer, bytes)
        connection[side].next = next
        connection[side].hasFinished = true
        model.put(client, connection)
        deliver(client, side, bytes)
        guard var connection = model.open[client] else { return }
        connection[side].next = connection[side].next.map { $0 &+ 1 }
        model.put(client, connection)
        if connection.client.hasFinished, connection.server.hasFinished { end(client) }
    }

    private mutating func end(_ client: Endpoint) {
        noteFormer(client)
        tell(client, model.end(client))
    }

    private mutating func reset(_ client: Endpoint) {
        let side: Direction = .random(in: 0...1, using: &random) == 0 ? .client : .server
        guard let connection = model.open[client], connection.held == nil else { return }
        let peer = side == .client ? connection.server : connection.client
        if let next = connection[side].next {
            send(client, side, .rst, next)
        } else if let next = peer.next, !peer.hasFinished {
            // The answer to a SYN at a closed port.
            send(client, side, [.rst, .ack], 0, acknowledging: next)
        } else {
            return
        }
        end(client)
    }

    /// Bytes are never seen, and some behind them are.
    private mutating func lose(_ client: Endpoint) {
        let side: Direction = .random(in: 0...1, using: &random) == 0 ? .client : .server
        guard var connection = model.open[client], connection.held == nil, !connection.isDropped,
            !connection[side].hasFinished, let next = connection[side].next
        else { return }
        let peer = (side == .client ? connection.server : connection.client).next ?? 0
        let (missing, bytes) = (Int.random(in: 1...1000, using: &random), payload(20...40))
        send(client, side, .ack, next &+ UInt32(missing), acknowledging: peer, bytes)
        connection.held = (side, missing, bytes)
        connection.lastSeen = Timestamp(nanoseconds: time)
        model.put(client, connection)
    }

    // MARK: Ports used again

    /// A SYN within an open connection, which the server answers or not.
    private mutating func reuse(_ client: Endpoint) {
        guard var connection = model.open[client], let next = connection.client.next else { return }
        let start = next &+ (1 << 28) &+ UInt32.random(in: 0..<1 << 20, using: &random)
        send(client, .client, .syn, start)
        connection.candidate = start
        model.put(client, connection)
        if Bool.random(using: &random) { accept(client, start) }
    }

    /// The server, or the client's bytes, show that there is another connection on the ports of one.
    private mutating func accept(_ client: Endpoint, _ start: UInt32) {
        let isOpen = model.open[client] != nil
        // Where the server was seen, only its SYN-ACK ends a connection.
        let isAnswered = model.open[client]?.server.next != nil || Bool.random(using: &random)
        let (server, bytes) = (UInt32.random(in: 0...(.max), using: &random), payload())
        if isAnswered {
            send(client, .server, [.syn, .ack], server, acknowledging: start &+ 1)
        } else {
            send(client, .client, .ack, start &+ 1, bytes)
        }
        if isOpen { tell(client, model.forget(client)) } else { model.revive(client) }
        add(client, isMidstream: !isAnswered) { connection in
            connection.client.next = start &+ 1
            if isAnswered { connection.server.next = server &+ 1 }
        }
        if !isAnswered { deliver(client, .client, bytes) }
    }

    /// Packets on ports whose connection ended, or was forgotten.
    private mutating func reopen() {
        guard let client = former.randomElement(using: &random), model.open[client] == nil else { return }
        guard let connection = model.ended[client] else {
            return Bool.random(using: &random) ? begin(client) : beginMidstream(client, .client)
        }
        let next = connection.client.next ?? 0
        if let candidate = connection.candidate, Bool.random(using: &random) { return accept(client, candidate) }
        guard Bool.random(using: &random) else {
            // Late copies are nothing new.
            return send(client, .client, .ack, next &- 30, payload(1...30))
        }
        // Also from a little behind the old one's end.
        let start = Bool.random(using: &random) ? next &+ (1 << 28) : next &- 50
        send(client, .client, .syn, start)
        accept(client, start)
    }

    // MARK: Relayed connections

    private mutating func openRelayed() {
        let (wasFull, before) = (model.isFull, sink.tellings.count)
        ordinal += 1
        lastNumber += 1
        lastClient += 1
        let client = Endpoint(ipv4: lastClient, port: 50_000)
        let isMidstream = Bool.random(using: &random)
        let flow = RelayedFlow(client: client, server: Self.server, number: lastNumber, isMidstream: isMidstream)
        guard let handle = reassembler.open(flow, at: moment, into: &sink) else {
            sink.fault = "there was no room for a relayed connection"
            return
        }
        makeRoom(wasFull, since: before)
        let number = lastNumber
        add(client, isMidstream: isMidstream) { ($0.flow, $0.number) = (handle, number) }
    }

    private mutating func relay(_ client: Endpoint) {
        guard let connection = model.open[client] else { return }
        let side: Direction = .random(in: 0...1, using: &random) == 0 ? .client : .server
        let (bytes, isLost) = (payload(), Int.random(in: 0..<4, using: &random) == 0)
        if isLost {
            let (flow, number) = (connection.flow, connection.number)
            reassembler.skip(flow, number, from: side, bytes.count, at: moment, into: &sink)
            if !connection.isDropped { tell(client, [.gap(side, bytes.count)]) }
        } else {
            let (flow, number) = (connection.flow, connection.number)
            reassembler.deliver(flow, number, from: side, bytes.rawSpan, at: moment, into: &sink)
            if !connection.isDropped { deliver(client, side, bytes) }
        }
    }

    private mutating func closeRelayed(_ client: Endpoint) {
        guard let connection = model.open[client] else { return }
        reassembler.close(connection.flow, connection.number, at: moment, into: &sink)
        noteFormer(client)
        tell(client, model.forget(client))
    }

    /// What is said of relayed connections that are over is no news.
    private mutating func sayLate() {
        guard let (flow, number) = formerFlows.randomElement(using: &random) else { return }
        let bytes = payload()
        switch Int.random(in: 0..<3, using: &random) {
        case 0: reassembler.deliver(flow, number, from: .client, bytes.rawSpan, at: moment, into: &sink)
        case 1: reassembler.skip(flow, number, from: .server, bytes.count, at: moment, into: &sink)
        default: reassembler.close(flow, number, at: moment, into: &sink)
        }
    }

    // MARK: Many at once

    /// Connections one after the other, or a scan that nobody answers.
    private mutating func burst() {
        let kind = Int.random(in: 0..<4, using: &random)
        for _ in 0..<Int.random(in: 1...200, using: &random) {
            time += 1000
            switch kind {
            case 0: begin(newClient())
            case 1:
                openRelayed()
                if let client = model.relayed.members.last { closeRelayed(client) }
            case 2:
                let client = newClient()
                begin(client)
                reset(client)
            default:
                let client = newClient()
                begin(client)
                finish(client, .client)
                finish(client, .server)
            }
            steps += 1
        }
    }

    /// Time passes, and the table is looked through, as a whole or in part.
    private mutating func expire() {
        time +=
            Int64.random(in: 1...(Int.random(in: 0..<8, using: &random) == 0 ? 1200 : 70), using: &random)
            * 1_000_000_000
        ordinal += 1
        let isWhole = Bool.random(using: &random)
        let count = isWhole ? Int.max : Int.random(in: 1...200, using: &random)
        reassembler.expire(at: moment, count: count, into: &sink)
        let now = Timestamp(nanoseconds: time)
        let silent =
            isWhole
            ? model.open.keys.filter { model.isSilent($0, at: now) }
            : sink.tellings.filter { $0.told == .closed && model.isSilent($0.client, at: now) }.map(\.client)
        for client in silent {
            model.expired += 1
            noteFormer(client)
            tell(client, model.forget(client))
        }
    }
}
