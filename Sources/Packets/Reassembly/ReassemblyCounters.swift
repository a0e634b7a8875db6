// SPDX-License-Identifier: Apache-2.0

/// What reassembly met; every doubt has a counter.
///
/// Plain numbers, added up over workers with ``add(_:)``.
public struct ReassemblyCounters: Sendable, BitwiseCopyable {
    /// TCP segments looked at.
    public var segments: UInt64 = 0
    /// Connections seen.
    public var flows: UInt64 = 0
    /// Places where bytes are missing for good.
    public var gaps: UInt64 = 0
    /// Bytes missing for good.
    public var gapBytes: UInt64 = 0
    /// Segments that brought nothing new: retransmissions and packets captured twice.
    public var retransmitted: UInt64 = 0
    /// Segments that came before bytes that precede them.
    public var outOfOrder: UInt64 = 0
    /// Segments whose bytes differed from bytes held for the same place; those were kept that the receiver's kernel keeps,
    /// none where that cannot be told.
    public var conflicts: UInt64 = 0
    /// Segments, SYNs and resets that no receiver would have accepted.
    public var outOfWindow: UInt64 = 0
    /// Segments of clients with a wrong checksum where their others are right.
    public var badChecksums: UInt64 = 0
    /// Segments of clients without the ACK flag, with an old timestamp, or that acknowledge what was not sent or was
    /// acknowledged long ago.
    public var refused: UInt64 = 0
    /// Connections that went on after their end was seen.
    public var reopened: UInt64 = 0
    /// Keep-alive probes (RFC 9293 §3.8.4).
    public var keepAlives: UInt64 = 0
    /// Segments whose bytes found no room to wait in.
    public var overBudget: UInt64 = 0
    /// Flows forgotten to make room for others.
    public var evicted: UInt64 = 0
    /// Flows forgotten because they were silent for too long.
    public var expired: UInt64 = 0
    /// Segments cut by the snap length.
    public var truncated: UInt64 = 0

    /// All zero.
    public init() {}

    /// Adds another worker's counts.
    public mutating func add(_ other: ReassemblyCounters) {
        segments += other.segments
        flows += other.flows
        gaps += other.gaps
        gapBytes += other.gapBytes
        retransmitted += other.retransmitted
        outOfOrder += other.outOfOrder
        conflicts += other.conflicts
        outOfWindow += other.outOfWindow
        badChecksums += other.badChecksums
        refused += other.refused
        reopened += other.reopened
        keepAlives += other.keepAlives
        overBudget += other.overBudget
        evicted += other.evicted
        expired += other.expired
        truncated += other.truncated
    }
}
