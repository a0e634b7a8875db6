// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
import Daemon
import Domain
import Packets
public import Pipeline

/// `pgweir run`: a live tap, metered as it goes.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Watch the queries on network interfaces as they pass, and report who ran what.",
        usage: """
            pgweir run -i <name> … [<options>]
            pgweir run --mode proxy [--listen <host:port> --upstream <host:port>] [<options>]
            """,
        discussion: """
            Taps the interfaces with the kernel's packet ring: queries are copied, never held up. Runs until \
            interrupted (^C, SIGTERM) or for --duration, then prints the report; with --format ndjson it prints a \
            line for every statement at once. Meanwhile 'pgweir status' and 'pgweir top' show what it sees, and \
            SIGHUP reads the configuration again. Needs root or CAP_NET_RAW.

            With --mode proxy it reads the copies that a relay (pgweir-relay) makes of what it forwards, and needs no \
            right: for places where no mirror can be had. Given --listen and --upstream it starts one if none serves \
            --relay; that one outlives a crash of the daemon, and drains when the daemon is told to end.

            Exit codes: 0 done, 64 usage, 66 no such interface, 69 another process meters the same packets or the \
            socket is not to be had, 71 threads refused, 74 the interface failed, 77 not permitted, 78 configuration.
            """
    )

    @Option(
        name: [.customShort("i"), .long],
        help: ArgumentHelp("An interface, 'any', or 'nflog:N'; may be given several times.", valueName: "name")
    )
    var interface: [String] = []
    @Option(help: "Where traffic is watched: mirror (interfaces) or proxy (a relay).") var mode = RunMode.mirror
    @Option(name: [.short, .long], help: "Server ports, such as 5432,6432 (default: 5432).") var port: [PortList] = []
    @Option(help: ServerPlace.help) var server: [ServerPlace] = []
    @Option(help: PoolerPlace.help) var poolerAt: [PoolerPlace] = []
    @Option(
        name: .short,
        help: ArgumentHelp(
            "Packets to look at, as in pcap-filter(7); without --port PostgreSQL is then recognized on any port.",
            valueName: "expression"
        )
    )
    var filter: String?
    @Option(help: "Look into vxlan, geneve, gre (ERSPAN too) or ipip; may be repeated.") var tunnel: [Tunnel] = []
    @Option(help: TunnelSender.help) var tunnelFrom: [TunnelSender] = []
    @Option(help: ArgumentHelp("The kernel's ring of each tap, in MiB.", valueName: "MiB")) var buffer: Int32 = 64
    @Option(help: ArgumentHelp("The most bytes kept of a packet.", valueName: "bytes")) var snaplen: Int32 = 262_144
    @Option(help: "Threads; the kernel gives each its share of the connections.") var workers = 1
    @Option(
        help: ArgumentHelp(
            "Memory to get along with, from 128 (default: 3/4 of the control group's limit, else 768).",
            valueName: "MiB"
        )
    )
    var memory: Int?
    @Option(
        help: ArgumentHelp(
            "Connections followed at once by each worker (default: what a tenth of the memory has room for).",
            valueName: "count"
        )
    )
    var connections: Int?
    @Option(
        help: ArgumentHelp("Forget connections that were silent for so long; in mirror mode.", valueName: "seconds")
    )
    var idleTimeout = 86_400
    @Option(
        help: ArgumentHelp("The same of those that never carried a session, such as a scan's.", valueName: "seconds")
    )
    var emptyTimeout = 60
    @Option(help: ArgumentHelp("Stop after so many seconds.", valueName: "seconds")) var duration: Int?
    @Option(help: ArgumentHelp("Become this user once the taps are open.", valueName: "name")) var user: String?
    @Option(help: ArgumentHelp("Write the report here too, again and again; not with ndjson.", valueName: "file"))
    var report: String?
    @Option(help: ArgumentHelp("How often --report is written.", valueName: "seconds")) var every = 10
    @Flag(help: "Run even if another process meters the same packets: each bills them for itself.")
    var allowSecond = false
    @Option(
        help: ArgumentHelp(
            "A server whose pg_stat_activity tells whose sessions are that began before the tap; may be repeated.",
            valueName: "conninfo"
        )
    )
    var activity: [String] = []
    @Option(
        help: ArgumentHelp("A PgBouncer whose SHOW CLIENTS tells the same; may be repeated.", valueName: "conninfo")
    )
    var pooler: [String] = []
    @Option(
        help: ArgumentHelp(
            "How often what these servers count (pg_stat_statements) is compared with what is seen; 0: never.",
            valueName: "seconds"
        )
    )
    var verifyInterval: Int64 = 60
    @OptionGroup var proxy: ProxyArguments
    @OptionGroup var prices: ExplainArguments
    @OptionGroup var quotas: QuotaArguments
    @OptionGroup var operation: OperationArguments
    @OptionGroup var socket: SocketOption
    @OptionGroup var form: ReportArguments

    func validate() throws {
        if mode == .proxy {
            guard interface.isEmpty, port.isEmpty, filter == nil, tunnel.isEmpty, tunnelFrom.isEmpty else {
                throw ValidationError(
                    "-i, --port, -f and --tunnel belong to --mode mirror: a relay knows its connections."
                )
            }
            guard proxy.listen.isEmpty || !proxy.upstream.isEmpty || proxy.originalDestination else {
                throw ValidationError("--listen needs --upstream, such as --upstream db:5432.")
            }
        } else {
            guard !proxy.isUsed else { throw ValidationError("--relay, --listen and their like need --mode proxy.") }
            guard !interface.isEmpty else { throw ValidationError("Name an interface, such as -i eth0 or -i any.") }
        }
        let isCovered = interface.contains("any") && interface.contains { $0 != "any" && !$0.hasPrefix("nflog") }
        guard !isCovered, Set(interface).count == interface.count else {
            // All that the second tap gives are copies.
            throw ValidationError("'any' taps all interfaces: name it alone, and each interface once.")
        }
        guard (1...256).contains(workers) else { throw ValidationError("--workers must be from 1 to 256.") }
        guard (1...2047).contains(buffer) else { throw ValidationError("--buffer must be from 1 to 2047.") }
        guard (96...262_144).contains(snaplen) else { throw ValidationError("--snaplen must be from 96 to 262144.") }
        if let duration, duration < 1 { throw ValidationError("--duration must be at least 1.") }
        if workers > 1, form.format == .ndjson {
            throw ValidationError("--format ndjson needs one worker: its lines are in the order of the packets.")
        }
        if filter != nil, !tunnel.isEmpty {
            throw ValidationError("--tunnel makes the filter itself: leave one of -f and --tunnel out.")
        }
        guard tunnel.isEmpty || !tunnelFrom.isEmpty else {
            throw ValidationError(
                "--tunnel needs --tunnel-from <address[/bits]>, who sends the mirror's packets: anybody else who can send one "
                    + "would put sessions of his own making into it."
            )
        }
        guard tunnelFrom.isEmpty || !tunnel.isEmpty || filter != nil else {
            throw ValidationError("--tunnel-from belongs to --tunnel, such as --tunnel vxlan.")
        }
        guard (128...1 << 20).contains(memory ?? 128) else {
            throw ValidationError("--memory must be from 128 to 1048576.")
        }
        guard (1024...1 << 22).contains(connections ?? 1024) else {
            throw ValidationError("--connections must be from 1024 to 4194304.")
        }
        for (name, value) in [("idle", idleTimeout), ("empty", emptyTimeout)] {
            guard (1...31_536_000).contains(value) else {
                throw ValidationError("--\(name)-timeout must be from 1 to 31536000.")
            }
        }
        guard (0...86_400).contains(verifyInterval) else {
            throw ValidationError("--verify-interval must be from 0 to 86400.")
        }
        guard (1...86_400).contains(every) else { throw ValidationError("--every must be from 1 to 86400.") }
        if report != nil, form.format == .ndjson {
            throw ValidationError("--report needs another --format than ndjson.")
        }
        if workers > 1, interface.contains(where: { $0.hasPrefix("nflog") }) {
            throw ValidationError("nflog cannot be shared among workers.")
        }
    }

    func run() throws {
        try explainingErrors { try DaemonAssembly.run(assembled) }
    }

    /// All that was asked for.
    private var assembled: DaemonConfiguration {
        let output: DaemonConfiguration.Output = form.format == .ndjson ? .lines : .report(form.look)
        var daemon = DaemonConfiguration(tap, socket: socket.place, output: output)
        if mode == .proxy { daemon.proxy = proxy.configuration(beside: socket.place) }
        (daemon.workers, daemon.allowsSecond) = (workers, allowSecond)
        (daemon.duration, daemon.user) = (duration, user)
        (daemon.activity, daemon.poolers, daemon.namesPoolers) = (activity, pooler, !poolerAt.isEmpty)
        daemon.verifyInterval = Double(verifyInterval)
        (daemon.prices, daemon.quotas) = (prices.configuration, quotas.configuration)
        (daemon.operation, daemon.policyFile) = (operation.configuration, form.config)
        daemon.reportFile = report.map { DaemonConfiguration.ReportFile(path: $0, every: Double(every)) }
        return daemon
    }

    private var tap: LiveTapOptions {
        var options = LiveTapOptions(interfaces: interface)
        if !port.isEmpty {
            options.ports = port.flatMap(\.ports)
        } else if filter != nil {
            // Whoever selects packets by hand knows best: PostgreSQL is recognized on any port.
            options.ports = []
        }
        options.servers = NamedServers(server.map(\.endpoint))
        options.ports = options.servers.ports(besides: options.ports, isStandard: port.isEmpty)
        options.filter = filter
        options.poolers = PoolerAddresses(poolerAt.map(\.endpoint))
        options.tunnels = tunnel
        options.tunnelSenders = AddressRanges(tunnelFrom.map(\.range))
        options.buffer = buffer << 20
        options.snapLength = snaplen
        options.memory = memory.map { MemoryBudget(bytes: $0 << 20) } ?? .ofThisProcess
        options.limits = options.memory.reassembly(workers: workers, connections: connections)
        options.limits.idle = Int64(idleTimeout) * 1_000_000_000
        options.limits.blankIdle = Int64(emptyTimeout) * 1_000_000_000
        return options
    }
}

extension Tunnel: ExpressibleByArgument {}
