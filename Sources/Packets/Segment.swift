// SPDX-License-Identifier: Apache-2.0
public import Domain

/// The TCP part of one captured packet (RFC 9293 §3.1), with its payload by reference.
public struct Segment: BitwiseCopyable, Sendable {
    /// The connection it belongs to.
    public var key = FlowKey()
    /// ``FlowKey/hash(_:)`` of the key.
    public var hash: UInt64 = 0
    /// When it was captured.
    public var time = Timestamp.epoch
    /// The packet's number in the capture, from 1.
    public var ordinal: UInt64 = 0
    /// Where the payload begins, counted from the start of the frame.
    public var payloadOffset = 0
    /// Payload bytes that were captured.
    public var captured: Int32 = 0
    /// Payload bytes that were on the wire; more than `captured` when the snap length cut the packet.
    public var announced: Int32 = 0
    /// The sequence number of the first payload byte (of the SYN, where there is one).
    public var sequence: UInt32 = 0
    /// The acknowledgment number; meaningless without the ACK flag.
    public var acknowledgment: UInt32 = 0
    /// The TCP flags.
    public var flags = TCPFlags(rawValue: 0)
    /// Whether the lower end of the key sent it.
    public var fromLower = false
    /// Whether the payload lies in the decoder's reassembled datagram instead of in the frame.
    public var isFromFragments = false

    /// An empty segment.
    public init() {}
}

/// The TCP control bits (RFC 9293 §3.1).
public struct TCPFlags: OptionSet, Sendable, BitwiseCopyable {
    /// The bits as they stand in the header.
    public let rawValue: UInt8
    /// Flags from the header byte.
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// No more data from the sender.
    public static let fin = TCPFlags(rawValue: 1)
    /// Synchronize sequence numbers.
    public static let syn = TCPFlags(rawValue: 2)
    /// Reset the connection.
    public static let rst = TCPFlags(rawValue: 4)
    /// The acknowledgment field is significant.
    public static let ack = TCPFlags(rawValue: 16)
}
