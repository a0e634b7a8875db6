// SPDX-License-Identifier: Apache-2.0
import Domain

/// One direction of a connection.
// In this order there is no padding: every connection has two.
struct Stream: BitwiseCopyable {
    /// The sequence number of the next byte to deliver.
    var next: UInt32 = 0
    /// The highest acknowledgment of this stream by the other side.
    var acknowledged: UInt32 = 0
    /// The sequence number of the FIN or RST, where one was announced.
    var end: UInt32 = 0
    /// The first of the held segments, by sequence number; -1 when there is none.
    var held: Int32 = -1
    /// Payload bytes of the held segments.
    var heldBytes: Int32 = 0
    /// Where a far-away segment that may be the start of a jump would go on.
    var strayNext: UInt32 = 0
    /// Where the stream waits.
    var waitingAt: UInt32 = 0
    /// Segments of the flow seen since the stream began to wait for bytes.
    var waitCount: UInt16 = 0
    var strayCount: UInt8 = 0
    var state = State(rawValue: 0)
    /// When the stream began to wait for bytes.
    var waitSince = Timestamp.epoch

    struct State: OptionSet, BitwiseCopyable {
        let rawValue: UInt8
        /// `next` is known.
        static let synchronized = State(rawValue: 1)
        /// `end` is known.
        static let hasEnd = State(rawValue: 2)
        /// `end` is that of an RST.
        static let endIsReset = State(rawValue: 4)
        /// Everything up to `end` was delivered.
        static let finished = State(rawValue: 8)
        /// `acknowledged` is known.
        static let hasAcknowledged = State(rawValue: 16)
    }
}

/// One TCP connection.
struct Flow: BitwiseCopyable {
    var key = FlowKey()
    var hash: UInt64 = 0
    /// What the lower end sends.
    var fromLower = Stream()
    /// What the upper end sends.
    var fromUpper = Stream()
    var lastSeen = Timestamp.epoch
    /// The initial sequence number of a SYN that may be a new connection on the same ports.
    var candidate: UInt32 = 0
    /// Ended flows are a list, the oldest first; -1 at its ends.
    var endedBefore: FlowHandle = -1, endedAfter: FlowHandle = -1
    var state = State(rawValue: 0)

    struct State: OptionSet, BitwiseCopyable {
        let rawValue: UInt8
        /// The slot is in use.
        static let open = State(rawValue: 1)
        /// Ended, and in the list of those that are kept for late retransmissions.
        static let closed = State(rawValue: 2)
        /// The lower end is the client.
        static let lowerIsClient = State(rawValue: 4)
        /// The client is known.
        static let oriented = State(rawValue: 8)
        /// Something is held or missing: the slow path must look.
        static let waiting = State(rawValue: 16)
        /// The sink wants no more of it.
        static let dropped = State(rawValue: 32)
        /// `candidate` is set.
        static let hasCandidate = State(rawValue: 64)
        /// Its SYN was seen.
        static let hasSYN = State(rawValue: 128)
    }
}

/// A segment that came too early: payload in pooled memory, in a list by sequence number.
struct HeldSegment: BitwiseCopyable {
    var next: Int32 = -1
    var sequence: UInt32 = 0
    var acknowledgment: UInt32 = 0
    var hasAcknowledgment = false
    var announced: Int32 = 0
    var captured: Int32 = 0
    var block = Block.none
    var moment = Moment(time: .epoch, ordinal: 0)
}

extension UInt32 {
    /// How far this sequence number lies behind `other` on the circle of sequence numbers (RFC 9293 §3.4).
    @inline(__always)
    func distance(after other: UInt32) -> Int {
        Int(Int32(bitPattern: self &- other))
    }
}
