// SPDX-License-Identifier: Apache-2.0
public import Domain
import PostgresClient
public import Quotas

/// Where roles are limited, and how.
public struct RoleLimitOptions {
    /// The server: a connection string of libpq.
    ///
    /// Its role needs CREATEROLE (and ADMIN OPTION on the roles since
    /// PostgreSQL 16), and pg_read_all_stats to count sessions.
    public var server: String
    /// A file that holds what roles had before, so that a crash of ours cannot lose it.
    public var stateFile: String
    /// Whether idle sessions beyond a limit are ended; it needs pg_signal_backend.
    public var trims = false
    /// Roles that are never limited.
    public var protected: Set<String> = []
    /// Tells why nobody would lift limits if this process died; `nil` from it: somebody would.
    ///
    /// While it tells a reason no limit is set, and after ``guardPatience`` those that are set are lifted.
    public var guardAbsence: (() -> String?)?
    /// How long limits stay while no guard is there, in seconds: it may be restarted.
    public var guardPatience: Int64 = 60

    /// Options with the usual values.
    public init(server: String, stateFile: String) { (self.server, self.stateFile) = (server, stateFile) }
}

/// Limits roles by `ALTER ROLE … CONNECTION LIMIT`, for clients that connect without a pooler.
///
/// A refusal is an error at the client (SQLSTATE 53300), unlike at PgBouncer, where clients queue; and sessions that are
/// there stay. PostgreSQL has no expiry: what a role had before stands in a file, and whoever finds the lease in it over
/// puts it back.
public final class RoleLimitBackend: EnforcementBackend {
    private let options: RoleLimitOptions
    private var connection: PostgresConnection?
    private var state: RoleState
    private var roles: [String: Role] = [:]
    private var rolesRead: Int64 = .min / 2
    /// The newest wants that were carried out, and when they end: after that an older one is as good as any.
    private var applied = (generation: UInt64(0), expires: Timestamp.epoch)
    /// When the state was written last: a lease is not written each second.
    private var kept = Int64.min / 2
    /// Why the state that was found cannot be used; a person has to look.
    private let damage: String?
    private var counters = (loads: UInt64(0), failures: UInt64(0), drains: UInt64(0))
    private var stateProblem: String?
    /// Why nobody would lift limits, and since when nobody would.
    private var guardAbsence: String?
    private var unguardedSince: Int64?

    private struct Role {
        var limit: Int
        var refusal: String?
        var sessions: Int
        /// Its OID.
        var number: String
    }

    private static let patience = 2.0

    /// A backend; it connects when it is asked.
    public init(_ options: RoleLimitOptions) {
        self.options = options
        do throws(RoleStateError) {
            state = try RoleState.read(options.stateFile)
            damage = nil
            applied = (state.generation, Timestamp(nanoseconds: state.expires &* 1_000_000_000))
        } catch {
            state = RoleState()
            damage = error.description
        }
    }

    /// `role-limit`.
    public var name: String { "role-limit" }

    /// Roles that may log in.
    public func knownUsers() -> Set<String> {
        rolesRead = .min / 2
        do throws(PostgresError) { try readRoles(0) } catch { return [] }
        return Set(roles.keys)
    }

    /// Sets, keeps and lifts limits.
    public func apply(_ wanted: WantedLimits, now: Timestamp) -> EnforcementOutcome {
        let second = now.nanoseconds / 1_000_000_000
        if let damage { return outcome(wanted, damage) }
        let isOver = wanted.expires <= now
        // A lease that cannot be one, as from a damaged clock, keeps no newer decision out.
        let holds = Lease.holds(until: applied.expires.nanoseconds / 1_000_000_000, at: second)
        guard wanted.generation >= applied.generation || !holds else {
            return outcome(
                wanted,
                "an older decision (\(wanted.generation)) than the last one (\(applied.generation)) came"
            )
        }
        if !isOver { applied = (wanted.generation, wanted.expires) }
        watchGuard(second)
        do throws(PostgresError) {
            try readRoles(second)
            return try bring(isOver || isUnguarded(second) ? [] : wanted.limits, wanted, second)
        } catch {
            connection = nil
            counters.failures &+= 1
            return outcome(wanted, "\(error); roles keep the limits that they have")
        }
    }

    /// Puts back what roles had.
    public func releaseAll(now: Timestamp) -> String? {
        if let damage { return damage }
        applied.expires = .epoch
        do throws(PostgresError) {
            try readRoles(now.nanoseconds / 1_000_000_000)
            for role in state.before.keys.sorted() { try release(role) }
            return nil
        } catch {
            return
                "\(error); 'pgweir run --role-limit' puts the limits of \(state.before.count) roles back when it starts again"
        }
    }

    /// Puts back what roles had if the lease on their limits has run out; for a start, and for a guard of its own.
    ///
    /// Returns what went wrong, if anything.
    public func releaseExpired(now: Timestamp) -> String? {
        if let damage { return damage }
        guard !state.before.isEmpty, !state.isFresh(now.nanoseconds / 1_000_000_000) else { return nil }
        return releaseAll(now: now)
    }

    /// Asks whether somebody would lift limits if we died.
    private func watchGuard(_ second: Int64) {
        guardAbsence = options.guardAbsence?()
        unguardedSince = guardAbsence == nil ? nil : unguardedSince ?? second
    }

    /// Whether limits that are set must not stay: nobody would lift them if we died, and nobody has for long.
    private func isUnguarded(_ second: Int64) -> Bool {
        unguardedSince.map { second - $0 >= options.guardPatience || second < $0 } ?? false
    }

    private func bring(
        _ limits: [UserLimit],
        _ wanted: WantedLimits,
        _ second: Int64
    ) throws(PostgresError) -> EnforcementOutcome {
        var users: [UserEnforcement] = []
        let asked = Set(limits.map(\.user))
        for role in state.before.keys.sorted() where !asked.contains(role) {
            try release(role)
            users.append(
                UserEnforcement(user: role, connections: nil, state: .released, observed: roles[role]?.sessions)
            )
        }
        let before = state
        (state.expires, state.generation) = (wanted.expires.nanoseconds / 1_000_000_000, applied.generation)
        var seen: Set<String> = []
        for limit in limits where seen.insert(limit.user).inserted { users.append(try bring(limit)) }
        let isDue = second - kept >= 10 || second < kept || (before.expires - second) * 2 < state.expires - second
        if !state.before.isEmpty, isDue || stateProblem != nil { keepState(second) }
        if let guardAbsence, !wanted.limits.isEmpty {
            for limit in wanted.limits where seen.insert(limit.user).inserted {
                users.append(UserEnforcement(user: limit.user, connections: nil, state: .skipped, reason: guardAbsence))
            }
        }
        var outcome = EnforcementOutcome(
            users: users,
            problem: stateProblem ?? (wanted.limits.isEmpty ? nil : guardAbsence)
        )
        (outcome.loads, outcome.failures, outcome.drains) = counters
        return outcome
    }

    private func bring(_ limit: UserLimit) throws(PostgresError) -> UserEnforcement {
        // By bytes: Swift takes two ways to write an accent for one, PostgreSQL does not.
        guard let index = roles.index(forKey: limit.user), roles[index].key.utf8.elementsEqual(limit.user.utf8) else {
            return UserEnforcement(
                user: limit.user,
                connections: nil,
                state: .skipped,
                reason: "no role that may log in"
            )
        }
        let role = roles[index].value
        if let refusal = role.refusal {
            return UserEnforcement(user: limit.user, connections: nil, state: .skipped, reason: refusal)
        }
        if let guardAbsence, state.before[limit.user] == nil {
            return UserEnforcement(user: limit.user, connections: nil, state: .skipped, reason: guardAbsence)
        }
        let before = state.before[limit.user] ?? role.limit
        let most = before >= 0 ? min(before, limit.connections) : limit.connections
        // While nobody would lift it, a limit is not made lower, either.
        if role.limit != most, guardAbsence == nil || role.limit < most {
            if state.before[limit.user] == nil {
                // Written before it is set: a crash in between leaves a role to be put back, not one that is lost.
                state.before[limit.user] = before
                guard keepState() else {
                    state.before[limit.user] = nil
                    return UserEnforcement(
                        user: limit.user,
                        connections: nil,
                        state: .failed,
                        reason: stateProblem ?? "the state cannot be kept"
                    )
                }
            }
            do throws(PostgresError) {
                try set(limit.user, most)
            } catch {
                guard case .refused(let reason, _) = error else { throw error }
                counters.failures &+= 1
                return UserEnforcement(user: limit.user, connections: nil, state: .failed, reason: reason)
            }
            roles[limit.user]?.limit = most
        }
        let surplus = role.sessions - most
        if surplus > 0, options.trims { try trim(limit.user, surplus) }
        return UserEnforcement(
            user: limit.user,
            connections: most,
            state: surplus > 0 ? (options.trims ? .draining : .partial) : .enforced,
            observed: role.sessions,
            reason: surplus > 0 && !options.trims ? "sessions that are open stay; --trim ends idle ones" : ""
        )
    }

    private func release(_ role: String) throws(PostgresError) {
        guard let before = state.before[role] else { return }
        do throws(PostgresError) {
            if roles[role] != nil { try set(role, before) }
        } catch {
            // A role that was dropped, or that we may not touch any more, must not keep the others.
            guard case .refused = error else { throw error }
            counters.failures &+= 1
        }
        state.before[role] = nil
        roles[role]?.limit = before
        keepState()
    }

    private func set(_ role: String, _ limit: Int) throws(PostgresError) {
        // ALTER ROLE takes no parameters; the name is one that pg_roles has.
        let quote = UInt8(ascii: "\"")
        let name = [quote] + role.accountNameBytes.flatMap { $0 == quote ? [quote, quote] : [$0] } + [quote]
        let sql = Array("ALTER ROLE ".utf8) + name + Array(" CONNECTION LIMIT \(limit)".utf8)
        _ = try connected().rows(of: sql, seconds: Self.patience)
        counters.loads &+= 1
    }

    private func trim(_ role: String, _ surplus: Int) throws(PostgresError) {
        guard let number = roles[role]?.number, number.allSatisfy(\.isNumber) else { return }
        _ = try connected().rows(
            of: """
                SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
                WHERE usesysid = \(number) AND state = 'idle' AND backend_type = 'client backend'
                ORDER BY state_change LIMIT \(surplus)
                """,
            seconds: Self.patience
        )
        counters.drains &+= 1
    }

    /// Reads roles and their sessions: at most every second.
    private func readRoles(_ second: Int64) throws(PostgresError) {
        guard second > rolesRead || second < rolesRead - 5 else { return }
        rolesRead = second
        var found: [String: Role] = [:]
        for row in try connected().rows(of: Self.roleQuery, seconds: Self.patience) {
            guard let name = row["rolname"], let limit = row["lim"].flatMap({ Int($0) }) else { continue }
            var refusal: String?
            if row["super"] == "t" { refusal = "a superuser is not bound by a limit" }
            if row["repl"] == "t" { refusal = "a replication role is never limited" }
            if row["own"] == "t" { refusal = "pgweir's own role" }
            if options.protected.contains(name) { refusal = "protected by our configuration" }
            let sessions = row["sessions"].flatMap { Int($0) } ?? 0
            found[name] = Role(limit: limit, refusal: refusal, sessions: sessions, number: row["number"] ?? "")
        }
        roles = found
    }

    private static let roleQuery = """
        SELECT r.oid AS number, r.rolname, r.rolconnlimit AS lim, r.rolsuper AS super, r.rolreplication AS repl,
            r.rolname = session_user AS own,
            (SELECT count(*) FROM pg_catalog.pg_stat_activity a WHERE a.usesysid = r.oid) AS sessions
        FROM pg_catalog.pg_roles r WHERE r.rolcanlogin
        """

    private func connected() throws(PostgresError) -> PostgresConnection {
        if let connection { return connection }
        let made = try PostgresConnection(options.server, application: "pgweir", seconds: Self.patience)
        connection = made
        return made
    }

    @discardableResult
    private func keepState(_ second: Int64? = nil) -> Bool {
        do throws(RoleStateError) {
            try state.write(options.stateFile)
            stateProblem = nil
            if let second { kept = second }
            return true
        } catch {
            stateProblem = error.description
            return false
        }
    }

    private func outcome(_ wanted: WantedLimits, _ problem: String) -> EnforcementOutcome {
        var outcome = EnforcementOutcome(
            users: wanted.limits.map {
                UserEnforcement(user: $0.user, connections: nil, state: .pending, reason: problem)
            },
            problem: problem
        )
        (outcome.loads, outcome.failures, outcome.drains) = counters
        return outcome
    }
}
