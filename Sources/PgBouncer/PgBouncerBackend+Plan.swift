// SPDX-License-Identifier: Apache-2.0
import Quotas

/// What is to become of the wants: the file's entries, and why some of them are not among these.
struct Plan {
    enum Verdict {
        /// To be written; the number of connections per instance.
        case write(Int)
        case wait(String)
        case skip(String)
    }

    var entries: [String: IncludeFile.Entry] = [:]
    var verdicts: [(limit: UserLimit, verdict: Verdict)] = []
}

extension PgBouncerBackend {
    /// The oldest version that reads the file; `nil` while one of them is not known.
    private var version: PgBouncerVersion? {
        let versions = instances.compactMap(\.version)
        return versions.count == instances.count ? versions.min() : nil
    }

    /// Names that may be written: never one that was only observed.
    var known: Set<String> {
        var known = instances.reduce(into: Set<String>()) { $0.formUnion($1.users.keys) }
        for file in operatorFiles.values { known.formUnion(file.users.keys) }
        for instance in instances where instance.version?.breaksQueriedUsers ?? false {
            known.formIntersection(instance.users.keys)
        }
        return known
    }

    /// Users on whom PgBouncer depends, or who stand for many.
    private var untouchable: [String: String] {
        var users: [String: String] = [:]
        for user in options.protected { users[user] = "protected by our configuration" }
        for file in operatorFiles.values {
            for user in file.forced { users[user] = "stands for all clients of a database" }
            for user in file.privileged { users[user] = "one of PgBouncer's admin, stats or auth users" }
        }
        for instance in instances {
            for user in instance.forced { users[user] = "stands for all clients of a database" }
            for key in ["admin_users", "stats_users", "auth_user"] {
                for user in OperatorFile.names(instance.config[key] ?? "") { users[user] = "one of PgBouncer's \(key)" }
            }
        }
        users["pgbouncer"] = "the console's own user"
        return users
    }

    /// The entries as they are, for wants that are not to be carried out.
    func keep() -> Plan {
        var plan = Plan(entries: file.entries)
        for user in file.limited {
            guard let limit = file.entries[user]?.limit?.limit else { continue }
            plan.verdicts.append((UserLimit(user: user, connections: limit), .write(limit)))
        }
        return plan
    }

    /// All entries, released.
    func releases() -> [String: IncludeFile.Entry] {
        let (known, version) = (known, version)
        return file.entries.filter { user, _ in isWritable(user, known, version) || !instances.contains { $0.isUp } }
            .mapValues { IncludeFile.Entry(limit: nil, release: $0.release) }
    }

    /// A name that is in the file already is one that PgBouncer lists, if it read it.
    private func isWritable(_ user: String, _ known: Set<String>, _ version: PgBouncerVersion?) -> Bool {
        guard let index = known.firstIndex(of: user), known[index].isSameBytes(as: user) else { return false }
        return UserName.refusal(user, version: version) == nil
    }

    /// What is to be written for these limits.
    func plan(_ limits: [UserLimit]) -> Plan {
        var plan = Plan(entries: releases())
        let (known, untouchable, version) = (known, untouchable, version)
        let refusal = instances.lazy.compactMap { $0.version?.refusal }.first
        let isAway = !instances.contains { $0.isUp }
        var (seen, fresh): (Set<String>, Int) = ([], 0)
        for limit in limits where seen.insert(limit.user).inserted {
            let user = limit.user
            let verdict: Plan.Verdict
            if isAway {
                // What stands stays; nothing new is written that nobody could check.
                if let entry = file.entries[user], entry.limit != nil { plan.entries[user] = entry }
                verdict = .wait("PgBouncer does not answer")
            } else if let refusal {
                verdict = .skip(refusal)
            } else if let guardAbsence {
                if !isUnguarded, let entry = file.entries[user], let limit = entry.limit?.limit {
                    // Not lower than it is, either.
                    plan.entries[user] = entry
                    verdict = .write(limit)
                } else {
                    verdict = .skip(guardAbsence)
                }
            } else if let operatorProblem {
                if let entry = file.entries[user], entry.limit != nil {
                    plan.entries[user] = entry
                    verdict = .wait(operatorProblem)
                } else {
                    verdict = .skip(operatorProblem)
                }
            } else if let reason = untouchable[user] {
                verdict = .skip(reason)
            } else if let reason = UserName.refusal(user, version: version) {
                verdict = .skip(reason)
            } else if !isWritable(user, known, version) {
                verdict = .skip(unknownReason)
            } else if let baseline = baseline(of: user) {
                let isNew = file.entries[user] == nil
                if isNew { fresh += 1 }
                if isNew, fresh > options.batch {
                    verdict = .wait("\(options.batch) new users a load; this one comes with a later one")
                } else {
                    let settings = UserSettings.merge(
                        wanted: limit.connections,
                        baseline: baseline,
                        default: standard,
                        instances: instances.count,
                        floor: options.floor
                    )
                    plan.entries[user] = IncludeFile.Entry(limit: settings, release: baseline.release)
                    verdict = .write(settings.limit ?? 1)
                }
            } else {
                verdict = .skip(
                    "the line for this user in PgBouncer's configuration holds what cannot be repeated, or its processes have "
                        + "different ones"
                )
            }
            plan.verdicts.append((limit, verdict))
        }
        return plan
    }

    private var unknownReason: String {
        instances.contains { $0.version?.breaksQueriedUsers ?? false }
            ? "PgBouncer before 1.23 does not list this user: users of auth_query cannot be limited there"
            : "PgBouncer does not know this user"
    }

    /// The limit of those without a line.
    var standard: Int? {
        let limits =
            instances.compactMap { Int($0.config["max_user_connections"] ?? "") }
            + operatorFiles.values.compactMap(\.standard)
        return limits.filter { $0 > 0 }.min()
    }

    /// What the user has without us; `nil` where we could not put it back.
    ///
    /// Only the operator's configuration tells all of it: PgBouncer itself does not name every setting of a user.
    func baseline(of user: String) -> UserSettings? {
        guard operatorProblem == nil else { return nil }
        var found: UserSettings?
        for file in operatorFiles.values {
            guard let line = file.users[user] ?? UserSettings.none else { return nil }
            guard found == nil || found == line else { return nil }
            found = line
        }
        return found
    }
}
