// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Packets
import PostgresWire

/// One worker's whole state: segment → stream → message → statement → charge, without a lock or a hand-over.
struct Shard<Recorder: StatementRecorder & ~Copyable>: ~Copyable {
    var reassembler: Reassembler
    var analyser: Analyser<Recorder>

    init(
        serverPorts: PortSet,
        hash: KeyedHash,
        priceList: PriceList,
        limits: ReassemblyLimits,
        recorder: consuming Recorder
    ) {
        reassembler = Reassembler(serverPorts: serverPorts, limits: limits)
        var sessionLimits = SessionLimits()
        sessionLimits.sessions = limits.flows
        analyser = Analyser(
            sessions: Sessions(hash: hash, limits: sessionLimits),
            books: Books(hash: hash, priceList: priceList, flows: limits.flows, recorder: recorder)
        )
    }

    /// Takes the segments of one batch; `bytes` is the memory that their payloads lie in.
    mutating func process(_ segments: borrowing [Segment], _ bytes: RawSpan) {
        for index in segments.indices {
            let start = segments[index].payloadOffset
            let payload = bytes.extracting(start..<start &+ Int(segments[index].captured))
            reassembler.process(segments[index], payload, into: &analyser)
        }
        analyser.books.recorder.flush()
    }

    /// The capture is over.
    mutating func finish(at moment: Moment) {
        analyser.isFinishing = true
        reassembler.finish(at: moment, into: &analyser)
        analyser.books.recorder.flush()
    }
}

/// Stream → statement: joins the sessions to the books.
struct Analyser<Recorder: StatementRecorder & ~Copyable>: ~Copyable, StreamSink {
    var sessions: Sessions
    var books: Books<Recorder>
    /// The capture ended, not the connections.
    var isFinishing = false

    init(sessions: consuming Sessions, books: consuming Books<Recorder>) {
        self.sessions = sessions
        self.books = books
    }

    mutating func opened(
        _ flow: FlowHandle,
        client: Endpoint,
        server: Endpoint,
        isMidstream: Bool,
        at moment: Moment
    ) {
        sessions.opened(flow, isMidstream: isMidstream)
        books.opened(flow, client: client, server: server, at: moment)
    }

    func sender(of bytes: RawSpan) -> Direction? { Sessions.sender(of: bytes) }

    mutating func bytes(_ flow: FlowHandle, from side: Direction, _ bytes: RawSpan, at moment: Moment) -> Interest {
        sessions.bytes(flow, from: side, bytes, at: moment, into: &books)
    }

    mutating func gap(_ flow: FlowHandle, from side: Direction, count: Int, at moment: Moment) -> Interest {
        sessions.gap(flow, from: side, count: count, at: moment, into: &books)
    }

    mutating func closed(_ flow: FlowHandle, at moment: Moment) {
        sessions.closed(flow, isKnown: !isFinishing, at: moment, into: &books)
    }
}
