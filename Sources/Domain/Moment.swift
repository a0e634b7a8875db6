// SPDX-License-Identifier: Apache-2.0

/// When and by which packet something came about.
public struct Moment: BitwiseCopyable, Sendable {
    /// The capture time of the packet.
    public var time: Timestamp
    /// The packet's number in the capture, from 1.
    public var ordinal: UInt64

    /// A moment.
    public init(time: Timestamp, ordinal: UInt64) {
        self.time = time
        self.ordinal = ordinal
    }
}

/// What a sink wants of the rest of a flow.
public enum Interest: Sendable, BitwiseCopyable {
    /// Deliver on.
    case keep
    /// Nothing more of this flow: it is encrypted or not PostgreSQL.
    case drop
}
