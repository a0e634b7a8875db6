// SPDX-License-Identifier: Apache-2.0

/// What is known of the checksums of one client.
///
/// A capture on the sending host shows checksums that its network card has yet to compute, so it depends on the client
/// whether a wrong one means that the server's kernel refused the segment. The best one seen tells: a sender whose SYN had a
/// right one has right ones throughout.
struct Trust: BitwiseCopyable {
    /// The best checksum seen; `unknown`: none was.
    private(set) var best = SegmentChecksum.unknown
    /// The last one was better than the best that counts: by chance, or where the client has another sender's help.
    private var isChanging = false

    /// Whether a receiver takes a segment with this checksum, as far as is known.
    @inline(__always)
    func takes(_ checksum: SegmentChecksum) -> Bool { checksum <= best || checksum == .unknown }

    /// Whether nothing new is to be learnt from this checksum, and a receiver takes the segment.
    @inline(__always)
    func isUsual(_ checksum: SegmentChecksum) -> Bool { checksum == best }

    /// A segment of the client was seen.
    mutating func learn(_ checksum: SegmentChecksum, isSYN: Bool) {
        guard checksum != .unknown else { return }
        if best == .unknown || (checksum < best && (isSYN || isChanging)) {
            best = checksum
            isChanging = false
        } else {
            isChanging = checksum < best
        }
    }
}

/// How likely it is that the server's kernel refused a segment of a client; the order matters.
enum Doubt: UInt8, BitwiseCopyable, Comparable {
    /// It took it, if it came there.
    case none
    /// Versions of kernels differ, or it depends on what cannot be seen.
    case possible
    /// It did, by all that was seen: what the server had sent, its window, the latest timestamp.
    case likely
    /// It did, for its checksum is wrong where the client's others are right.
    case checksum

    /// The order of cases.
    static func < (left: Doubt, right: Doubt) -> Bool { left.rawValue < right.rawValue }
}
