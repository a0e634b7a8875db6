// SPDX-License-Identifier: Apache-2.0
import Capture
import Control
import Costs
import Domain
import Glibc
import Pipeline
import Platform
import Quotas
import Reports
import ServiceLifecycle
import Settings
import Systemd

/// Builds the daemon's services from its configuration, and runs them around the packet threads.
public struct DaemonAssembly {
    private let configuration: DaemonConfiguration
    private let options: LiveTapOptions
    /// What is watched, for people.
    private let sources: [String]
    private let pool: WorkerPool
    private let relay: ProxyMode?
    private let web: WebService?
    private let report: FinalReport
    private let capture: CaptureService
    private let services: [any Service]

    /// Runs the daemon to its end.
    ///
    /// - Throws: what kept it from beginning, or ended it before it was told to, in an error of its own; an ``ExitStatus`` where
    ///   that was said already.
    public static func run(_ configuration: DaemonConfiguration) throws {
        Log.configure(configuration.operation.logLevel, configuration.operation.logFormat)
        Scheduling.giveWay()
        let settings = try PolicySettings.load(configuration.policyFile)
        Interrupt.install()
        let relay = try configuration.proxy.map {
            try ProxyMode($0, workers: configuration.workers, logFormat: configuration.operation.logFormat)
        }
        defer { relay?.finish() }
        var options = configuration.tapOptions(settings)
        if let relay { options.ports = relay.ports }
        let tapped = relay == nil ? options.interfaces : ["any"]
        let claim = configuration.allowsSecond ? nil : try TapClaim(interfaces: tapped, ports: options.ports)
        defer { _ = claim }
        try DaemonAssembly(configuration, settings, options, relay).run()
    }

    /// Makes the services; the pages are served from now on, all else begins with ``run()``.
    private init(
        _ configuration: DaemonConfiguration,
        _ settings: PolicySettings,
        _ options: LiveTapOptions,
        _ relay: ProxyMode?
    ) throws {
        (self.configuration, self.options, self.relay) = (configuration, options, relay)
        let sources = relay.map { ["relay \($0.path)"] } ?? options.interfaces
        let policy = PolicySnapshot(policy: settings.policy, prices: settings.prices)
        let pool = WorkerPool(workers: configuration.workers, policy: policy)
        (self.sources, self.pool) = (sources, pool)
        let pricing = try configuration.prices.service(
            pool,
            fallback: policy.prices.fallback,
            memory: options.memory,
            consoles: configuration.poolers + configuration.quotas.backends.pgbouncer
        )
        let keeping = try configuration.quotas.services(
            pool,
            settings,
            configuration.prices.keeping,
            taps: (sources + options.ports.map(String.init)).joined(separator: "+"),
            showsNames: configuration.operation.privacy.tellsNames
        )
        let view = Self.view(configuration, settings, options, sources, pool, pricing, keeping?.0)
        web = try WebService(view, configuration.operation)
        let tiers = TierDirectoryService(settings.directory, settings.policy, for: keeping?.0)
        let notifier = ServiceNotifier(environment: Output.environment)
        let supervisor = try Self.supervisor(configuration, view, settings.hash, web, tiers, notifier)
        capture = CaptureService(duration: configuration.duration) { relay?.isDrained($0) ?? true }
        report = FinalReport(capture, form: configuration.reportForm, file: configuration.reportFile?.path)
        // They end from the last to the first: first what gives, then what takes from it. The report comes when nothing writes
        // an older one over it any more, limits are lifted before usage is stored, and signals are heard to the end.
        var services: [any Service] = [SignalService { supervisor.wake() }]
        if let relay { services.append(relay) }
        if let (quotas, enforcement) = keeping {
            services.append(quotas)
            if let enforcement { services.append(enforcement) }
            services.append(tiers)
        }
        services.append(pricing)
        if options.resolvesSessions { services.append(Self.attribution(configuration, pool)) }
        if configuration.verifyInterval > 0, !configuration.activity.isEmpty {
            services.append(
                VerificationService(configuration.activity, view, every: configuration.verifyInterval)
            )
        }
        if let history = view.history { services.append(history) }
        if let web { services.append(web) }
        services += [report, supervisor]
        // Signs of life until the workers have ended, whatever holds up the supervisor.
        if let watchdog = Watchdog(pool, notifier) { services.append(watchdog) }
        self.services = services + [capture]
    }

    /// Looks at packets, on this thread and others, with services around them; returns when all have ended.
    private func run() throws {
        let group = ServiceRun(services)
        var hasBegun = false
        let onReady = {
            if let user = configuration.user, let refusal = Privileges.become(user) {
                Log.error("daemon.refused", refusal)
                capture.failure.code = Sysexit.noPermission
                return
            }
            group.start()
            hasBegun = true
            Log.info(
                "daemon.watching",
                "watching \(sources.joined(separator: ", ")); ^C ends it and prints the report."
            )
        }
        var refusal: CaptureError?
        var outcome: LiveOutcome?
        do throws(CaptureError) {
            outcome = try watch(onReady)
        } catch {
            refusal = error
        }
        capture.finish(outcome)
        if hasBegun { try group.wait() } else { web?.finish() }
        if let refusal { throw refusal }
        if let code = capture.failure.code ?? report.failure { throw code }
        if let failure = outcome?.failure { throw failure }
    }

    private func watch(_ onReady: () -> Void) throws(CaptureError) -> LiveOutcome {
        let isStopped: @Sendable () -> Bool = { [capture] in capture.isStopped }
        guard configuration.reportForm == nil else {
            return try Live.run(options, pool: pool, feed: relay?.feed, onReady: onReady, isStopped: isStopped)
        }
        let recorder = capture.failure.recorder()
        return try Live.run(
            options,
            pool: pool,
            feed: relay?.feed,
            recorder: recorder,
            onReady: onReady,
            isStopped: isStopped
        )
    }

    // MARK: Parts

    /// What can be asked of the daemon.
    private static func view(
        _ configuration: DaemonConfiguration,
        _ settings: PolicySettings,
        _ options: LiveTapOptions,
        _ sources: [String],
        _ pool: WorkerPool,
        _ pricing: PricingService,
        _ quotas: QuotaService?
    ) -> DaemonView {
        var facts = DaemonFacts(
            process: getpid(),
            interfaces: sources,
            ports: options.ports,
            began: SystemClock.time(),
            workers: configuration.workers
        )
        facts.memoryBudget = options.memory.bytes
        facts.servers = options.servers.places.map(\.serverText)
        return DaemonView(
            pool: pool,
            facts: facts,
            pricing: pricing,
            quotas: quotas,
            history: HistoryService(
                pool,
                configuration.operation,
                configuration.prices.keeping,
                quotas,
                key: settings.key
            ),
            privacy: configuration.operation.privacy,
            ignoresServerSide: configuration.namesPoolers,
            relay: configuration.proxy?.path
        )
    }

    private static func attribution(_ configuration: DaemonConfiguration, _ pool: WorkerPool) -> AttributionService {
        AttributionService(
            pool,
            activity: configuration.activity,
            poolers: configuration.poolers,
            watchesSides: !configuration.namesPoolers,
            learnsServers: configuration.learnsServers
        )
    }

    private static func supervisor(
        _ configuration: DaemonConfiguration,
        _ view: DaemonView,
        _ hash: KeyedHash,
        _ web: WebService?,
        _ tiers: TierDirectoryService,
        _ notifier: ServiceNotifier
    ) throws -> Supervisor {
        Interrupt.installReload()
        let (file, form) = (configuration.policyFile, configuration.reportForm)
        return Supervisor(
            view,
            server: try listen(configuration.socket),
            web: web,
            notifier: notifier,
            output: configuration.reportFile.flatMap { file in
                form.map { form in
                    Supervisor.Output(path: file.path, seconds: file.every, render: { form.render($0) })
                }
            },
            policy: {
                let settings = try PolicySettings.load(file)
                guard settings.hash == hash else {
                    throw SettingsError(
                        file: file ?? "",
                        message: "'fingerprint.seed' cannot change while the daemon runs; restart it."
                    )
                }
                tiers.follow(settings.directory, settings.policy)
                return PolicySnapshot(policy: settings.policy, prices: settings.prices)
            }
        )
    }

    /// The local socket; where nobody asked for one and none is to be had, the daemon does without.
    private static func listen(_ socket: SocketPlace) throws -> ControlServer? {
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
}
