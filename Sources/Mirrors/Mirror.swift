// SPDX-License-Identifier: Apache-2.0

/// How the kernel copies packets.
public enum MirrorKind: String, Sendable, CaseIterable {
    /// nftables at the device, both directions: frames as they are, to another device. The cheapest and safest.
    case netdevDup = "netdev-dup"
    /// iptables TEE: packets routed to a monitor's address. The best known.
    case tee
    /// nftables `dup` in the IP families: as TEE.
    case nftDup = "nft-dup"
    /// Traffic control with mirred: frames as they are, to another device.
    case tc
    /// The netfilter log, read on this host with `-i nflog:GROUP`.
    case nflog
    /// No copy: connections are steered through a relay on this host, for places where no mirror can be had.
    case redirect
}

/// Why a mirror cannot be planned.
public enum MirrorError: Error, Equatable, CustomStringConvertible {
    /// The kind needs another sort of target.
    case target(kind: MirrorKind, needs: String)
    /// A name that no interface can have.
    case interface(String)
    /// The relay's own connections would be steered to the relay.
    case noExemption

    /// What is wrong, and what to write instead.
    public var description: String {
        switch self {
        case .target(let kind, let needs): "--kind \(kind.rawValue) needs \(needs) in --to."
        case .interface(let name): "'\(name)' is no interface name: `ip link` lists them."
        case .noExemption:
            "--from host needs --exempt-user or --exempt-mark: the relay's own connections must go straight on."
        }
    }
}

/// A mirror of PostgreSQL's traffic on one interface, as it is asked for.
public struct Mirror: Sendable, Equatable {
    /// How.
    public var kind: MirrorKind
    /// The interface that the traffic passes.
    public var interface: String
    /// The server's ports.
    public var ports: [UInt16]
    /// Where copies go: a device, an address, or a group of the netfilter log.
    public var target: String
    /// For addresses: the device that leads to them.
    public var device: String?
    /// For a redirection: whose connections.
    public var redirect: Redirect

    /// A mirror.
    ///
    /// - Throws: ``MirrorError`` when names cannot be what they stand for; nothing that could be taken for an option
    ///   or a rule's syntax gets through.
    public init(
        kind: MirrorKind,
        interface: String,
        ports: [UInt16],
        target: String,
        device: String?,
        redirect: Redirect = Redirect()
    ) throws(MirrorError) {
        for name in [interface, device].compactMap({ $0 }) where !Self.isDevice(name) { throw .interface(name) }
        switch kind {
        case .netdevDup, .tc:
            guard Self.isDevice(target) else { throw .target(kind: kind, needs: "a device, such as mirror0,") }
        case .tee:
            guard Self.isAddress(target) else { throw .target(kind: kind, needs: "an IP address") }
        case .nftDup:
            guard Self.isAddress(target), device != nil else {
                throw .target(kind: kind, needs: "an IP address, and the device that leads to it in --device,")
            }
        case .nflog:
            guard UInt16(target) != nil else { throw .target(kind: kind, needs: "a group, from 0 to 65535,") }
        case .redirect:
            guard let port = UInt16(target), port > 0 else {
                throw .target(kind: kind, needs: "the relay's port")
            }
            guard redirect.origin == .network || redirect.exemption != nil else { throw .noExemption }
        }
        self.redirect = redirect
        (self.kind, self.interface, self.ports, self.target, self.device) = (kind, interface, ports, target, device)
    }

    /// Whether the target is an IPv6 address.
    var isIPv6: Bool { target.contains(":") }

    private static func isDevice(_ name: String) -> Bool { name.utf8.count <= 15 && isName(name) }

    /// Whether nothing of it can be taken for an option or for a rule's syntax.
    static func isName(_ name: String) -> Bool {
        !name.isEmpty && name.first != "-"
            && name.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                    || [0x2D, 0x2E, 0x5F, 0x40].contains(byte)
            }
    }

    private static func isAddress(_ text: String) -> Bool {
        !text.isEmpty && text.first != "-" && (text.contains(".") || text.contains(":"))
            && text.utf8.allSatisfy { byte in
                (0x30...0x3A).contains(byte) || byte == 0x2E || (0x61...0x66).contains(byte | 0x20)
            }
    }
}
