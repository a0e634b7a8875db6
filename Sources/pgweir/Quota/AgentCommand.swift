// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import Glibc
import Quotas
import RedisClient
import RedisStore
import Settings
import Synchronization
import Systemd

/// `pgweir agent`: sets the limits that daemons elsewhere decided, at the PgBouncer beside it.
struct AgentCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent",
        abstract: "Beside a PgBouncer on another host: pull the limits that were decided from Redis, and set them.",
        discussion: """
            Listens nowhere. It needs the daemons' 'quota.key', for Redis has hashes of users only, and names those \
            users that PgBouncer itself knows. Limits end by their lease when Redis or the daemons are gone.

            Exit codes: 0 done, 64 usage, 69 Redis options, 78 configuration.
            """
    )

    @Option(
        help: ArgumentHelp(
            "The Redis of the daemons, as with 'pgweir run' (default: 'state.redis' of the configuration).",
            valueName: "URL"
        )
    ) var redis: String?
    @Option(
        help: ArgumentHelp(
            "The cluster's name (default: 'state.cluster' of the configuration, or main).",
            valueName: "name"
        )
    ) var cluster: String?
    @Option(help: ArgumentHelp("The daemons' configuration, with 'quota.key'.", valueName: "file")) var config: String
    @Option(help: ArgumentHelp("The folder for the audit (default: none).", valueName: "folder")) var state: String?
    @Option(help: ArgumentHelp("This agent's name (default: the host's).", valueName: "name")) var node: String?
    @OptionGroup var backends: BackendArguments

    func validate() throws {
        guard !backends.isEmpty else {
            throw ValidationError("Say what to limit: --pgbouncer, --role-limit or --dry-run.")
        }
    }

    func run() throws {
        Interrupt.install()
        try explainingErrors {
            let settings = try ConfigurationFile.load(config)
            guard let key = settings.key else {
                throw SettingsError(
                    file: config,
                    message: "'quota.key_file' or 'quota.key' is missing: it must be the daemons'."
                )
            }
            guard let redis = redis ?? settings.options["state.redis"]?.words.last else {
                throw SettingsError(
                    file: config,
                    message: "'state.redis' is missing, and --redis: limits come from there."
                )
            }
            let cluster = cluster ?? settings.options["state.cluster"]?.words.last ?? "main"
            let store: RedisLedgerStore
            do {
                let options = try RedisOptions(url: redis, password: Output.environment("REDISCLI_AUTH"))
                store = try RedisLedgerStore(options, cluster: cluster)
            } catch {
                throw LedgerError.unavailable(store: "Redis", reason: "\(error)")
            }
            if let state { StoreArguments.makeFolder(state) }
            let name = node ?? Self.host
            let backends = backends
            let service = EnforcementService(
                hasher: UserHasher(secret: key, cluster: cluster),
                trail: AuditTrail(folder: state),
                node: name,
                logsProblems: false
            ) { backends.make(folder: state) }
            let source = StoredLimits(store)
            service.start(source)
            let notifier = ServiceNotifier(environment: Output.environment)
            notifier.ready("setting limits at \(backends.pgbouncer.count) PgBouncers")
            Log.info("agent.started", "setting limits; ^C lifts them and ends.")
            watch(source, service, notifier) { text in
                // Only for people elsewhere: nothing depends on it.
                do throws(LedgerError) { try store.keep(text, in: Self.standings, as: name) } catch {}
            }
            service.finish()
        }
    }

    /// The list in which agents tell how limits stand.
    static let standings = "standings"

    private func watch(
        _ source: StoredLimits,
        _ service: EnforcementService,
        _ notifier: ServiceNotifier,
        tell: (String?) -> Void
    ) {
        var turns = 0
        var complaints: Set<String> = []
        while !Interrupt.isRequested {
            source.refresh()
            let problems = Set(service.summary.problems + (source.problem.map { [$0] } ?? []))
            for problem in problems.subtracting(complaints).sorted() { Log.warning("agent.problem", problem) }
            complaints = problems
            if turns % 4 == 0 { tell(service.export) }
            turns += 1
            notifier.alive()
            usleep(500_000)
        }
        tell(nil)
        notifier.stopping()
    }

    private static var host: String {
        var name = [CChar](repeating: 0, count: 256)
        guard unsafe gethostname(&name, name.count - 1) == 0 else { return "agent" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// Limits as a store has them, read by one thread and used by another.
final class StoredLimits: LimitSource {
    private let store: any LedgerStore
    private let state = Mutex(State())

    private struct State {
        var limits: PublishedLimits?
        var offset: Int64 = 0
        var problem: String?
        var turns = 0
    }

    init(_ store: any LedgerStore) { self.store = store }

    var wanted: (limits: PublishedLimits?, clockOffset: Int64) { state.withLock { ($0.limits, $0.offset) } }
    var problem: String? { state.withLock { $0.problem } }
    func name(of user: UserKey) -> String? { nil }
    func meet(_ known: [UserKey: String]) {}

    /// Reads what is wanted; what cannot be read stays, and ends by its lease.
    func refresh() {
        do throws(LedgerError) {
            let limits = try store.get("limits").flatMap { PublishedLimits(text: $0) }
            let isDue = state.withLock { state in
                // None: a store that lost them, not a decision. What was decided ends by its lease.
                if let limits { state.limits = limits }
                state.problem = nil
                state.turns += 1
                return state.turns % 20 == 1
            }
            if isDue, let time = try store.time() {
                let offset = (time.nanoseconds - Supervisor.time().nanoseconds) / 1_000_000_000
                state.withLock { $0.offset = abs(offset) < 2 ? 0 : offset }
            }
        } catch {
            state.withLock { $0.problem = error.description }
        }
    }
}
