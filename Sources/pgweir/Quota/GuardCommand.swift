// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import Glibc
import PgBouncer
import RoleLimit
import Settings

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
        Interrupt.install()
        var watch = limits.map { Guard(file: $0, globals: limitsGlobals, pidFiles: pgbouncerPid) }
        var complaint = ""
        while !Interrupt.isRequested {
            // Each of its own: a server that is away keeps nobody from lifting what PgBouncer has.
            let roleProblem = checkRoles() ?? ""
            var fileProblem = ""
            do throws(PgBouncerError) {
                if let finding = try watch?.check(now: Supervisor.time(), release: release) { tell(finding) }
            } catch {
                fileProblem = error.description
            }
            let problem = [fileProblem, roleProblem].filter { !$0.isEmpty }.joined(separator: "; ")
            if !problem.isEmpty, problem != complaint { Log.warning("guard.problem", problem) }
            complaint = problem
            if once || release {
                if problem.isEmpty { return }
                throw Sysexit.ioError
            }
            beat(watch, fileProblem, roleProblem)
            for _ in 0..<every * 10 where !Interrupt.isRequested { usleep(100_000) }
        }
        if let limits { GuardSign.remove(beside: limits) }
        if let roleState { GuardSign.remove(beside: roleState) }
    }

    /// Says that somebody is there who would lift limits, or why not.
    private func beat(_ watch: Guard?, _ fileProblem: String, _ roleProblem: String) {
        do throws(SettingsError) {
            if let limits, let watch {
                let reach = watch.reach()
                try GuardSign.write(
                    beside: limits,
                    every: every,
                    reachable: reach.count,
                    problem: fileProblem.isEmpty ? reach.problem ?? "" : fileProblem
                )
            }
            if let roleState {
                try GuardSign.write(beside: roleState, every: every, reachable: 1, problem: roleProblem)
            }
        } catch {
            // Without it the daemon sets no limit, and says that no guard is there.
            Log.warning("guard.heartbeat", "nobody sees that the guard is there: \(error)")
        }
    }

    /// Puts back what roles had, once the lease on their limits is over; returns what went wrong.
    private func checkRoles() -> String? {
        guard let roleLimit, let roleState else { return nil }
        // Anew each time: the daemon writes the file while it lives.
        let backend = RoleLimitBackend(RoleLimitOptions(server: roleLimit, stateFile: roleState))
        return release ? backend.releaseAll(now: Supervisor.time()) : backend.releaseExpired(now: Supervisor.time())
    }

    private func tell(_ finding: Guard.Finding) {
        switch finding {
        case .fresh(let until):
            if once { Output.complain("limits hold until \(until.rfc3339).") }
        case .released(let users): Output.complain("released \(users.count) user\(users.count == 1 ? "" : "s").")
        case .created: Output.complain("\(limits ?? "") was missing; there is an empty one now.")
        case .empty: if once || release { Output.complain("nobody is limited.") }
        case .damaged(let users):
            Output.complain(
                "\(limits ?? "") was damaged; it releases the \(users.count) users that were left in it now."
            )
        }
    }
}
