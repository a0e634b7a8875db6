// SPDX-License-Identifier: Apache-2.0
import Control
import Domain
import Metering
import Pipeline
import Quotas
import Reports
import Settings

/// What `pgweir quota` asks and orders, over the local socket: who may open that may do this.
extension QuotaService {
    func answer(_ request: ControlRequest, _ evidence: (String) -> [PatternSpend]) throws(ControlError) -> [UInt8] {
        let options = request.options
        switch options["do"] ?? "" {
        case "list": return list(options, .all)
        case "show":
            let user = try user(options)
            return list(options, .these([user]))
        case "why": return try why(options, evidence)
        case "history": return try history(options)
        case "releases": return releases()
        case "exempt", "limit", "set", "release", "reset", "consent", "release-all", "mode":
            return try order(options["do"] ?? "", options, from: request.peer)
        default: throw .refused(reason: "'\(options["do"] ?? "")' is not known to this version of the daemon.")
        }
    }

    // MARK: Questions

    private func list(_ options: [String: String], _ selection: Selection) -> [UInt8] {
        let report = QuotaReport(rows(selection), of: facts, at: clock.time())
        if options["format"] == "json" { return report.json() }
        return report.text(top: options["top"].flatMap { Int($0) } ?? 40, style: Self.style(options))
    }

    /// Which users a list is about.
    enum Selection {
        case all
        case these([UserKey])
        /// So many of those whose budgets are fullest, these first.
        case fullest(Int)
        /// Those who have a limit, or for whom one waits, or about whom a person decided.
        case limited
    }

    func rows(_ selection: Selection) -> [QuotaRow] {
        let elsewhere = remoteStandings()
        let found = withState { state in
            let keeper = state.keeper
            let now = keeper.sync.time(clock.time())
            return subjects(selection, keeper, elsewhere).map { subject in
                // As of now, not as of the last change.
                let tier = keeper.terms.mode(of: subject.tier) == .off ? nil : state.policy.tiers[subject.tier]
                let evaluation = tier.map {
                    Evaluation(subject.user, $0, in: keeper.sync.ledger, state.policy.zone, now: now)
                }
                return QuotaRow(
                    name: state.names[subject.user],
                    user: subject.user,
                    mode: keeper.terms.mode(of: subject.tier),
                    subject: subject,
                    standings: evaluation?.standings ?? [],
                    override: keeper.terms.overrides[subject.user],
                    enforcement: []
                )
            }
        }
        return found.map { row in
            var row = row
            row.enforcement = enforcement(of: row.user) + (elsewhere[row.user] ?? []).map { ($0.0, $0.1) }
            return row
        }
    }

    private func subjects(
        _ selection: Selection,
        _ keeper: QuotaKeeper,
        _ elsewhere: [UserKey: [(String, UserEnforcement)]]
    ) -> [Decider.Subject] {
        func known(_ user: UserKey) -> Decider.Subject { keeper.decider[user] ?? Decider.Subject(user, tier: "") }
        switch selection {
        case .all: return keeper.decider.subjects
        case .these(let users): return users.map(known)
        case .fullest(let count):
            // By the last look, which is ten seconds old at most: looking at all of them anew takes long.
            return Array(
                keeper.decider.subjects.sorted { ($0.utilization, $1.user) > ($1.utilization, $0.user) }.prefix(count)
            )
        case .limited:
            var users = Set(keeper.decider.subjects.filter { $0.connections != nil || $0.isHeld }.map(\.user))
            users.formUnion(keeper.terms.overrides.keys)
            users.formUnion(elsewhere.keys)
            users.formUnion(enforced)
            return users.sorted().map(known)
        }
    }

    private func why(
        _ options: [String: String],
        _ evidence: (String) -> [PatternSpend]
    ) throws(ControlError) -> [UInt8] {
        let user = try user(options)
        guard let row = rows(.these([user])).first else { throw .refused(reason: "nothing is known of this user.") }
        let report = WhyReport(
            row,
            spends: row.name.map(evidence) ?? [],
            history: trail.last(40, of: user),
            at: clock.time()
        )
        return options["format"] == "json" ? report.json() : report.text(style: Self.style(options))
    }

    private func history(_ options: [String: String]) throws(ControlError) -> [UInt8] {
        let user: UserKey? = options["user"] == nil ? nil : try user(options)
        let entries = trail.last(min(10_000, options["top"].flatMap { Int($0) } ?? 100), of: user)
        if options["format"] == "json" { return entries.flatMap(\.line) }
        let names = withState { $0.names }
        return entries.flatMap { Array(($0.text(user: $0.user.flatMap { names[$0] }) + "\n").utf8) }
    }

    private static func style(_ options: [String: String]) -> TerminalStyle {
        let width = options["width"].flatMap { Int($0) }.map { min(1000, max(40, $0)) }
        return TerminalStyle(width: width, isColored: options["color"] == "yes")
    }

    /// A user by name, or by hash as the log and the audit have it.
    private func user(_ options: [String: String]) throws(ControlError) -> UserKey {
        guard let text = options["user"]?.asAccountName, !text.isEmpty else { throw .refused(reason: "name a user.") }
        if let key = UserKey(text) { return key }
        let key = hasher.key(of: text)
        withState { state in if state.names[key] == nil { state.names[key] = text } }
        return key
    }

    // MARK: Orders

    private func order(_ verb: String, _ options: [String: String], from peer: String) throws(ControlError) -> [UInt8] {
        let now = clock.time().nanoseconds / 1_000_000_000
        let isPanic = verb == "release-all"
        let (by, reason) = (options["by"] ?? "", options["reason"] ?? (isPanic ? verb : ""))
        guard !by.isEmpty, !reason.isEmpty else { throw .refused(reason: "say who and why: --reason.") }
        let seconds = options["seconds"].flatMap { Int64($0) } ?? 3600
        guard (1...31_622_400).contains(seconds) else { throw .refused(reason: "at most a year.") }
        let user = ["consent", "release-all", "mode"].contains(verb) ? nil : try user(options)
        func override(_ action: Override.Action) -> Override {
            Override(action, until: now + seconds, by: by, reason: reason)
        }
        // What is set from here is lifted first: neither a ledger nor a node that decides is needed for that.
        if isPanic { pauseHere(options["resume"] == "yes" ? 0 : now + seconds) }
        var done: String
        do throws(LedgerError) {
            done = try carryOut(verb, options, user, override)
        } catch {
            guard isPanic else { throw .refused(reason: "the ledger did not take it: \(error)") }
            done = "nobody is limited by this daemon; other nodes were not told: \(error)"
        }
        guard !done.isEmpty else { throw .refused(reason: "'\(verb)' needs other options; see --help.") }
        trail.write([
            AuditEntry(
                verb,
                user,
                at: clock.time(),
                node: node,
                actor: "person",
                details: [
                    ("by", by), ("peer", peer), ("reason", reason), ("until", String(now + seconds)), ("what", done),
                ]
            )
        ])
        // Reasons are people's words: the audit has them, the log does not.
        Log.info(
            "control.order",
            "quota \(verb), ordered over the local socket",
            [("peer", peer), ("user", user?.description ?? "")]
        )
        return Array((done + "\n").utf8)
    }

    /// What came of the last `release-all`: a line for each place at which limits are set, `confirmed`, `waiting` or `failed`,
    /// its name and the reason, parted by tabs.
    private func releases() -> [UInt8] {
        var lines = releasesHere.map { release in
            let state = release.isConfirmed ? "confirmed" : release.problem == nil ? "waiting" : "failed"
            return "\(state)\t\(release.backend.printable)\t\((release.problem ?? "").printable)"
        }
        var places: [String: Int] = [:]
        for standings in remoteStandings().values {
            for (place, standing) in standings {
                let isInForce = standing.connections != nil && ![.released, .skipped].contains(standing.state)
                places[place, default: 0] += isInForce ? 1 : 0
            }
        }
        for (place, count) in places.sorted(by: { $0.key < $1.key }) {
            let (state, text) = count == 0 ? ("confirmed", "") : ("waiting", "\(count) users")
            lines.append("\(state)\t\(place.printable)\t\(text)")
        }
        return Array(lines.map { $0 + "\n" }.joined().utf8)
    }

    private func carryOut(
        _ verb: String,
        _ options: [String: String],
        _ user: UserKey?,
        _ override: (Override.Action) -> Override
    ) throws(LedgerError) -> String {
        var failure: LedgerError?
        let text = withState { state in
            do throws(LedgerError) {
                return try Self.carryOut(verb, options, user, override, &state)
            } catch {
                failure = error
                return ""
            }
        }
        if let failure { throw failure }
        return text
    }

    private static func carryOut(
        _ verb: String,
        _ options: [String: String],
        _ user: UserKey?,
        _ override: (Override.Action) -> Override,
        _ state: inout State
    ) throws(LedgerError) -> String {
        switch (verb, user) {
        case ("exempt", let user?):
            try state.keeper.override(user, override(.exempt))
            return "exempt"
        case ("limit", let user?):
            guard let count = options["connections"].flatMap({ Int($0) }), (1...100_000).contains(count) else {
                return ""
            }
            try state.keeper.override(user, override(.limit(connections: count)))
            return "at most \(count) connections"
        case ("set", let user?):
            guard let tier = options["tier"], state.policy.tiers[tier] != nil else { return "" }
            try state.keeper.override(user, override(.tier(tier)))
            return "tier \(tier)"
        case ("release", let user?):
            try state.keeper.override(user, nil)
            return "what was decided by hand is taken back"
        case ("reset", let user?):
            try state.keeper.reset(user)
            return "the budget is given back"
        case ("consent", nil):
            try state.keeper.consent(override(.exempt))
            return "more users than usual may be limited"
        case ("release-all", nil):
            if options["resume"] == "yes" {
                try state.keeper.pause(nil)
                return "limits as usual"
            }
            try state.keeper.pause(override(.exempt))
            return "nobody is limited"
        case ("mode", nil):
            let tier = options["tier"] ?? QuotaKeeper.everybody
            guard tier == QuotaKeeper.everybody || state.policy.tiers[tier] != nil else { return "" }
            let mode = options["mode"].flatMap { EnforcementMode(rawValue: $0) }
            guard mode != nil || options["mode"] == "configured" else { return "" }
            try state.keeper.switchMode(mode, of: tier)
            return "mode \(options["mode"] ?? "") of \(tier == QuotaKeeper.everybody ? "all tiers" : "tier \(tier)")"
        default: return ""
        }
    }
}
