// SPDX-License-Identifier: Apache-2.0
import Settings

/// What can be told without a packet: rights, interfaces, forwarding, the clock.
enum HostChecks {
    static func all(interfaces: [String]) -> [Finding] {
        [rights()] + interfaces.map(interface) + [mirrors(), forwarding(), clock()]
    }

    /// capabilities(7): bit 13 of the effective set is CAP_NET_RAW.
    private static func rights() -> Finding {
        let status = (try? TextFile.read("/proc/self/status")) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("CapEff:") }
        let bits = line.flatMap { UInt64($0.split(separator: "\t").last ?? "", radix: 16) } ?? 0
        guard bits & 1 << 13 != 0 else {
            return .error(
                "capture.rights",
                "this process lacks CAP_NET_RAW: it may not capture",
                "run as root, `setcap cap_net_raw=ep pgweir`, or AmbientCapabilities=CAP_NET_RAW in the systemd unit"
            )
        }
        return .fine("capture.rights", "may capture (CAP_NET_RAW)")
    }

    private static func interface(_ name: String) -> Finding {
        if name == "any" || name.hasPrefix("nflog") { return .fine("capture.interface", "\(name) needs no interface") }
        guard let state = read("/sys/class/net/\(name)/operstate") else {
            return .error("capture.interface", "there is no interface \(name)", "`ip link` lists them; 'any' is all")
        }
        guard state == "up" || state == "unknown" else {
            return .warning("capture.interface", "\(name) is \(state)", "`ip link set \(name) up`")
        }
        return .fine("capture.interface", "\(name) is up")
    }

    /// Rules of our own name that `pgweir mirror up` left.
    private static func mirrors() -> Finding {
        var found: [String] = []
        if text(["nft", "list", "tables"]).contains("pgweir") { found.append("nftables") }
        if text(["iptables-save", "-t", "mangle"]).contains("pgweir") { found.append("iptables") }
        if text(["ip6tables-save", "-t", "mangle"]).contains("pgweir") { found.append("ip6tables") }
        guard !found.isEmpty else {
            return .note("host.mirror", "no mirror of ours is installed here; a tap on this host needs none")
        }
        let list = found.joined(separator: ", ")
        return .fine("host.mirror", "a mirror of ours is installed (\(list)): see `pgweir mirror status`")
    }

    private static func text(_ words: [String]) -> String {
        String(decoding: Subprocess.run(words, input: "").output, as: UTF8.self)
    }

    private static func forwarding() -> Finding {
        guard read("/proc/sys/net/ipv4/ip_forward") == "1" else {
            return .fine("host.forwarding", "this host forwards no packets")
        }
        return .note(
            "host.forwarding",
            "this host forwards packets",
            "harmless unless copies are routed here (mirror kinds tee and nft-dup): those it would send back, and they "
                + "go round; then `sysctl net.ipv4.ip_forward=0`"
        )
    }

    private static func clock() -> Finding {
        let answer = Subprocess.run(["timedatectl", "show", "-p", "NTPSynchronized", "--value"], input: "")
        guard answer.status == 0 else {
            return .note("host.clock", "whether the clock is synchronized cannot be told: no timedatectl here")
        }
        guard answer.output.starts(with: "yes".utf8) else {
            return .warning(
                "host.clock",
                "the clock is not synchronized: hourly and daily windows may begin at different times on each node",
                "run chrony or systemd-timesyncd, and look at `timedatectl`"
            )
        }
        return .fine("host.clock", "the clock is synchronized")
    }

    private static func read(_ path: String) -> String? {
        (try? TextFile.read(path))?.split(separator: "\n").first.map(String.init)
    }
}
