// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Turns captured frames into TCP segments: link header, tunnels, IP, fragments, TCP.
///
/// Checksums of what clients send are looked at, and decide nothing here: with offload they are wrong in every capture
/// taken on the sending host.
public struct PacketDecoder: ~Copyable {
    /// How many tunnels inside each other are followed.
    static let deepestTunnel = 4

    let ports: PortSet
    let hash: KeyedHash
    /// Whose tunnels are looked into; `nil`: everybody's.
    let tunnelSenders: AddressRanges?
    var fragments = FragmentTable()
    var isReassembled = false
    /// Where packets went that are none of ``ports``.
    public internal(set) var otherPorts = PortCensus()

    /// A decoder that keeps segments of `ports` only; an empty set keeps all.
    ///
    /// - Parameter tunnelSenders: the senders whose tunnels are looked into, at each depth; `nil`: all. Anybody who can send
    ///   a packet can put another one into it, so on a live tap they are to be named.
    public init(ports: PortSet, hash: KeyedHash, tunnelSenders: AddressRanges? = nil) {
        self.ports = ports
        self.hash = hash
        self.tunnelSenders = tunnelSenders
    }

    /// The datagram that was put together from fragments by the last call of ``decode(_:link:length:at:into:)``
    /// whose segment says `isFromFragments`.
    public var reassembled: RawSpan {
        @_lifetime(borrow self)
        get { fragments.datagram }
    }

    /// Fragments seen, and datagrams given up for lack of room or time.
    public var fragmentCounts: (seen: UInt64, abandoned: UInt64) { (fragments.seen, fragments.abandoned) }

    /// Decodes one frame.
    ///
    /// `length` is its length on the wire, which the snap length may have cut.
    ///
    /// - Returns: `nil` when `segment` was filled in, otherwise why it was not.
    @inline(__always)
    public mutating func decode(
        _ frame: RawSpan,
        link: LinkType,
        length: Int,
        at time: Timestamp,
        into segment: inout Segment
    ) -> IgnoredReason? {
        segment.time = time
        if link == .ethernet, decodeUsual(frame, length: length, &segment) { return nil }
        return decodeUnusual(frame, link: link, wire: max(length, frame.byteCount), into: &segment)
    }

    @inline(never)
    private mutating func decodeUnusual(
        _ frame: RawSpan,
        link: LinkType,
        wire: Int,
        into segment: inout Segment
    ) -> IgnoredReason? {
        isReassembled = false
        switch link {
        case .ethernet: return ethernet(frame, at: 0, wire: wire, depth: 0, &segment)
        case .raw, .rawBSD, .rawOpenBSD, .ipv4, .ipv6: return internet(frame, at: 0, wire: wire, depth: 0, &segment)
        case .null, .loop: return loopback(frame, wire: wire, &segment)
        case .linuxCooked: return linuxCooked(frame, wire: wire, &segment)
        case .linuxCooked2: return linuxCooked2(frame, wire: wire, &segment)
        case .nflog: return nflog(frame, wire: wire, &segment)
        }
    }
}
