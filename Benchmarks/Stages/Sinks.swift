// SPDX-License-Identifier: Apache-2.0
import Domain
import Fingerprints
import Packets
import PostgresWire

/// Ends the pipeline behind the reassembly: takes streams and does nothing with them.
struct StreamEnd: ~Copyable, StreamSink {
    var bytes: UInt64 = 0

    mutating func opened(_ flow: FlowHandle, client: Endpoint, server: Endpoint, isMidstream: Bool, at moment: Moment) {
    }
    func sender(of bytes: RawSpan) -> Direction? { Sessions.sender(of: bytes) }
    mutating func bytes(_ flow: FlowHandle, from side: Direction, _ bytes: RawSpan, at moment: Moment) -> Interest {
        self.bytes &+= UInt64(bytes.byteCount)
        return .keep
    }
    mutating func gap(_ flow: FlowHandle, from side: Direction, count: Int, at moment: Moment) -> Interest { .keep }
    mutating func closed(_ flow: FlowHandle, at moment: Moment) {}
}

/// Ends the pipeline behind the protocol, or behind the fingerprints.
struct StatementEnd: ~Copyable, SessionSink {
    var normalizer = Normalizer(hash: .standard)
    var isSketching = false
    var statements: UInt64 = 0
    var mixed: UInt64 = 0

    mutating func sketch(_ text: RawSpan, from start: Int, backslashEscapes: Bool) -> StatementSketch? {
        if isSketching { return normalizer.sketch(text, from: start, backslashEscapes: backslashEscapes) }
        guard start < text.byteCount else { return nil }
        var sketch = StatementSketch()
        sketch.range = start..<text.byteCount
        sketch.kind = .select
        return sketch
    }
    mutating func pattern(
        _ sketch: StatementSketch,
        of text: RawSpan,
        for principal: PrincipalHandle,
        under path: UInt16,
        at moment: Moment
    ) -> PatternHandle {
        mixed ^= sketch.fingerprint.low
        return 0
    }
    mutating func parameterTypes(_ types: RawSpan, of pattern: PatternHandle) {}
    mutating func searchPath(_ value: RawSpan, for principal: PrincipalHandle) -> UInt16 { 1 }
    mutating func functionPattern(_ oid: UInt32, for principal: PrincipalHandle, at moment: Moment) -> PatternHandle {
        0
    }
    mutating func attribute(_ flow: FlowHandle, _ login: borrowing Login, at moment: Moment) -> PrincipalHandle { 0 }
    mutating func missed(_ principal: PrincipalHandle, count: Int, at time: Timestamp) {}
    mutating func joined(_ flow: FlowHandle, at moment: Moment) -> PrincipalHandle { 0 }
    mutating func started(_ principal: PrincipalHandle, _ pattern: PatternHandle, at time: Timestamp) -> Int64 { 0 }
    mutating func reattribute(
        _ pattern: PatternHandle,
        _ price: Int64,
        sentAt time: Timestamp,
        to principal: PrincipalHandle
    ) -> PatternHandle { 0 }
    mutating func ended(_ event: StatementEvent) { statements &+= event.outcome == .completed ? 1 : 0 }
    mutating func vanished(_ principal: PrincipalHandle, _ pattern: PatternHandle, _ kind: StatementKind) {}
    mutating func acknowledged(_ what: Acknowledgment, _ principal: PrincipalHandle) {}
    mutating func reported(_ principal: PrincipalHandle) {}
}

/// Joins the protocol to the reassembly.
struct SessionEnd: ~Copyable, StreamSink {
    var sessions: Sessions
    var end: StatementEnd

    mutating func opened(_ flow: FlowHandle, client: Endpoint, server: Endpoint, isMidstream: Bool, at moment: Moment) {
        sessions.opened(flow, isMidstream: isMidstream)
    }
    func sender(of bytes: RawSpan) -> Direction? { Sessions.sender(of: bytes) }
    mutating func bytes(_ flow: FlowHandle, from side: Direction, _ bytes: RawSpan, at moment: Moment) -> Interest {
        sessions.bytes(flow, from: side, bytes, at: moment, into: &end)
    }
    mutating func gap(_ flow: FlowHandle, from side: Direction, count: Int, at moment: Moment) -> Interest {
        sessions.gap(flow, from: side, count: count, at: moment, into: &end)
    }
    mutating func closed(_ flow: FlowHandle, at moment: Moment) {
        sessions.closed(flow, isKnown: true, at: moment, into: &end)
    }
}
