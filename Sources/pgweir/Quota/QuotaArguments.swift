// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import Glibc
import PgBouncer
import Pipeline
import Quotas
import RedisClient
import RedisStore
import RoleLimit
import SQLiteStore
import Settings

/// Which PgBouncer is told limits: the same for the daemon and for `pgweir agent`.
struct BackendArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The console of a PgBouncer whose users are limited; repeat it for each process of so_reuseport.",
            valueName: "conninfo"
        )
    )
    var pgbouncer: [String] = []
    @Option(
        help: ArgumentHelp(
            "The file that pgbouncer.ini includes in its last line; pgweir writes users' limits there.",
            valueName: "file"
        )
    )
    var limits: String?
    @Option(
        help: ArgumentHelp(
            """
            A file that [pgbouncer] includes in its last line: for server_lifetime while connections are let go. \
            Without it the console's user needs admin_users.
            """,
            valueName: "file"
        )
    )
    var limitsGlobals: String?
    @Option(help: ArgumentHelp("pgbouncer.ini: whose settings are kept, who is never limited.", valueName: "file"))
    var pgbouncerIni: String?
    @Option(
        help: ArgumentHelp(
            "PgBouncer's pidfile, in the order of --pgbouncer: it is told by SIGHUP where the console refuses RELOAD.",
            valueName: "file"
        )
    )
    var pgbouncerPid: [String] = []
    @Flag(help: "Let old connections go by themselves, which may take an hour: no short server_lifetime.")
    var noDrain = false
    @Option(help: ArgumentHelp("A user who is never limited; may be repeated.", valueName: "login"))
    var protect: [String] = []
    @Option(
        help: ArgumentHelp(
            "A server whose roles are limited by ALTER ROLE … CONNECTION LIMIT, for direct connections.",
            valueName: "conninfo"
        )
    )
    var roleLimit: String?
    @Flag(help: "End idle sessions of limited roles at --role-limit.") var trim = false
    @Flag(help: "Set no limit anywhere, and say what would be done.") var dryRun = false

    func validate() throws {
        if !pgbouncer.isEmpty, limits == nil {
            throw ValidationError("--pgbouncer needs --limits: the file it includes.")
        }
        if limits != nil, pgbouncer.isEmpty, !dryRun { throw ValidationError("--limits needs --pgbouncer.") }
        if pgbouncerPid.count > pgbouncer.count {
            throw ValidationError("there are more --pgbouncer-pid than --pgbouncer.")
        }
    }

    /// Why nobody would lift limits at PgBouncer if the daemon died; `nil`: somebody would, or there are none.
    var guardAbsence: String? {
        guard let limits, !pgbouncer.isEmpty else { return nil }
        let globals = limitsGlobals.map { " --limits-globals \($0)" } ?? ""
        return GuardSign.absence(
            beside: limits,
            needed: pgbouncer.count,
            command: "pgweir guard --limits \(limits)\(globals) --pgbouncer-pid PIDFILE"
        )
    }

    private func roleGuardAbsence(_ stateFile: String) -> String? {
        GuardSign.absence(
            beside: stateFile,
            needed: 1,
            command: "pgweir guard --role-limit CONNINFO --role-state \(stateFile)"
        )
    }

    var isEmpty: Bool { pgbouncer.isEmpty && roleLimit == nil && !dryRun }

    /// Makes the backends, on the thread that they live on.
    func make(folder: String?) -> [any EnforcementBackend] {
        let now = Supervisor.time()
        if dryRun { return [DryRun()] }
        var backends: [any EnforcementBackend] = []
        if let limits {
            let instances = pgbouncer.enumerated().map { index, console in
                PgBouncerOptions.Instance(
                    console: console,
                    pidFile: index < pgbouncerPid.count ? pgbouncerPid[index] : nil
                )
            }
            var options = PgBouncerOptions(
                instances: instances,
                limitsFile: limits,
                globalsFile: limitsGlobals,
                operatorFile: pgbouncerIni
            )
            options.drain = noDrain ? .off : .lifetime
            options.protected = Set(protect)
            options.guardAbsence = { guardAbsence }
            backends.append(PgBouncerBackend(options, now: now))
        }
        if let roleLimit {
            var options = RoleLimitOptions(server: roleLimit, stateFile: (folder ?? ".") + "/role-limits")
            (options.trims, options.protected) = (trim, Set(protect))
            options.guardAbsence = { roleGuardAbsence(options.stateFile) }
            let backend = RoleLimitBackend(options)
            if let problem = backend.releaseExpired(now: now) { Log.warning("enforcement.problem", problem) }
            backends.append(backend)
        }
        return backends
    }
}

/// Whether and where quotas are kept.
struct QuotaArguments: ParsableArguments {
    @OptionGroup var backends: BackendArguments
    @Flag(help: "Keep no quotas: usage is reported, and nobody is judged or limited.") var noQuotas = false
    @Flag(
        help: ArgumentHelp(
            "With --redis: book all that is seen, because mirrors do not overlap, or are divided by connection.",
        )
    )
    var noClaims = false
    @Option(help: ArgumentHelp("How long limits outlive a daemon that died, in seconds.", valueName: "seconds"))
    var lease: Int64 = 60
    @Option(
        help: ArgumentHelp(
            "This node's name in the ledger (default: made once, kept with the state).",
            valueName: "name"
        )
    )
    var node: String?

    func validate() throws {
        guard (15...600).contains(lease) else { throw ValidationError("--lease must be from 15 to 600.") }
    }

    /// The service, and what sets limits; `nil` where quotas are off.
    func services(
        _ desk: LiveDesk,
        _ judgement: ReportArguments.Judgement,
        _ keeping: StoreArguments,
        taps: String,
        showsNames: Bool
    ) throws -> (QuotaService, EnforcementService?)? {
        guard !noQuotas else { return nil }
        let folder = keeping.usableFolder
        let secret = judgement.key ?? folder.flatMap { QuotaState.secret(in: $0) } ?? UserHasher.newSecret()
        let hasher = UserHasher(secret: secret, cluster: keeping.cluster)
        let name =
            node ?? folder.flatMap { QuotaState.node(in: $0) } ?? String(UInt64.random(in: .min ... .max), radix: 16)
        let store = try openLedger(keeping, folder, isShared: judgement.key != nil)
        let trail = AuditTrail(folder: folder)
        let service = QuotaService(
            desk,
            store: store,
            node: name + "/" + taps,
            policy: judgement.policy,
            hasher: hasher,
            trail: trail,
            lease: lease,
            claims: store is RedisLedgerStore && !noClaims,
            showsNames: showsNames
        )
        let backends = backends
        let enforcement =
            backends.isEmpty
            ? nil
            : EnforcementService(hasher: hasher, trail: trail, node: name, lease: lease) {
                backends.make(folder: folder)
            }
        if keeping.redis != nil, judgement.key == nil {
            service.note(problem: Self.noKey, of: "key")
            Log.warning("quota.no_key", Self.noKey)
        }
        return (service, enforcement)
    }

    private static let noKey =
        "quotas are kept on this node only: nodes that share --redis need one 'quota.key' in their configuration "
        + "('openssl rand -hex 16')"

    private func openLedger(_ keeping: StoreArguments, _ folder: String?, isShared: Bool) throws -> any LedgerStore {
        if let url = keeping.redis, isShared {
            do {
                let options = try RedisOptions(url: url, password: Output.environment("REDISCLI_AUTH"))
                return try RedisLedgerStore(options, cluster: keeping.cluster)
            } catch {
                throw LedgerError.unavailable(store: "Redis", reason: "\(error)")
            }
        }
        if let folder {
            do throws(LedgerError) {
                return try SQLiteLedgerStore(path: folder + "/ledger.sqlite", report: StateHealth.report)
            } catch {
                StateHealth.note(.unusable("quotas are kept in memory only: \(error)"), folder + "/ledger.sqlite")
            }
        }
        return MemoryLedgerStore { Supervisor.time().nanoseconds / 1_000_000_000 }
    }
}
