// SPDX-License-Identifier: Apache-2.0
import Domain

/// One direction of a connection.
// In this order there is no padding: every connection has two.
struct Stream: BitwiseCopyable {
    /// The sequence number of the next byte to deliver.
    var next: UInt32 = 0
    /// The highest acknowledgment of this stream by the other side; of what a server sends, only up to `next`.
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
        /// `next` and `acknowledged` are known.
        static let synchronized = State(rawValue: 1)
        /// `end` is known.
        static let hasEnd = State(rawValue: 2)
        /// `end` is that of an RST.
        static let endIsReset = State(rawValue: 4)
        /// Everything up to `end` was delivered.
        static let finished = State(rawValue: 8)
        /// `end` is that of a FIN that the receiver may have refused.
        static let endIsDoubtful = State(rawValue: 16)
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
    /// The end of the server's window: what the client sends behind it is refused (RFC 9293 §3.10.7.4).
    var edge: UInt32 = 0
    /// The latest timestamp of the client's segments (RFC 7323 §5).
    var recent: UInt32 = 0
    /// How far the client's stream had come when the server sent something last.
    var spoken: UInt32 = 0
    /// The end of what was seen of the server, delivered or not.
    var serverSeen: UInt32 = 0
    /// The initial sequence number of the server.
    var serverStart: UInt32 = 0
    /// The client's latest acknowledgment, also one of bytes that were not seen.
    var claimed: UInt32 = 0
    /// The server's latest acknowledgment of something far from all that the client sent.
    var farAcknowledgment: UInt32 = 0
    /// Ended flows are a list, the oldest first; -1 at its ends.
    var endedBefore: FlowHandle = -1, endedAfter: FlowHandle = -1
    var state = State(rawValue: 0)
    /// The largest window field of the client.
    var clientWindow: UInt16 = 0
    /// By how many bits the server's window fields are shifted.
    var windowShift = Segment.largestShift
    /// The timestamp of the SYN at `candidate`; 0: it had none.
    var candidateTime: UInt32 = 0
    /// What is known of the client's checksums, and what of those of the SYN at `candidate`.
    var trust = Trust(), candidateTrust = Trust()

    struct State: OptionSet, BitwiseCopyable {
        let rawValue: UInt16
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
        /// `recent` is set.
        static let hasRecent = State(rawValue: 256)
        /// `serverStart` is set.
        static let hasServerStart = State(rawValue: 512)
        /// `farAcknowledgment` is set.
        static let hasFarAcknowledgment = State(rawValue: 1024)
        /// The client sent urgent data.
        static let urgent = State(rawValue: 2048)
    }
}

/// A segment that came too early: payload in pooled memory, in a list by sequence number.
struct HeldSegment: BitwiseCopyable {
    var next: Int32 = -1
    var sequence: UInt32 = 0
    var acknowledgment: UInt32 = 0
    var hasAcknowledgment = false
    /// Why the receiver may have refused it, `none` where it cannot.
    var doubt = Doubt.none
    /// The bytes belong to no stream: urgent data.
    var isSilent = false
    var announced: Int32 = 0
    var captured: Int32 = 0
    var block = Block.none
    var moment = Moment(time: .epoch, ordinal: 0)
}

extension HeldSegment {
    /// The sequence number behind it.
    var end: UInt32 { sequence &+ UInt32(bitPattern: announced) }
}

extension Flow {
    /// What the client sends, and what the server does.
    @inline(__always)
    var client: Stream {
        get { state.contains(.lowerIsClient) ? fromLower : fromUpper }
        set { if state.contains(.lowerIsClient) { fromLower = newValue } else { fromUpper = newValue } }
    }
    @inline(__always)
    var server: Stream {
        get { state.contains(.lowerIsClient) ? fromUpper : fromLower }
        set { if state.contains(.lowerIsClient) { fromUpper = newValue } else { fromLower = newValue } }
    }
}

extension UInt32 {
    /// How far this sequence number lies behind `other` on the circle of sequence numbers (RFC 9293 §3.4).
    @inline(__always)
    func distance(after other: UInt32) -> Int {
        Int(Int32(bitPattern: self &- other))
    }
}
