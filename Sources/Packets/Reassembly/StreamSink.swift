// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Receives the streams of TCP connections, in order, each byte once.
///
/// Of two streams of a connection, bytes come after the bytes that their sender had acknowledged.
public protocol StreamSink: ~Copyable {
    /// A connection was seen for the first time. `isMidstream`: without its SYN.
    mutating func opened(_ flow: FlowHandle, client: Endpoint, server: Endpoint, isMidstream: Bool, at moment: Moment)
    /// Who sent `bytes`, the first payload of a connection that was joined mid-stream on unknown ports.
    func sender(of bytes: RawSpan) -> Direction?
    /// The next bytes of one direction.
    mutating func bytes(_ flow: FlowHandle, from side: Direction, _ bytes: RawSpan, at moment: Moment) -> Interest
    /// `count` bytes of one direction will never be seen.
    mutating func gap(_ flow: FlowHandle, from side: Direction, count: Int, at moment: Moment) -> Interest
    /// The client reset the connection after all that it had sent reached the server; ``closed(_:at:)`` follows.
    mutating func reset(_ flow: FlowHandle, at moment: Moment)
    /// The connection ended, or the capture did, or the flow was evicted; the handle may be reused.
    mutating func closed(_ flow: FlowHandle, at moment: Moment)
    /// Whether nothing worth keeping is known of this flow: such flows make room for others first.
    mutating func isBlank(_ flow: FlowHandle) -> Bool
}

extension StreamSink where Self: ~Copyable {
    /// By default it does not matter how a connection ends.
    public mutating func reset(_ flow: FlowHandle, at moment: Moment) {}
    /// By default every flow is worth the same.
    public mutating func isBlank(_ flow: FlowHandle) -> Bool { false }
}
