// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Daemon

/// `pgweir guard`: lifts limits that nobody renews, with nothing but the file and a signal.
struct GuardCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "guard",
        abstract: "Lift PgBouncer limits whose lease ran out, because the daemon that set them is gone.",
        discussion: """
            For PgBouncer it needs no network, no Redis and no daemon: it reads the file of limits, and writes release lines and sends \
            SIGHUP once the lease in it is over. Run it beside PgBouncer under its user, and with --once before \
            PgBouncer starts (ExecStartPre, an init container): it makes the file where there is none.

            Each time that it has looked it writes a heartbeat beside the file (its name with '.guard'). The daemon sets \
            no limit where that is missing, old, or tells of a problem.

            Exit codes: 0 done, 64 usage, 74 the file cannot be read or written, or PgBouncer not be told.
            """
    )

    @Option(help: ArgumentHelp("The file of limits that pgbouncer.ini includes.", valueName: "file")) var limits:
        String?
    @Option(help: ArgumentHelp("The file that [pgbouncer] includes, if there is one.", valueName: "file"))
    var limitsGlobals: String?
    @Option(help: ArgumentHelp("PgBouncer's pidfile; may be repeated.", valueName: "file")) var pgbouncerPid: [String] =
        []
    @Option(
        help: ArgumentHelp("The server of 'run --role-limit': puts back what its roles had.", valueName: "conninfo")
    )
    var roleLimit: String?
    @Option(
        help: ArgumentHelp("The daemon's file 'role-limits' in its state folder, for --role-limit.", valueName: "file")
    )
    var roleState: String?
    @Option(help: ArgumentHelp("How often to look, in seconds.", valueName: "seconds")) var every = 5
    @Flag(help: "Look once, and end.") var once = false
    @Flag(help: "Lift all limits now, whatever their lease, and end.") var release = false

    func validate() throws {
        guard limits != nil || roleLimit != nil else { throw ValidationError("Name --limits, or --role-limit.") }
        guard (roleLimit == nil) == (roleState == nil) else {
            throw ValidationError("--role-limit and --role-state go together.")
        }
        guard (1...3600).contains(every) else { throw ValidationError("--every must be from 1 to 3600.") }
    }

    func run() throws {
        var lookout = LimitGuard()
        (lookout.limits, lookout.limitsGlobals, lookout.pgbouncerPid) = (limits, limitsGlobals, pgbouncerPid)
        (lookout.roleLimit, lookout.roleState) = (roleLimit, roleState)
        (lookout.every, lookout.once, lookout.release) = (every, once, release)
        try lookout.run()
    }
}
