// SPDX-License-Identifier: Apache-2.0
import Domain

/// Puts two readings side by side.
struct Comparing {
    var start: Reading, end: Reading
    var facts: StatementStatistics.Facts
    var classes: [String: StatementClass]
    var sightings: Sightings
    var tolerance: Double

    func comparison(seconds: Double) -> Comparison {
        var result = Comparison()
        (result.seconds, result.serverVersion) = (seconds, facts.version)
        (result.track, result.countsUtilities) = (facts.track, facts.countsUtilities)
        let server = ServerDifferences(start.server, end.server, classes)
        let seen = SeenDifferences(start, end, countsDeallocate: facts.version >= 170_000)
        let servers = Set(seen.found.keys.compactMap(\.server)).count
        var lines: [Account: Comparison.Line] = [:]
        for (account, counted) in server.found {
            var line = Comparison.Line(user: account.user, database: account.database)
            line.queries.counted = counted.queries
            line.utilities.counted = facts.countsUtilities ? counted.utilities : 0
            line.notSent = counted.nested &+ counted.foreignKeys
            lines[account] = line
        }
        var extended: [Account: UInt64] = [:]
        for (place, difference) in seen.found {
            // PgBouncer's console is no database of the server.
            guard let account = place.account, account.database != "pgbouncer" else { continue }
            let isOwn = sightings.isOwn(place.server, port: facts.port, among: servers)
            guard isOwn != false else { continue }
            var line = lines[account] ?? Comparison.Line(user: account.user, database: account.database)
            var (queries, utilities) = (difference.queries, difference.utilities)
            if isOwn == nil {
                // It may have been at another server.
                (queries.seenLow, utilities.seenLow) = (0, 0)
            }
            line.queries.add(queries)
            if facts.countsUtilities {
                line.utilities.add(utilities)
                extended[account, default: 0] &+= difference.extendedUtilities
            }
            lines[account] = line
        }
        // What this program asked is not among what the server counted; the tap may have seen it.
        let account = Account(user: facts.role, database: facts.database)
        if var line = lines[account] {
            line.queries.seenLow -= min(line.queries.seenLow, end.server.own - min(end.server.own, start.server.own))
            lines[account] = line
        }
        let sums = sums(lines)
        for (account, line) in lines {
            let isEmpty = [line.queries, line.utilities].allSatisfy { $0.counted == 0 && $0.seenHigh == 0 }
            if isEmpty, line.notSent == 0 { continue }
            result.lines.append(
                explain(
                    account,
                    line,
                    server,
                    seen,
                    sums[account.database] ?? [Moved(), Moved()],
                    extendedUtilities: extended[account] ?? 0
                )
            )
        }
        result.lines.sort { ($0.user, $0.database) < ($1.user, $1.database) }
        return result
    }

    /// What of both parts is missing, and too much, of all users of each database.
    private func sums(_ lines: [Account: Comparison.Line]) -> [String: [Moved]] {
        var sums: [String: [Moved]] = [:]
        for (account, line) in lines {
            var both = sums[account.database] ?? [Moved(), Moved()]
            for (index, part) in [line.queries, line.utilities].enumerated() {
                both[index].missing &+= part.missing
                both[index].surplus &+= part.surplus
            }
            sums[account.database] = both
        }
        return sums
    }

    /// The server counts for the current role (SET ROLE, SET SESSION AUTHORIZATION, which itself counts for the new one), the
    /// tap for the one that logged in: what one user lacks, others of the database have too much.
    private struct Moved {
        var missing: UInt64 = 0, surplus: UInt64 = 0
    }

    private func isFine(_ difference: UInt64, _ part: Comparison.Part) -> Bool {
        Double(difference) <= tolerance * Double(max(part.counted, part.seen))
    }

    private func explain(
        _ account: Account,
        _ line: Comparison.Line,
        _ server: ServerDifferences,
        _ seen: SeenDifferences,
        _ moved: [Moved],
        extendedUtilities: UInt64
    ) -> Comparison.Line {
        var line = line
        let counted = server.found[account] ?? ServerDifference()
        if counted.nested > 0 {
            line.reasons.append(
                Reason(
                    .nested,
                    counted.nested,
                    "\(counted.nested) statements inside functions, which no client sent",
                    most: 0
                )
            )
        }
        if counted.foreignKeys > 0 {
            line.reasons.append(
                Reason(
                    .foreignKey,
                    counted.foreignKeys,
                    "\(counted.foreignKeys) checks of deferred foreign keys, which no client sent",
                    most: 0
                )
            )
        }
        let parts = [line.queries, line.utilities]
        let (missing, surplus) = (parts.map(\.missing), parts.map(\.surplus))
        guard (missing + surplus).contains(where: { $0 > 0 }) else { return line }
        var less: [Reason] = []
        var more: [Reason] = []
        let busy = (start.busy[account] ?? 0) &+ (end.busy[account] ?? 0)
        if busy > 0 {
            let reason = Reason(
                .underWay,
                busy,
                "\(busy) statements or transactions under way at an end of the span",
                most: busy
            )
            less.append(reason)
            more.append(reason)
        }
        let gained = zip(missing, moved).map { min($0, $1.surplus) }
        let lost = zip(surplus, moved).map { min($0, $1.missing) }
        if let most = (gained + lost).max(), most > 0 {
            let text = "up to \(most) statements counted for another role (SET ROLE)"
            if gained.contains(where: { $0 > 0 }) { less.append(Reason(.setRole, most, text, most: 0)) }
            if lost.contains(where: { $0 > 0 }) { more.append(Reason(.setRole, most, text, most: 0)) }
        }
        less += sightings.reasons(of: account) + Losses(start, end).reasons(of: account, seen, facts)
        more += surplusReasons(server, seen)
        // pg_stat_statements takes the number of a utility statement's text away when it counts it (`pgss_ProcessUtility`),
        // also from a plan that is kept.
        let repeated = [0, min(surplus[1] - lost[1], extendedUtilities)]
        if repeated[1] > 0 {
            let text = "\(repeated[1]) runs of prepared utility statements, of which the server counts the first"
            more.append(Reason(.preparedUtility, repeated[1], text, most: 0))
        }
        let exceptions = facts.exceptions
        if exceptions > 0 {
            let text = "pg_stat_statements.track is set otherwise for \(exceptions) roles or databases"
            more.append(Reason(.settings, UInt64(exceptions), text))
        }
        if !facts.hasTopLevel, facts.track == "all" {
            less.append(Reason(.nested, 0, "track = all: this version does not tell statements inside functions apart"))
        }
        if missing.contains(where: { $0 > 0 }) { line.reasons += less }
        if surplus.contains(where: { $0 > 0 }) { line.reasons += more.filter { !line.reasons.contains($0) } }
        line.isExplained = zip(parts.indices, parts).allSatisfy { index, part in
            isFine(missing[index], part) && isFine(surplus[index], part)
                || Self.isCovered(missing[index] - gained[index], by: less)
                    && Self.isCovered(surplus[index] - lost[index] - repeated[index], by: more)
        }
        return line
    }

    private func surplusReasons(_ server: ServerDifferences, _ seen: SeenDifferences) -> [Reason] {
        var found: [Reason] = []
        if server.isReset { found.append(Reason(.reset, 1, "the server's counts were set to zero in between")) }
        if server.evicted > 0 {
            let text = "the server gave up entries in between: raise pg_stat_statements.max"
            found.append(Reason(.evicted, server.evicted, text))
        }
        if seen.attributedLate > 0 {
            let count = seen.attributedLate
            found.append(
                Reason(.attributedLate, count, "\(count) statements of before whose user became known", most: count)
            )
        }
        return found
    }

    /// Whether reasons account for a difference.
    static func isCovered(_ difference: UInt64, by reasons: [Reason]) -> Bool {
        var left = difference
        for reason in reasons {
            guard let most = reason.most else { return true }
            left -= min(left, most)
        }
        return left == 0
    }
}

/// What the tap lost, or could not tell, between two readings.
struct Losses {
    private let start: Reading, end: Reading

    init(_ start: Reading, _ end: Reading) { (self.start, self.end) = (start, end) }

    /// What of that can account for statements of a user that were not seen.
    func reasons(of account: Account, _ seen: SeenDifferences, _ facts: StatementStatistics.Facts) -> [Reason] {
        var found: [Reason] = []
        func difference(_ last: UInt64?, _ first: UInt64?) -> UInt64 { (last ?? 0) - min(last ?? 0, first ?? 0) }
        for kind in LossKind.allCases {
            let count = difference(end.after.losses[kind.rawValue], start.before.losses[kind.rawValue])
            guard count > 0 else { continue }
            let (most, isTooMuch) = count.multipliedReportingOverflow(by: kind.most)
            found.append(Reason(.loss, count, "\(count) \(kind.text)", most: isTooMuch ? .max : most))
        }
        let nobodys = seen.found.filter { $0.key.account == nil }.values.reduce(0 as UInt64) {
            $0 &+ $1.queries.seenHigh &+ $1.utilities.seenHigh
        }
        if nobodys > 0 {
            let text = "up to \(nobodys) statements of sessions whose user is not known"
            found.append(Reason(.unattributed, nobodys, text, most: nobodys))
        }
        let encrypted = difference(end.after.encryptedSessions, start.before.encryptedSessions)
        if encrypted > 0 {
            found.append(Reason(.tls, encrypted, "\(encrypted) sessions that began encrypted in the span"))
        }
        let began = difference(end.server.sessions[account.database], start.server.sessions[account.database])
        let logins = seen.found.filter { $0.key.account?.database == account.database }.values.reduce(0 as UInt64) {
            $0 &+ $1.logins
        }
        if began > logins, facts.version >= 140_000 {
            let count = began - logins
            let text =
                "\(count) more sessions began in the database than were seen: a Unix socket, TLS or another interface"
            found.append(Reason(.unseenSessions, count, text))
        }
        return found
    }
}
