// SPDX-License-Identifier: Apache-2.0

/// Why a packet gave no segment; each is counted, and the counts of all packets add up.
public enum IgnoredReason: UInt8, Sendable, BitwiseCopyable, CaseIterable {
    /// ARP, LLDP, spanning tree and other frames without IP.
    case notIP
    /// UDP, ICMP and other protocols above IP.
    case notTCP
    /// Neither port was asked for.
    case otherPort
    /// The BPF filter of the command line refused it.
    case filtered
    /// The headers were cut by the snap length or lie.
    case badHeader
    /// A fragment that did not complete its datagram.
    case fragment
    /// More tunnels inside each other than are followed.
    case tunnelDepth
    /// A packet in a tunnel whose sender was not named: it may be made up.
    case tunnelSender
    /// A link type that cannot be read.
    case linkType
    /// Encrypted by IPsec.
    case encrypted

    /// The name in reports: stable, lower case.
    public var name: String {
        switch self {
        case .notIP: "not_ip"
        case .notTCP: "not_tcp"
        case .otherPort: "other_port"
        case .filtered: "filtered"
        case .badHeader: "bad_header"
        case .fragment: "incomplete_fragment"
        case .tunnelDepth: "tunnel_depth"
        case .tunnelSender: "tunnel_sender"
        case .linkType: "link_type"
        case .encrypted: "ipsec"
        }
    }
}
