// SPDX-License-Identifier: Apache-2.0

/// How connections are steered through a relay, by netfilter's REDIRECT (iptables-extensions(8)).
public struct Redirect: Sendable, Equatable {
    /// Whose connections.
    public enum Origin: String, Sendable, CaseIterable {
        /// Those that come in over the interface: on a server or a gateway.
        case network
        /// Those that this host makes through the interface: where applications run.
        case host
    }

    /// Whose connections are steered.
    public var origin: Origin
    /// For those of this host: the user that the relay runs as, whose own connections go straight on.
    public var exemptUser: String?
    /// For those of this host: the mark that the relay sets on its own connections.
    public var exemptMark: UInt32?
    /// Whether IPv6 is steered too; the relay must then listen on it.
    public var includesIPv6: Bool

    /// A redirection.
    public init(
        origin: Origin = .network,
        exemptUser: String? = nil,
        exemptMark: UInt32? = nil,
        includesIPv6: Bool = false
    ) {
        (self.origin, self.exemptUser) = (origin, exemptUser)
        (self.exemptMark, self.includesIPv6) = (exemptMark, includesIPv6)
    }

    /// What lets the relay's own connections pass; without it they would come back to it for ever.
    var exemption: [String]? {
        if let exemptUser, exemptUser.utf8.count <= 32, Mirror.isName(exemptUser) {
            return ["-m", "owner", "!", "--uid-owner", exemptUser]
        }
        return exemptMark.map { ["-m", "mark", "!", "--mark", String($0)] }
    }
}

extension MirrorPlan {
    private static let chain = "pgweir-redirect", keeper = "pgweir-keep"

    /// Steers connections through a relay.
    ///
    /// When the last rule goes that needs connection tracking, Linux ends the tracking, and every steered connection with
    /// it. So `down` leaves a rule that does nothing but need it; `forgets` takes that, too.
    static func redirect(_ mirror: Mirror, _ redirect: Redirect, forgets: Bool) -> MirrorPlan {
        var (up, status, down): ([MirrorCommand], [MirrorCommand], [MirrorCommand]) = ([], [], [])
        let isFromHost = redirect.origin == .host
        let hook = isFromHost ? "OUTPUT" : "PREROUTING"
        let ports = mirror.ports.map(String.init).joined(separator: ",")
        for program in redirect.includesIPv6 ? ["iptables", "ip6tables"] : ["iptables"] {
            let (nat, filter) = ([program, "-w", "-t", "nat"], [program, "-w"])
            let jump = [hook, "-p", "tcp", "-j", chain]
            let keep = ["INPUT", "-p", "tcp", "-j", keeper]
            up += install(filter, keeper, [["-m", "conntrack", "--ctstate", "ESTABLISHED", "-j", "RETURN"]], keep)
            let exemption = isFromHost ? redirect.exemption ?? [] : []
            let rule =
                [isFromHost ? "-o" : "-i", mirror.interface, "-p", "tcp", "-m", "multiport", "--dports", ports]
                + exemption
                + ["-j", "REDIRECT", "--to-ports", mirror.target]
            up += install(nat, chain, [rule], jump)
            status.append(MirrorCommand(nat + ["-v", "-n", "-L", chain]))
            down += remove(nat, chain, jump)
            if forgets { down += remove(filter, keeper, keep) }
        }
        var advice = [
            "Connections that are open already go straight on; new ones meet the relay, which needs --original-destination.",
            "Without a relay at port \(mirror.target) they are refused: have its supervisor remove the rules when it ends "
                + "(systemd: ExecStopPost=pgweir mirror down --kind redirect …).",
            "'down' leaves the chain \(keeper), without which Linux would cut the steered connections that are still open; "
                + "'down --forget' takes it, too.",
        ]
        if !isFromHost { advice.append("REDIRECT leads to the interface's own address: let the relay listen on all.") }
        if !redirect.includesIPv6 { advice.append("IPv6 goes straight on; --ipv6 steers it, too.") }
        return MirrorPlan(up, status, down, advice)
    }

    private static func install(
        _ table: [String],
        _ chain: String,
        _ rules: [[String]],
        _ jump: [String]
    ) -> [MirrorCommand] {
        [MirrorCommand(table + ["-N", chain], mayFail: true), MirrorCommand(table + ["-F", chain])]
            + rules.map { MirrorCommand(table + ["-A", chain] + $0) }
            // Away with an earlier jump, or there would be two.
            + [MirrorCommand(table + ["-D"] + jump, mayFail: true), MirrorCommand(table + ["-A"] + jump)]
    }

    private static func remove(_ table: [String], _ chain: String, _ jump: [String]) -> [MirrorCommand] {
        [["-D"] + jump, ["-F", chain], ["-X", chain]].map { MirrorCommand(table + $0, mayFail: true) }
    }
}
