// SPDX-License-Identifier: Apache-2.0
import Quotas

extension PgBouncerBackend {
    /// How each user of the plan stands, and those who were released.
    func standing(_ plan: Plan) -> [UserEnforcement] {
        var standings = plan.verdicts.map { limit, verdict in
            let observed = connections(of: limit.user)
            switch verdict {
            case .skip(let reason):
                return UserEnforcement(
                    user: limit.user,
                    connections: nil,
                    state: .skipped,
                    observed: observed,
                    reason: reason
                )
            case .wait(let reason):
                let connections = file.entries[limit.user]?.limit?.limit
                return UserEnforcement(
                    user: limit.user,
                    connections: connections,
                    state: .pending,
                    observed: observed,
                    reason: reason
                )
            case .write(let share):
                let (state, reason) = progress(of: limit.user, share, planned: plan.entries[limit.user])
                return UserEnforcement(
                    user: limit.user,
                    connections: share,
                    state: state,
                    observed: observed,
                    reason: reason
                )
            }
        }
        let named = Set(plan.verdicts.map(\.limit.user))
        // Whom the last load did not release though it should have.
        for user in file.limited where plan.entries[user]?.limit == nil && !named.contains(user) {
            let state: EnforcementState = failure == nil ? .pending : .failed
            standings.append(
                UserEnforcement(
                    user: user,
                    connections: file.entries[user]?.limit?.limit,
                    state: state,
                    observed: connections(of: user),
                    reason: "to be released; \(failure ?? delay ?? "not loaded yet")"
                )
            )
        }
        for user in lifted.sorted(by: { $0.precedes($1) }) where !named.contains(user) {
            standings.append(
                UserEnforcement(
                    user: user,
                    connections: nil,
                    state: isLoaded ? .released : .pending,
                    observed: connections(of: user),
                    reason: isLoaded ? "" : "released in the file; PgBouncer has not read it yet"
                )
            )
        }
        if isLoaded { lifted = [] }
        return standings
    }

    /// Whether those that answer, one at least, have the file that is there.
    var isLoaded: Bool {
        let up = instances.filter(\.isUp)
        return !up.isEmpty && up.allSatisfy { $0.acknowledgement == expected }
    }

    /// What clients of a limited user are about to meet, where they wait for long.
    private func queue(of user: String) -> String {
        for instance in instances {
            let wait = instance.users[user]?.longestWait ?? 0
            guard let timeout = Double(instance.config["query_wait_timeout"] ?? ""), timeout > 0,
                Double(wait) >= timeout / 2
            else { continue }
            return "a client has waited \(wait) s for a connection; "
                + "at \(Int(timeout)) s (query_wait_timeout) it gets an error"
        }
        return ""
    }

    /// The user's connections to servers over all instances; `nil` where one does not tell.
    private func connections(of user: String) -> Int? {
        var sum = 0
        for instance in instances {
            guard instance.isUp, let count = instance.users[user]?.connections else { return nil }
            sum &+= count
        }
        return sum
    }

    private func progress(
        of user: String,
        _ share: Int,
        planned: IncludeFile.Entry?
    ) -> (state: EnforcementState, reason: String) {
        if let failure, file.entries[user] != planned { return (.failed, failure) }
        guard file.entries[user] == planned else { return (.pending, delay ?? "") }
        guard isLoaded else {
            return failure.map { (.failed, $0) } ?? (.pending, delay ?? "PgBouncer has not read the file yet")
        }
        let away = instances.filter { !$0.isUp }.count
        if away > 0 { return (.pending, "\(away) of \(instances.count) PgBouncers do not answer") }
        for instance in instances {
            guard let told = instance.users[user]?.limit, told != share else { continue }
            return (.failed, "PgBouncer has a limit of \(told): a line of [users] after our file overrides it")
        }
        guard instances.allSatisfy({ $0.users[user]?.connections != nil }) else { return (.loaded, "") }
        guard hasSurplus(user) else { return (.enforced, queue(of: user)) }
        if isBySession(user) {
            return (.partial, "session pooling: a connection is free only when its client leaves")
        }
        if options.drain == .off { return (.loaded, "draining is off: connections stay until server_lifetime ends") }
        if drain != nil { return (.draining, "") }
        if let problem = drainProblem { return (.partial, problem) }
        if vain[user] != nil { return (.partial, "connections did not become free: long transactions hold them") }
        return (.loaded, "old connections are let go in turn; at most once in \(Int(Self.pause)) s")
    }
}
