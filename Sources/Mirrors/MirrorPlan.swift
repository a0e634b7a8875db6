// SPDX-License-Identifier: Apache-2.0

/// One command of a plan.
public struct MirrorCommand: Sendable, Equatable {
    /// The program and its arguments.
    public var words: [String]
    /// What it reads from standard input.
    public var input: String?
    /// Whether the plan goes on if it fails, such as when there is nothing to remove.
    public var mayFail: Bool

    /// A command that must succeed.
    public init(_ words: [String], input: String? = nil, mayFail: Bool = false) {
        (self.words, self.input, self.mayFail) = (words, input, mayFail)
    }

    /// As a person would type it.
    public var text: String {
        let line = words.map { $0.contains(where: { " '\"|;&".contains($0) }) ? "'\($0)'" : $0 }.joined(separator: " ")
        guard let input else { return line + (mayFail ? " 2>/dev/null || true" : "") }
        return "\(line) <<'END'\n\(input)END" + (mayFail ? " || true" : "")
    }
}

/// The commands that install, show and remove a mirror.
///
/// Everything is in tables, chains and priorities of our own name, so that only our rules are ever touched, and
/// installing twice is installing once.
public struct MirrorPlan: Sendable, Equatable {
    /// The name that marks what is ours.
    static let name = "pgweir"
    /// The priority of our traffic control filters.
    static let preference = "7711"

    /// Installs.
    public let up: [MirrorCommand]
    /// Shows what is installed, with counters; fails when it is not there.
    public let status: [MirrorCommand]
    /// Removes.
    public let down: [MirrorCommand]
    /// What else a person must see to, on the monitor's side.
    public let advice: [String]

    /// The plan of a mirror.
    ///
    /// - Parameter forgets: whether `down` takes what keeps open connections alive, too.
    public init(_ mirror: Mirror, forgets: Bool = false) {
        switch mirror.kind {
        case .redirect: self = Self.redirect(mirror, mirror.redirect, forgets: forgets)
        case .netdevDup: self = Self.netdev(mirror)
        case .nftDup: self = Self.nft(mirror)
        case .tee, .nflog: self = Self.iptables(mirror)
        case .tc: self = Self.trafficControl(mirror)
        }
    }

    init(_ up: [MirrorCommand], _ status: [MirrorCommand], _ down: [MirrorCommand], _ advice: [String]) {
        (self.up, self.status, self.down, self.advice) = (up, status, down, advice)
    }

    private static func set(_ ports: [UInt16]) -> String {
        "{ " + ports.map(String.init).joined(separator: ", ") + " }"
    }

    private static func table(_ family: String, _ body: String) -> MirrorPlan {
        let own = ["table", family, name]
        // Replaced as a whole: there is no moment without it and none with two.
        let text = "add table \(family) \(name)\ndelete table \(family) \(name)\ntable \(family) \(name) {\n\(body)}\n"
        return MirrorPlan(
            [MirrorCommand(["nft", "-f", "-"], input: text)],
            [MirrorCommand(["nft", "list"] + own)],
            [MirrorCommand(["nft", "delete"] + own, mayFail: true)],
            []
        )
    }

    private static func netdev(_ mirror: Mirror) -> MirrorPlan {
        let (device, ports) = (mirror.interface, set(mirror.ports))
        let plan = table(
            "netdev",
            """
             chain in {
              type filter hook ingress device "\(device)" priority 0; policy accept;
              tcp dport \(ports) counter dup to "\(mirror.target)"
             }
             chain out {
              type filter hook egress device "\(device)" priority 0; policy accept;
              tcp sport \(ports) counter dup to "\(mirror.target)"
             }

            """
        )
        return MirrorPlan(
            plan.up,
            plan.status,
            plan.down,
            [
                "Copies keep their MAC addresses: the monitor's own network stack ignores them, a tap sees them."
            ]
        )
    }

    private static func nft(_ mirror: Mirror) -> MirrorPlan {
        let action = "counter dup to \(mirror.target) device \"\(mirror.device ?? "")\""
        let plan = table(
            mirror.isIPv6 ? "ip6" : "ip",
            """
             chain in {
              type filter hook prerouting priority -150; policy accept;
              iifname "\(mirror.interface)" tcp dport \(set(mirror.ports)) \(action)
             }
             chain out {
              type filter hook postrouting priority -150; policy accept;
              oifname "\(mirror.interface)" tcp sport \(set(mirror.ports)) \(action)
             }

            """
        )
        return MirrorPlan(plan.up, plan.status, plan.down, routedAdvice(mirror))
    }

    private static func iptables(_ mirror: Mirror) -> MirrorPlan {
        var (up, status, down): ([MirrorCommand], [MirrorCommand], [MirrorCommand]) = ([], [], [])
        // The log takes both families; an address has one.
        let programs = mirror.kind == .nflog ? ["iptables", "ip6tables"] : [mirror.isIPv6 ? "ip6tables" : "iptables"]
        let action =
            mirror.kind == .tee
            ? ["-j", "TEE", "--gateway", mirror.target]
            : ["-j", "NFLOG", "--nflog-group", mirror.target, "--nflog-threshold", "20"]
        let ports = mirror.ports.map(String.init).joined(separator: ",")
        for program in programs {
            let mangle = [program, "-w", "-t", "mangle"]
            for (hook, side, direction, field) in [
                ("PREROUTING", "-i", "in", "--dports"), ("POSTROUTING", "-o", "out", "--sports"),
            ] {
                let chain = "\(name)-\(mirror.kind.rawValue)-\(direction)"
                let jump = [hook, "-p", "tcp", "-j", chain]
                let rule = [chain, side, mirror.interface, "-p", "tcp", "-m", "multiport", field, ports]
                up += [
                    MirrorCommand(mangle + ["-N", chain], mayFail: true),
                    MirrorCommand(mangle + ["-F", chain]),
                    MirrorCommand(mangle + ["-A"] + rule + action),
                    // Away with an earlier jump, or there would be two.
                    MirrorCommand(mangle + ["-D"] + jump, mayFail: true),
                    MirrorCommand(mangle + ["-A"] + jump),
                ]
                status.append(MirrorCommand(mangle + ["-v", "-n", "-L", chain]))
                down += [
                    MirrorCommand(mangle + ["-D"] + jump, mayFail: true),
                    MirrorCommand(mangle + ["-F", chain], mayFail: true),
                    MirrorCommand(mangle + ["-X", chain], mayFail: true),
                ]
            }
        }
        let advice =
            mirror.kind == .tee
            ? routedAdvice(mirror)
            : ["Read it on this host: pgweir run -i nflog:\(mirror.target) (needs CAP_NET_ADMIN)."]
        return MirrorPlan(up, status, down, advice)
    }

    private static func trafficControl(_ mirror: Mirror) -> MirrorPlan {
        let device = ["dev", mirror.interface]
        var up = [MirrorCommand(["tc", "qdisc", "add"] + device + ["clsact"], mayFail: true)]
        var (status, down): ([MirrorCommand], [MirrorCommand]) = ([], [])
        for (hook, field) in [("ingress", "dport"), ("egress", "sport")] {
            let own = device + [hook, "pref", preference]
            let remove = MirrorCommand(["tc", "filter", "del"] + own, mayFail: true)
            up.append(remove)
            for port in mirror.ports {
                let match = ["match", "ip", "protocol", "6", "0xff", "match", "ip", field, String(port), "0xffff"]
                let action = ["action", "mirred", "egress", "mirror", "dev", mirror.target]
                up.append(MirrorCommand(["tc", "filter", "add"] + own + ["protocol", "ip", "u32"] + match + action))
            }
            status.append(MirrorCommand(["tc", "-s", "filter", "show"] + own))
            down.append(remove)
        }
        return MirrorPlan(
            up,
            status,
            down,
            [
                "Matches IPv4 without options only; netdev-dup takes IPv6 too. The clsact qdisc stays when the mirror goes."
            ]
        )
    }

    private static func routedAdvice(_ mirror: Mirror) -> [String] {
        let ports = mirror.ports.map(String.init).joined(separator: ",")
        return [
            "On the monitor, or copies come back and go round until their TTL ends: sysctl -w net.ipv4.ip_forward=0",
            "On the monitor, so that it never answers a copy (a tap still sees them): iptables -t raw -I PREROUTING "
                + "-p tcp -m multiport --ports \(ports) -j DROP",
        ]
    }
}
