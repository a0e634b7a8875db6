// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
import Attribution
import Capture
import Control
import Costs
import Domain
import Glibc
import Packets
public import Pipeline
import PostgresClient
import PostgresWire
import Quotas
import Reports
import Settings
import Systemd

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
        help: ArgumentHelp("Connections followed at once by each worker, half a KiB each at most.", valueName: "count")
    )
    var connections = 1 << 18
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
        guard (1024...1 << 22).contains(connections) else {
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
        if report != nil, form.format == .ndjson { throw ValidationError("--report needs --format text or json.") }
        if workers > 1, interface.contains(where: { $0.hasPrefix("nflog") }) {
            throw ValidationError("nflog cannot be shared among workers.")
        }
    }

    func run() throws {
        Log.configure(operation.logLevel, operation.logFormat)
        Scheduling.giveWay()
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
        options.limits.flows = connections
        options.limits.idle = Int64(idleTimeout) * 1_000_000_000
        options.limits.blankIdle = Int64(emptyTimeout) * 1_000_000_000
        if mode == .proxy {
            // A relay tells when a connection is over: silence means nothing.
            (options.limits.idle, options.limits.blankIdle) = (.max / 2, .max / 2)
        }
        try explainingErrors {
            let judgement = try form.judgement()
            (options.prices, options.hash) = (judgement.prices, judgement.hash)
            options.resolvesSessions = !activity.isEmpty || !pooler.isEmpty
            // 'pgweir verify' may come with a server of its own.
            options.tellsServers = mode == .mirror
            options.pricing = prices.scheme
            options.isMetered = !quotas.noQuotas
            // A relay's copies are nobody else's: a client may come through several relays, each booked by its own daemon.
            options.isDivided = mode == .mirror && prices.keeping.redis != nil && !quotas.noClaims
            options.keepsActivity = !operation.noHistory
            try tap(options, judgement)
        }
    }

    private func tap(_ options: LiveTapOptions, _ settings: ReportArguments.Judgement) throws {
        let judgement = LiveJudgement(policy: settings.policy, prices: settings.prices)
        Interrupt.install()
        let end = duration.map { ContinuousClock.now + .seconds($0) }
        let isStopped: @Sendable () -> Bool = {
            if Interrupt.isRequested { return true }
            guard let end else { return false }
            return ContinuousClock.now >= end
        }
        let relayed =
            mode == .proxy
            ? try ProxyMode(
                proxy,
                path: proxy.path(beside: socket),
                workers: workers,
                logFormat: operation.logFormat
            ) : nil
        defer { relayed?.finish() }
        var options = options
        if let relayed { options.ports = relayed.ports }
        let tapped = relayed == nil ? interface : ["any"]
        let claim = allowSecond ? nil : try TapClaim(interfaces: tapped, ports: options.ports)
        defer { _ = claim }
        let desk = LiveDesk(workers: workers, judgement: judgement)
        let pricing = try prices.service(
            desk,
            fallback: judgement.prices.fallback,
            consoles: pooler + quotas.backends.pgbouncer
        )
        let sources = relayed.map { ["relay \($0.path)"] } ?? interface
        let taps = (sources + options.ports.map(String.init)).joined(separator: "+")
        let keeping = try quotas.services(
            desk,
            settings,
            prices.keeping,
            taps: taps,
            showsNames: operation.privacy.tellsNames
        )
        let view = view(desk, sources, options, pricing, keeping?.0, settings)
        let web = try WebService(view, operation)
        let tiers = TierDirectoryService(settings.directory, settings.policy)
        let supervisor = try supervisor(view, settings.hash, web, tiers)
        var thread: ServiceThread?
        defer {
            web?.finish()
            view.history?.finish()
            supervisor.finish()
            thread?.join()
            pricing.finish()
            tiers.finish()
            keeping?.0.finish()
        }
        let failure = FailureBox()
        let onReady = {
            if let user, let refusal = Privileges.become(user) {
                Log.error("daemon.refused", refusal)
                failure.code = Sysexit.noPermission
                return
            }
            thread = ServiceThread { supervisor.run() }
            relayed?.start()
            if options.resolvesSessions { startResolver(desk) }
            if verifyInterval > 0 { VerificationService.start(activity, view, every: Double(verifyInterval)) }
            pricing.start()
            view.history?.start()
            if let (service, enforcement) = keeping {
                service.start(enforcement)
                tiers.start(service)
            }
            Log.info(
                "daemon.watching",
                "watching \(sources.joined(separator: ", ")); ^C ends it and prints the report."
            )
        }
        let draining = OneTime()
        let isOver: @Sendable () -> Bool = {
            guard isStopped() || failure.code != nil else { return false }
            // Sessions of a relay that is ours are seen to their end.
            return relayed.map { $0.isDrained(draining.raise()) } ?? true
        }
        let outcome =
            form.format == .ndjson
            ? try Live.run(
                options,
                desk: desk,
                feed: relayed?.feed,
                recorder: failure.recorder(),
                onReady: onReady,
                isStopped: isOver
            )
            : try Live.run(options, desk: desk, feed: relayed?.feed, onReady: onReady, isStopped: isOver)
        if let code = failure.code { throw code }
        if form.format != .ndjson {
            let bytes = form.render(outcome.result)
            // The supervisor must not put an older one over it.
            supervisor.finish()
            thread?.join()
            thread = nil
            try Output.write(bytes)
            if let report { try keep(bytes, in: report) }
        }
        try finish(outcome)
    }

    /// What can be asked of the daemon.
    private func view(
        _ desk: LiveDesk,
        _ sources: [String],
        _ options: LiveTapOptions,
        _ pricing: PricingService,
        _ quotas: QuotaService?,
        _ settings: ReportArguments.Judgement
    ) -> DaemonView {
        var facts = DaemonFacts(
            process: getpid(),
            interfaces: sources,
            ports: options.ports,
            began: Supervisor.time(),
            workers: workers
        )
        facts.servers = options.servers.places.map(\.serverText)
        return DaemonView(
            desk: desk,
            facts: facts,
            pricing: pricing,
            quotas: quotas,
            history: HistoryService(desk, operation, prices.keeping, quotas, key: settings.key),
            privacy: operation.privacy,
            passesOver: !poolerAt.isEmpty,
            relay: mode == .proxy ? proxy.path(beside: socket) : nil
        )
    }

    private func supervisor(
        _ view: DaemonView,
        _ hash: KeyedHash,
        _ web: WebService?,
        _ tiers: TierDirectoryService
    ) throws -> Supervisor {
        Interrupt.installReload()
        let form = form
        return Supervisor(
            view,
            server: try listen(),
            web: web,
            notifier: ServiceNotifier(environment: Output.environment),
            output: report.map { path in
                Supervisor.Output(path: path, seconds: Double(every), render: { form.render($0) })
            },
            judgement: {
                let judgement = try form.judgement()
                guard judgement.hash == hash else {
                    throw SettingsError(
                        file: form.config ?? "",
                        message: "'fingerprint.seed' cannot change while the daemon runs; restart it."
                    )
                }
                tiers.follow(judgement.directory, judgement.policy)
                return LiveJudgement(policy: judgement.policy, prices: judgement.prices)
            }
        )
    }

    /// Whether servers are proven by those that are asked; a relay connects to them itself.
    private var learnsServers: Bool { mode == .mirror && server.isEmpty && !(activity.isEmpty && pooler.isEmpty) }

    /// Asks whose sessions are that began before the tap, on a thread that nothing waits for: a server may be slow.
    private func startResolver(_ desk: LiveDesk) {
        let directories =
            activity.map { SessionDirectory(.server, parameters: $0) }
            + pooler.map { SessionDirectory(.pooler, parameters: $0) }
        let (isWatched, isLearning) = (poolerAt.isEmpty, learnsServers)
        let thread = ServiceThread {
            var watch = isWatched ? PoolerWatch(directories) : nil
            var servers = isLearning ? ServerWatch(directories) : nil
            let resolver = SessionResolver(directories) { Log.warning("attribution.problem", $0) }
            while true {
                if desk.unknownCount > 0 { desk.settle(resolver.resolve(desk.unknownSessions())) }
                watch?.look(at: desk)
                servers?.look(at: desk)
                usleep(UInt32(resolver.pause * 1_000_000))
            }
        }
        if thread == nil {
            Log.warning("daemon.no_thread", "no thread for --activity: old sessions stay unattributed.")
        }
    }

    /// The local socket; where nobody asked for one and none is to be had, the daemon does without.
    private func listen() throws -> ControlServer? {
        if socket.socket == "none" { return nil }
        if socket.socket == nil, geteuid() == 0 { unsafe mkdir(SocketOption.folder, 0o755) }
        do throws(ControlError) {
            return try ControlServer(path: socket.path)
        } catch {
            guard socket.socket == nil else { throw error }
            Log.warning("control.no_socket", "no 'pgweir status': \(error)")
            return nil
        }
    }

    private func keep(_ bytes: [UInt8], in path: String) throws {
        do throws(SettingsError) {
            try TextFile.replace(path, with: bytes)
        } catch {
            Log.error("report.not_written", "the report is not written: \(error.description)")
            throw Sysexit.ioError
        }
    }

    private func finish(_ outcome: LiveOutcome) throws {
        say(outcome.result)
        warn(outcome.result)
        if let failure = outcome.failure { throw failure }
    }

    /// What was drained, and where it is.
    private func say(_ result: ReplayResult) {
        let totals = result.totals
        Log.info(
            "daemon.stopped",
            "stopped: \(result.capture.packets) packets, \(totals.started) statements of \(result.sessions.total) sessions "
                + "are in the report; \(totals.uncertain) statements were still running or in doubt."
        )
    }

    private func warn(_ result: ReplayResult) {
        if result.capture.relayDroppedBytes > 0 {
            Log.warning(
                "relay.dropped",
                "the relay forwarded \(result.capture.relayDroppedBytes) bytes without a copy; see --ring."
            )
        }
        guard result.capture.kernelDropped > 0 else { return }
        Log.warning(
            "capture.dropped",
            "the kernel dropped \(result.capture.kernelDropped) packets; give it a larger --buffer."
        )
    }
}

extension Tunnel: ExpressibleByArgument {}
