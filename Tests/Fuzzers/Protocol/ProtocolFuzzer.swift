// SPDX-License-Identifier: Apache-2.0
import Domain
import PostgresWire

/// Books that must balance: every charge is settled or refunded by the end of the session.
private struct Balance: SessionSink {
    var charged: Int64 = 0
    var ended: Int64 = 0
    mutating func sketch(_ text: RawSpan, from start: Int, backslashEscapes: Bool) -> StatementSketch? {
        guard start < text.byteCount else { return nil }
        var sketch = StatementSketch()
        let kinds = StatementKind.allCases
        sketch.kind = kinds[Int(text.byte(at: start)) % kinds.count]
        sketch.range = start..<min(text.byteCount, start + 8)
        sketch.name = start..<min(text.byteCount, start + 3)
        sketch.body = sketch.kind == .prepare ? start + 1 : 0
        return sketch
    }
    mutating func pattern(
        _ sketch: StatementSketch,
        of text: RawSpan,
        for principal: PrincipalHandle,
        under path: UInt16,
        at moment: Moment
    ) -> PatternHandle { 1 }
    mutating func parameterTypes(_ types: RawSpan, of pattern: PatternHandle) {}
    mutating func searchPath(_ value: RawSpan, for principal: PrincipalHandle) -> UInt16 { 1 }
    mutating func functionPattern(_ oid: UInt32, for principal: PrincipalHandle, at moment: Moment) -> PatternHandle {
        1
    }
    mutating func attribute(_ flow: FlowHandle, _ login: borrowing Login, at moment: Moment) -> PrincipalHandle { 1 }
    mutating func missed(_ principal: PrincipalHandle, count: Int, at time: Timestamp) {}
    mutating func joined(_ flow: FlowHandle, at moment: Moment) -> PrincipalHandle { 1 }
    mutating func started(_ principal: PrincipalHandle, _ pattern: PatternHandle, at time: Timestamp) -> Int64 {
        charged += 1
        return 1
    }
    mutating func reattribute(
        _ pattern: PatternHandle,
        _ price: Int64,
        sentAt time: Timestamp,
        to principal: PrincipalHandle
    ) -> PatternHandle { pattern }
    mutating func ended(_ event: StatementEvent) { ended += event.price }
    mutating func vanished(_ principal: PrincipalHandle, _ pattern: PatternHandle, _ kind: StatementKind) {}
    mutating func acknowledged(_ what: Acknowledgment, _ principal: PrincipalHandle) {}
    mutating func reported(_ principal: PrincipalHandle) {}
}

/// Records of a control byte, a length and so many bytes, from either side; some are gaps.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let data = unsafe data, count > 1 else { return 0 }
    let bytes = unsafe Array(UnsafeBufferPointer(start: data, count: count))
    var limits = SessionLimits()
    limits.sessions = 2
    limits.requests = 64
    limits.requestsPerSession = 48
    limits.names = 64
    limits.collectedBytes = 4096
    limits.text = 1024
    var sessions = Sessions(hash: .standard, limits: limits)
    var balance = Balance()
    sessions.opened(0, isMidstream: bytes[0] & 1 == 1)
    var (offset, ordinal) = (1, UInt64(0))
    while offset + 2 <= bytes.count {
        let control = bytes[offset]
        let length = min(Int(bytes[offset + 1]), bytes.count - offset - 2)
        let piece = Array(bytes[offset + 2..<offset + 2 + length])
        offset += 2 + length
        ordinal += 1
        let moment = Moment(time: Timestamp(nanoseconds: Int64(ordinal) << 20), ordinal: ordinal)
        let side: Direction = control & 1 == 0 ? .client : .server
        if control & 0x0E == 2 {
            _ = sessions.gap(0, from: side, count: length + 1, at: moment, into: &balance)
        } else {
            _ = sessions.bytes(0, from: side, piece.rawSpan, at: moment, into: &balance)
        }
    }
    sessions.closed(0, isKnown: bytes[0] & 2 == 0, at: Moment(time: .epoch, ordinal: .max), into: &balance)
    precondition(balance.charged == balance.ended, "a charge was lost or booked twice")
    return 0
}

#if UNGUIDED
import Unguided

@main struct Main {
    static func main() { unsafe runUnguided { unsafe fuzz($0, $1) } }
}
#endif
