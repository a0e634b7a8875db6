// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc
import Quotas
import RedisClient
import RedisStore
import Settings
import Systemd

/// What `pgweir agent` does: it sets the limits that daemons elsewhere decided, at the PgBouncer beside it.
public struct LimitAgent: Sendable {
    /// The daemons' configuration, with 'quota.key'.
    public var config: String
    /// The Redis of the daemons, and the cluster's name; `nil`: as the configuration says.
    public var redis: String?, cluster: String?
    /// The folder for the audit.
    public var state: String?
    /// This agent's name; `nil`: the host's.
    public var node: String?
    /// Where limits are set.
    public var backends: BackendConfiguration

    /// An agent of the daemons whose configuration this is.
    public init(config: String, backends: BackendConfiguration) {
        (self.config, self.backends) = (config, backends)
    }

    /// Sets limits until the program is to end, and lifts them then.
    public func run() throws {
        Interrupt.install()
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
        if let state { StoreConfiguration.makeFolder(state) }
        let name = node ?? Self.host
        let backends = backends
        let source = StoredLimits(store)
        let service = EnforcementService(
            source,
            hasher: UserHasher(secret: key, cluster: cluster),
            trail: AuditTrail(folder: state),
            node: name,
            logsProblems: false
        ) { backends.make(folder: state) }
        let notifier = ServiceNotifier(environment: Output.environment)
        notifier.ready("setting limits at \(backends.pgbouncer.count) PgBouncers")
        Log.info("agent.started", "setting limits; ^C lifts them and ends.")
        let watch = AgentWatch(source, service, notifier) { text in
            // Only for people elsewhere: nothing depends on it.
            do throws(LedgerError) { try store.keep(text, in: Self.standings, as: name) } catch {}
        }
        let services = ServiceRun([SignalService(), service, watch])
        services.start()
        try services.wait()
    }

    /// The list in which agents tell how limits stand.
    static let standings = "standings"

    private static var host: String {
        var name = [CChar](repeating: 0, count: 256)
        guard unsafe gethostname(&name, name.count - 1) == 0 else { return "agent" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
