// SPDX-License-Identifier: Apache-2.0
import Mirrors
import Testing

struct MirrorTests {
    private static func mirror(_ kind: MirrorKind, _ target: String, device: String? = nil) throws -> Mirror {
        try Mirror(kind: kind, interface: "eth0", ports: [5432, 6432], target: target, device: device)
    }

    @Test(arguments: [
        (MirrorKind.netdevDup, "mirror0"), (.tc, "mirror0"), (.tee, "192.0.2.9"), (.tee, "2001:db8::9"), (.nflog, "5"),
    ])
    func `both directions are copied, and what goes up comes down`(_ kind: MirrorKind, _ target: String) throws {
        let plan = MirrorPlan(try Self.mirror(kind, target))
        let up = plan.up.map { $0.text }.joined(separator: "\n")
        #expect(up.contains("5432") && up.contains("6432"))
        #expect(up.contains("dport") && up.contains("sport"))
        #expect(!plan.status.isEmpty && !plan.down.isEmpty)
        // What is removed is ours by name.
        for command in plan.down { #expect(command.text.contains("pgweir") || command.text.contains("7711")) }
        #expect(plan.down.allSatisfy { $0.mayFail }, "removing what is not there is no failure")
    }

    @Test func `routed copies are bound to the interface, or they would be copied again`() throws {
        for (kind, device) in [(MirrorKind.tee, nil), (.nftDup, "eth1" as String?)] {
            let plan = MirrorPlan(try Self.mirror(kind, "192.0.2.9", device: device))
            let up = plan.up.map { $0.text }.joined(separator: "\n")
            #expect(up.contains("-i eth0") || up.contains("iifname \"eth0\""))
            #expect(up.contains("-o eth0") || up.contains("oifname \"eth0\""))
            #expect(plan.advice.contains { $0.contains("ip_forward") })
        }
    }

    @Test func `an address of one family has rules of that family`() throws {
        let routed = MirrorPlan(try Self.mirror(.tee, "2001:db8::9"))
        #expect(routed.up.allSatisfy { $0.words[0] == "ip6tables" })
        let logged = MirrorPlan(try Self.mirror(.nflog, "5"))
        #expect(logged.up.contains { $0.words[0] == "ip6tables" } && logged.up.contains { $0.words[0] == "iptables" })
    }

    @Test(arguments: ["-j", "eth0 accept", "a\"b", "", "averyveryverylongname", "x;reboot"])
    func `a name that could be read as something else is refused`(_ name: String) {
        #expect(throws: MirrorError.self) {
            try Mirror(kind: .netdevDup, interface: name, ports: [5432], target: "mirror0", device: nil)
        }
        #expect(throws: MirrorError.self) {
            try Mirror(kind: .netdevDup, interface: "eth0", ports: [5432], target: name, device: nil)
        }
        #expect(throws: MirrorError.self) {
            try Mirror(kind: .tee, interface: "eth0", ports: [5432], target: name, device: nil)
        }
    }

    private static func redirect(_ origin: Redirect.Origin, _ user: String?, forgets: Bool = false) throws -> MirrorPlan
    {
        let redirect = Redirect(origin: origin, exemptUser: user, exemptMark: nil, includesIPv6: true)
        let mirror = try Mirror(
            kind: .redirect,
            interface: "eth0",
            ports: [5432],
            target: "6543",
            device: nil,
            redirect: redirect
        )
        return MirrorPlan(mirror, forgets: forgets)
    }

    @Test func `a relay's own connections are never steered back to it`() throws {
        #expect(throws: MirrorError.noExemption) { try Self.redirect(.host, nil) }
        #expect(throws: MirrorError.noExemption) { try Self.redirect(.host, "-j ACCEPT") }
        #expect(throws: MirrorError.noExemption) { try Self.redirect(.host, "sixteen_letters_ -j ACCEPT") }
        let up = try Self.redirect(.host, "pgweir").up.map { $0.text }.joined(separator: "\n")
        #expect(up.contains("! --uid-owner pgweir") && up.contains("OUTPUT") && up.contains("-o eth0"))
        #expect(try Self.redirect(.network, nil).up.contains { $0.text.contains("PREROUTING") })
    }

    @Test func `what keeps steered connections alive stays until it is to be forgotten`() throws {
        let keeps = { (plan: MirrorPlan) in plan.down.contains { $0.text.contains("pgweir-keep") } }
        #expect(try !keeps(Self.redirect(.network, nil)))
        #expect(try keeps(Self.redirect(.network, nil, forgets: true)))
        #expect(try Self.redirect(.network, nil).down.allSatisfy { $0.mayFail && $0.text.contains("pgweir-redirect") })
    }
}
