// SPDX-License-Identifier: Apache-2.0
import Domain
import PgBouncer
import Platform
import Quotas
import RoleLimit

/// Which PgBouncer is told limits: the same for the daemon and for `pgweir agent`.
public struct BackendConfiguration: Sendable {
    /// Consoles of the PgBouncers whose users are limited.
    public var pgbouncer: [String] = []
    /// The file of limits that pgbouncer.ini includes, and the one that its [pgbouncer] includes.
    public var limits: String?, limitsGlobals: String?
    /// pgbouncer.ini: whose settings are kept.
    public var pgbouncerIni: String?
    /// Pidfiles, in the order of the consoles.
    public var pgbouncerPid: [String] = []
    /// Let old connections go by themselves.
    public var noDrain = false
    /// Users who are never limited.
    public var protect: [String] = []
    /// A server whose roles are limited, and whether their idle sessions are ended.
    public var roleLimit: String?, trim = false
    /// Set no limit anywhere, and say what would be done.
    public var dryRun = false

    /// Nothing is limited.
    public init() {}

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

    /// Whether nothing is limited.
    public var isEmpty: Bool { pgbouncer.isEmpty && roleLimit == nil && !dryRun }

    /// Makes the backends, on the thread that they live on.
    func make(folder: String?) -> [any EnforcementBackend] {
        let now = SystemClock.time()
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
            options.protected = Set(protect.map(\.asAccountName))
            options.guardAbsence = { guardAbsence }
            backends.append(PgBouncerBackend(options, now: now))
        }
        if let roleLimit {
            var options = RoleLimitOptions(server: roleLimit, stateFile: (folder ?? ".") + "/role-limits")
            (options.trims, options.protected) = (trim, Set(protect.map(\.asAccountName)))
            options.guardAbsence = { roleGuardAbsence(options.stateFile) }
            let backend = RoleLimitBackend(options)
            if let problem = backend.releaseExpired(now: now) { Log.warning("enforcement.problem", problem) }
            backends.append(backend)
        }
        return backends
    }
}
