// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
import Daemon
public import Mirrors

/// `pgweir mirror`: has the kernel copy PostgreSQL's packets to where they can be watched.
struct MirrorCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mirror",
        abstract: "Plan, install, show or remove a kernel mirror of PostgreSQL's traffic.",
        discussion: """
            Run it on the host whose interface the traffic passes. 'plan' only prints the commands. Only rules of our \
            own name are ever changed or removed, and installing twice is installing once.

            --to: a device for netdev-dup and tc, the monitor's address for tee and nft-dup, a group for nflog,
            the relay's port for redirect, which copies nothing and steers connections through 'pgweir-relay'.
            """,
        subcommands: [Plan.self, Up.self, Down.self, Status.self]
    )

    // All commands say their names: to work one out of a type takes six million instructions of every start.
    struct Plan: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "plan",
            abstract: "Print the commands, and change nothing."
        )
        @OptionGroup var mirror: MirrorArguments

        func run() throws {
            let plan = try mirror.plan()
            var text = "# up\n" + plan.up.map { $0.text + "\n" }.joined()
            text += "\n# status\n" + plan.status.map { $0.text + "\n" }.joined()
            text += "\n# down\n" + plan.down.map { $0.text + "\n" }.joined()
            text += "\n" + plan.advice.map { "# \($0)\n" }.joined()
            try Output.write(Array(text.utf8))
        }
    }

    struct Up: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "up",
            abstract: "Install the mirror, or renew it, and check it."
        )
        @OptionGroup var mirror: MirrorArguments

        func run() throws {
            let plan = try mirror.plan()
            do {
                for command in plan.up + plan.status { _ = try MirrorRunner.run(command) }
            } catch {
                // Half a mirror would show one direction only.
                for command in plan.down { _ = try? MirrorRunner.run(command) }
                throw error
            }
            Output.complain("the mirror is installed.")
            for line in plan.advice { Output.complain(line) }
        }
    }

    struct Down: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "down",
            abstract: "Remove the mirror; nothing else is touched."
        )
        @OptionGroup var mirror: MirrorArguments
        @Flag(help: "redirect: remove what keeps steered connections alive, too; those still open are cut.")
        var forget = false

        func run() throws {
            for command in try mirror.plan(forgets: forget).down { _ = try MirrorRunner.run(command) }
            Output.complain("the mirror is removed.")
        }
    }

    struct Status: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "status",
            abstract: "Show the mirror's rules and counters; ends with 1 if it is not installed."
        )
        @OptionGroup var mirror: MirrorArguments

        func run() throws {
            for command in try mirror.plan().status {
                guard let text = try? MirrorRunner.run(command), !text.isEmpty else {
                    Output.complain("the mirror is not installed.")
                    throw ExitCode(1)
                }
                try Output.write(Array(text.utf8))
            }
        }
    }
}

extension MirrorKind: ExpressibleByArgument {}
extension Redirect.Origin: ExpressibleByArgument {}

/// Which mirror.
struct MirrorArguments: ParsableArguments {
    @Option(help: "How the kernel copies: netdev-dup, tee, nft-dup, tc or nflog; or redirect.") var kind = MirrorKind
        .netdevDup
    @Option(
        name: [.customShort("i"), .long],
        help: ArgumentHelp("The interface that the traffic passes.", valueName: "name")
    )
    var interface: String
    @Option(name: [.short, .long], help: "Server ports, such as 5432,6432 (default: 5432).") var port: [PortList] = []
    @Option(help: ArgumentHelp("Where copies go.", valueName: "device|address|group|port")) var to: String
    @Option(help: ArgumentHelp("For nft-dup: the device that leads to the address.", valueName: "name"))
    var device: String?

    @Option(help: "redirect: connections that come in from the network, or those that this host makes.")
    var from = Redirect.Origin.network
    @Option(help: ArgumentHelp("redirect --from host: the user that the relay runs as.", valueName: "name"))
    var exemptUser: String?
    @Option(help: ArgumentHelp("redirect --from host: the relay's --mark.", valueName: "number")) var exemptMark:
        UInt32?
    @Flag(help: "redirect: IPv6, too; the relay must listen on it.") var ipv6 = false

    func plan(forgets: Bool = false) throws -> MirrorPlan {
        let redirect = Redirect(
            origin: from,
            exemptUser: exemptUser,
            exemptMark: exemptMark,
            includesIPv6: ipv6
        )
        let ports = port.isEmpty ? [5432] : port.flatMap(\.ports)
        do throws(MirrorError) {
            return MirrorPlan(
                try Mirror(
                    kind: kind,
                    interface: interface,
                    ports: ports,
                    target: to,
                    device: device,
                    redirect: redirect
                ),
                forgets: forgets
            )
        } catch {
            throw ValidationError(error.description)
        }
    }
}
