// SPDX-License-Identifier: Apache-2.0
import Attribution
import Capture
import Control
import Costs
import Domain
import Glibc
import Pipeline
import PostgresWire
import Quotas
import Reports
import Settings
import Systemd

/// Builds the daemon from its configuration, and runs it.
public struct DaemonAssembly {
    let configuration: DaemonConfiguration

    /// Runs the daemon to its end.
    public static func run(_ configuration: DaemonConfiguration) throws {
        Log.configure(configuration.operation.logLevel, configuration.operation.logFormat)
        Scheduling.giveWay()
        let settings = try PolicySettings.load(configuration.policyFile)
        let assembly = DaemonAssembly(configuration: configuration)
        try assembly.tap(configuration.tapOptions(settings), settings)
    }

    private func tap(_ options: LiveTapOptions, _ settings: PolicySettings) throws {
        let judgement = LiveJudgement(policy: settings.policy, prices: settings.prices)
        Interrupt.install()
        let end = configuration.duration.map { ContinuousClock.now + .seconds($0) }
        let isStopped: @Sendable () -> Bool = {
            if Interrupt.isRequested { return true }
            guard let end else { return false }
            return ContinuousClock.now >= end
        }
        let relayed =
            try configuration.proxy.map {
                try ProxyMode($0, workers: configuration.workers, logFormat: configuration.operation.logFormat)
            }
        defer { relayed?.finish() }
        var options = options
        if let relayed { options.ports = relayed.ports }
        let tapped = relayed == nil ? options.interfaces : ["any"]
        let claim = configuration.allowsSecond ? nil : try TapClaim(interfaces: tapped, ports: options.ports)
        defer { _ = claim }
        let desk = LiveDesk(workers: configuration.workers, judgement: judgement)
        let pricing = try configuration.prices.service(
            desk,
            fallback: judgement.prices.fallback,
            consoles: configuration.poolers + configuration.quotas.backends.pgbouncer
        )
        let sources = relayed.map { ["relay \($0.path)"] } ?? options.interfaces
        let taps = (sources + options.ports.map(String.init)).joined(separator: "+")
        let keeping = try configuration.quotas.services(
            desk,
            settings,
            configuration.prices.keeping,
            taps: taps,
            showsNames: configuration.operation.privacy.tellsNames
        )
        let view = view(desk, sources, options, pricing, keeping?.0, settings)
        let web = try WebService(view, configuration.operation)
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
            if let user = configuration.user, let refusal = Privileges.become(user) {
                Log.error("daemon.refused", refusal)
                failure.code = Sysexit.noPermission
                return
            }
            thread = ServiceThread { supervisor.run() }
            relayed?.start()
            if options.resolvesSessions { startResolver(desk) }
            if configuration.verifyInterval > 0 {
                VerificationService.start(configuration.activity, view, every: configuration.verifyInterval)
            }
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
            configuration.reportForm == nil
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
        if let form = configuration.reportForm {
            let bytes = form.render(outcome.result)
            // The supervisor must not put an older one over it.
            supervisor.finish()
            thread?.join()
            thread = nil
            try Output.write(bytes)
            if let file = configuration.reportFile { try keep(bytes, in: file.path) }
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
        _ settings: PolicySettings
    ) -> DaemonView {
        var facts = DaemonFacts(
            process: getpid(),
            interfaces: sources,
            ports: options.ports,
            began: SystemClock.time(),
            workers: configuration.workers
        )
        facts.servers = options.servers.places.map(\.serverText)
        return DaemonView(
            desk: desk,
            facts: facts,
            pricing: pricing,
            quotas: quotas,
            history: HistoryService(
                desk,
                configuration.operation,
                configuration.prices.keeping,
                quotas,
                key: settings.key
            ),
            privacy: configuration.operation.privacy,
            passesOver: configuration.namesPoolers,
            relay: configuration.proxy?.path
        )
    }

    private func supervisor(
        _ view: DaemonView,
        _ hash: KeyedHash,
        _ web: WebService?,
        _ tiers: TierDirectoryService
    ) throws -> Supervisor {
        Interrupt.installReload()
        let (file, form) = (configuration.policyFile, configuration.reportForm)
        return Supervisor(
            view,
            server: try listen(),
            web: web,
            notifier: ServiceNotifier(environment: Output.environment),
            output: configuration.reportFile.flatMap { file in
                form.map { form in Supervisor.Output(path: file.path, seconds: file.every, render: { form.render($0) })
                }
            },
            judgement: {
                let judgement = try PolicySettings.load(file)
                guard judgement.hash == hash else {
                    throw SettingsError(
                        file: file ?? "",
                        message: "'fingerprint.seed' cannot change while the daemon runs; restart it."
                    )
                }
                tiers.follow(judgement.directory, judgement.policy)
                return LiveJudgement(policy: judgement.policy, prices: judgement.prices)
            }
        )
    }

    /// Asks whose sessions are that began before the tap, on a thread that nothing waits for: a server may be slow.
    private func startResolver(_ desk: LiveDesk) {
        let directories =
            configuration.activity.map { SessionDirectory(.server, parameters: $0) }
            + configuration.poolers.map { SessionDirectory(.pooler, parameters: $0) }
        let (isWatched, isLearning) = (!configuration.namesPoolers, configuration.learnsServers)
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
        let socket = configuration.socket
        if socket.asked == "none" { return nil }
        if socket.asked == nil, geteuid() == 0 { unsafe mkdir(SocketPlace.folder, 0o755) }
        do throws(ControlError) {
            return try ControlServer(path: socket.path)
        } catch {
            guard socket.asked == nil else { throw error }
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
