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
    /// The sender's timestamp value (RFC 7323 §3.2), where there is one.
    public var timestamp: UInt32 = 0
    /// The window field, unscaled; the largest one until a header is read.
    public var window = UInt16.max
    /// Where urgent data ends, counted from `sequence`; meaningless without the URG flag.
    public var urgent: UInt16 = 0
    /// What the checksum says of the segment.
    public var checksum = SegmentChecksum.unknown
    /// Of a SYN: by how many bits later window fields of its sender are shifted (RFC 7323 §2.2), 0 to 14.
    public var windowShift = Segment.largestShift
    /// The TCP flags.
    public var flags = TCPFlags(rawValue: 0)
    /// Whether `timestamp` is there.
    public var hasTimestamp = false
    /// Whether the lower end of the key sent it.
    public var fromLower = false
    /// Whether the payload lies in the decoder's reassembled datagram instead of in the frame.
    public var isFromFragments = false

    /// The largest shift of a window that there is (RFC 7323 §2.3), taken where it is not known.
    public static let largestShift: UInt8 = 14

    /// An empty segment.
    public init() {}
}

/// What a TCP checksum says (RFC 9293 §3.1), in the order in which a sender's segments are the more to be trusted.
public enum SegmentChecksum: UInt8, Sendable, BitwiseCopyable, Comparable {
    /// It was not looked at, or the packet was cut.
    case unknown
    /// It is right.
    case whole
    /// It is that of the pseudo header alone: the sender's network card computes the rest, or the kernel joined segments
    /// that were right (Linux: CHECKSUM_PARTIAL).
    case partial
    /// It is neither.
    case wrong

    /// The order of cases.
    public static func < (left: SegmentChecksum, right: SegmentChecksum) -> Bool { left.rawValue < right.rawValue }
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
    /// The urgent pointer is significant.
    public static let urg = TCPFlags(rawValue: 32)

    /// The bits of which a usual segment has only ACK.
    static var unusual: UInt8 { 0x37 }
}
