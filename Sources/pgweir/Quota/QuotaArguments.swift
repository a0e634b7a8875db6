// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Daemon

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

    var configuration: BackendConfiguration {
        var configuration = BackendConfiguration()
        (configuration.pgbouncer, configuration.pgbouncerPid) = (pgbouncer, pgbouncerPid)
        (configuration.limits, configuration.limitsGlobals) = (limits, limitsGlobals)
        (configuration.pgbouncerIni, configuration.noDrain, configuration.protect) = (pgbouncerIni, noDrain, protect)
        (configuration.roleLimit, configuration.trim, configuration.dryRun) = (roleLimit, trim, dryRun)
        return configuration
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

    var configuration: QuotaConfiguration {
        var configuration = QuotaConfiguration()
        configuration.backends = backends.configuration
        (configuration.noQuotas, configuration.noClaims) = (noQuotas, noClaims)
        (configuration.lease, configuration.node) = (lease, node)
        return configuration
    }
}
