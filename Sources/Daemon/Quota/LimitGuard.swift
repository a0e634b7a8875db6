// SPDX-License-Identifier: Apache-2.0
import Domain
import PgBouncer
import Platform
import RoleLimit
import Settings

/// What `pgweir guard` does: it looks at leases again and again, and lifts limits whose lease ran out.
public struct LimitGuard {
    /// The file of limits that pgbouncer.ini includes, and the one that its [pgbouncer] includes.
    public var limits: String?, limitsGlobals: String?
    /// PgBouncer's pidfiles.
    public var pgbouncerPid: [String] = []
    /// The server of 'run --role-limit', and the daemon's file of what its roles had.
    public var roleLimit: String?, roleState: String?
    /// How often to look, in seconds.
    public var every = 5
    /// Look once, and end; lift all limits now, and end.
    public var once = false, release = false

    /// A guard of nothing yet.
    public init() {}

    /// Looks until the program is to end.
    public func run() throws {
        Interrupt.install()
        var watch = limits.map { Guard(file: $0, globals: limitsGlobals, pidFiles: pgbouncerPid) }
        var complaint = ""
        while !Interrupt.isRequested {
            // Each of its own: a server that is away keeps nobody from lifting what PgBouncer has.
            let roleProblem = checkRoles() ?? ""
            var fileProblem = ""
            do throws(PgBouncerError) {
                if let finding = try watch?.check(now: SystemClock.time(), release: release) { tell(finding) }
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
            Interrupt.wait(Double(every))
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
        return release ? backend.releaseAll(now: SystemClock.time()) : backend.releaseExpired(now: SystemClock.time())
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
