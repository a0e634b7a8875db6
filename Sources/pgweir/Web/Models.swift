// SPDX-License-Identifier: Apache-2.0
import Dashboard
import Domain
import Packets
import Pipeline
import PostgresWire
import Quotas
import Reports
import SQLiteStore
import Settings

/// What pages and the API show, from what the daemon knows.
struct ModelMaker: Sendable {
    let view: DaemonView

    // MARK: Status

    func status() -> StatusModel {
        let (snapshot, facts) = (view.snapshot(), view.now)
        let (result, now) = (snapshot.result, Supervisor.time())
        let totals = result.totals
        var model = StatusModel()
        (model.time, model.began, model.version) = (now.rfc3339, facts.began.rfc3339, Version.text)
        (model.sources, model.ports) = (facts.interfaces, facts.ports.map { Int($0) })
        (model.statements, model.costUnits) = (totals.started, CostUnits(micro: totals.costLow).units)
        model.openSessions = snapshot.sessions.count
        model.activeSessions = snapshot.sessions.count(where: \.activity.isActive)
        (model.users, model.limitedUsers) = users(facts, result)
        model.encryptedSessions = result.sessions.encrypted
        model.blindShare = Self.share(Double(result.sessions.encrypted), of: Double(result.sessions.total))
        let capture = result.capture
        model.lostPackets =
            capture.kernelDropped + capture.interfaceDropped + capture.relayDroppedRecords + capture.shedSegments
        model.gapBytes = result.reassembly.gapBytes
        model.lossShare = Self.share(
            Double(result.reassembly.gapBytes),
            of: Double(result.reassembly.gapBytes) + Double(capture.bytes)
        )
        model.unattributedStatements = result.principals[0].counts.started
        model.unattributedCostUnits = CostUnits(micro: result.principals[0].counts.costLow).units
        model.showsNames = view.privacy.keepsNames
        model.minutes = lastHour()
        // The minute that runs is not there yet.
        let last = model.minutes.last { $0.minute == HistoryService.minute() - 1 }
        (model.statementsLastMinute, model.costUnitsLastMinute) = (last?.calls, last?.costUnits)
        model.problems = problems(model, facts, snapshot)
        return model
    }

    private func users(_ facts: DaemonFacts, _ result: ReplayResult) -> (Int, Int) {
        guard let quotas = facts.quotas else { return (result.standings.count, 0) }
        func value(_ name: String) -> Int { Int(clamping: quotas.values.first { $0.name == name }?.value ?? 0) }
        return (value("users"), value("limited"))
    }

    private func lastHour() -> [MinuteModel] {
        guard let store = view.history?.store else { return [] }
        let now = HistoryService.minute()
        let question = HistoryQuestion(from: now - 60, to: now, by: .user)
        return ((try? store.trend(question, step: 1)) ?? []).map { Self.minute($0.minute, $0.sums) }
    }

    private func problems(_ model: StatusModel, _ facts: DaemonFacts, _ snapshot: LiveSnapshot) -> [String] {
        var problems: [String] = []
        if let error = facts.reloadError {
            problems.append("The last reload failed, the old configuration holds: \(error)")
        }
        if snapshot.missing > 0 { problems.append("\(snapshot.missing) of \(facts.workers) workers did not answer.") }
        if model.blindShare > 0.05 {
            problems.append(
                "\(Int((model.blindShare * 100).rounded())) % of sessions are encrypted and cannot be read. Watch behind "
                    + "the point where TLS ends, or use 'pgweir run --mode proxy --tls-cert …'."
            )
        }
        if model.lostPackets > 0 {
            problems.append(
                "\(model.lostPackets) packets were lost: give more --buffer or --workers. Usage is an interval."
            )
        }
        if Double(model.unattributedStatements) > 0.05 * Double(max(1, model.statements)) {
            problems.append(
                "\(Int(Self.share(Double(model.unattributedStatements), of: Double(model.statements)) * 100)) % of statements "
                    + "are nobody's: their sessions began before they were watched. 'attribution.servers' or "
                    + "'attribution.poolers' can tell whose they are."
            )
        }
        if let history = view.history?.facts.problem { problems.append("The history: \(history)") }
        return problems + (facts.quotas?.problems ?? [])
    }

    // MARK: Users

    /// All users, the fullest budgets first.
    func users(only wanted: UserKey? = nil) -> [UserModel] {
        let result = view.snapshot().result
        guard let quotas = view.quotas else { return users(of: result, wanted) }
        var counts: [UserKey: PrincipalCounts] = [:]
        for principal in result.principals {
            guard let user = principal.user else { continue }
            counts[quotas.hasher.key(of: user), default: PrincipalCounts()].add(principal.counts)
        }
        let rows = quotas.rows(wanted.map { [$0] })
        return rows.map { row in
            var model = UserModel()
            model.id = row.user.description
            model.name = view.privacy.keepsNames ? row.name : nil
            (model.tier, model.mode, model.verdict) = (row.tier, row.mode.rawValue, row.rung.rawValue)
            if row.since > 0 { model.since = Self.time(row.since) }
            (model.utilization, model.utilizationHigh) = (row.utilization, row.utilizationHigh)
            (model.action, model.connections, model.isHeld) = (row.action, row.connections, row.isHeld)
            model.budgets = row.standings.map { budget($0) }
            model.enforcement = row.enforcement.map { backend, state in
                EnforcementModel(
                    backend: backend,
                    state: state.state.rawValue,
                    reason: hideName(in: state.reason, state.user),
                    connections: state.connections,
                    observed: state.observed
                )
            }
            model.override = row.override.map { "\($0.title) until \(Self.time($0.until)), by \($0.by): \($0.reason)" }
            fill(&model, counts[row.user])
            return model
        }
        .sorted { ($0.utilization, $1.id) > ($1.utilization, $0.id) }
    }

    /// Reasons may name a user.
    private func hideName(in reason: String, _ name: String) -> String {
        view.privacy.keepsNames || name.isEmpty ? reason : reason.replacing(name, with: "the user")
    }

    /// Without quotas: what the workers saw.
    private func users(of result: ReplayResult, _ wanted: UserKey?) -> [UserModel] {
        result.standings.values.compactMap { standing in
            let id = view.userID(standing.user)
            guard wanted == nil || wanted?.description == id else { return nil }
            var model = UserModel()
            (model.id, model.name) = (id, view.privacy.keepsNames ? standing.user : nil)
            (model.tier, model.mode) = (standing.tier?.name ?? "", "no quotas")
            var counts = PrincipalCounts()
            for principal in result.principals where principal.user == standing.user { counts.add(principal.counts) }
            fill(&model, counts)
            return model
        }
        .sorted { ($0.costUnits, $1.id) > ($1.costUnits, $0.id) }
    }

    private func fill(_ model: inout UserModel, _ counts: PrincipalCounts?) {
        guard let counts else { return }
        (model.statements, model.errors) = (counts.started, counts.errors)
        (model.costUnits, model.seconds) = (CostUnits(micro: counts.costLow).units, Double(counts.duration) / 1e9)
    }

    private func budget(_ standing: LimitStanding) -> BudgetModel {
        BudgetModel(
            window: standing.limit.window.title,
            budget: standing.limit.budget.units,
            used: CostUnits(micro: standing.usage.low).units,
            possible: CostUnits(micro: standing.usage.high).units,
            utilization: standing.low,
            utilizationHigh: standing.high,
            resets: standing.resets > 0 ? Self.time(standing.resets) : nil
        )
    }

    // MARK: Patterns

    /// The heaviest patterns of a span, and how many there are; of one user, if asked.
    func patterns(
        _ span: SpanModel,
        order: String,
        limit: Int,
        user: String? = nil,
        only fingerprint: Fingerprint? = nil
    ) -> (patterns: [PatternModel], count: Int) {
        guard let store = view.history?.store else { return livePatterns(order, limit, user, fingerprint) }
        let now = HistoryService.minute() + 1
        var question = HistoryQuestion(from: now - span.minutes, to: now, by: .pattern, order: order, limit: limit)
        (question.user, question.pattern) = (user, fingerprint)
        guard let found = try? store.groups(question), !found.groups.isEmpty else {
            return livePatterns(order, limit, user, fingerprint)
        }
        var whole = question
        (whole.user, whole.pattern, whole.limit) = (nil, nil, 0)
        let all = user == nil && fingerprint == nil ? found.total : (try? store.groups(whole))?.total ?? found.total
        let trends =
            (try? store.trends(
                of: found.groups.compactMap(\.fingerprint),
                from: question.from,
                to: question.to,
                step: span.step
            )) ?? [:]
        let first = question.from / span.step * span.step
        let patterns = found.groups.map { group -> PatternModel in
            var model = Self.pattern(group, of: all)
            if !view.privacy.keepsTexts { model.text = nil }
            let steps = group.fingerprint.flatMap { trends[$0] } ?? [:]
            model.trend = stride(from: first, to: question.to, by: Int64.Stride(span.step)).map {
                CostUnits(micro: steps[$0]?.low ?? 0).units
            }
            return model
        }
        return (patterns, found.count)
    }

    /// Since the daemon began, where there is no history yet.
    private func livePatterns(
        _ order: String,
        _ limit: Int,
        _ user: String?,
        _ fingerprint: Fingerprint?
    ) -> (patterns: [PatternModel], count: Int) {
        guard user == nil else { return ([], 0) }
        let result = view.snapshot().result
        let total = max(1, result.patterns.reduce(Int64(0)) { $0 &+ $1.costLow.micro })
        let found = result.patterns.filter { fingerprint == nil || $0.fingerprint == fingerprint }
        let sorted = found.sorted { left, right in
            switch order {
            case "calls": left.calls > right.calls
            case "time": left.durations.sum > right.durations.sum
            case "errors": left.errors > right.errors
            default: left.costLow.micro > right.costLow.micro
            }
        }
        let patterns = sorted.prefix(limit).map { usage in
            var model = PatternModel()
            model.fingerprint = usage.fingerprint.description
            model.text = view.privacy.keepsTexts ? String(decoding: usage.text, as: UTF8.self) : nil
            model.database = usage.database
            (model.calls, model.errors) = (Int64(clamping: usage.calls), Int64(clamping: usage.errors))
            model.rows = Int64(clamping: usage.rows)
            (model.costUnits, model.costUnitsHigh) = (usage.costLow.units, usage.cost.units)
            model.share = Double(usage.costLow.micro) / Double(total)
            Self.fill(&model, usage.durations)
            return model
        }
        return (Array(patterns), found.count)
    }

    /// One pattern, over all its databases; `nil` where it was not seen in the span.
    func pattern(_ fingerprint: Fingerprint, _ span: SpanModel) -> PatternModel? {
        let found = patterns(span, order: "cost", limit: 100, only: fingerprint).patterns
        guard var sum = found.first else { return nil }
        for other in found.dropFirst() {
            sum.calls += other.calls
            sum.errors += other.errors
            sum.rows += other.rows
            sum.costUnits += other.costUnits
            sum.share += other.share
            sum.seconds += other.seconds
        }
        return sum
    }

    /// Cost of equal steps: of one user or pattern.
    func trend(_ span: SpanModel, user: String? = nil, pattern: Fingerprint? = nil) -> [MinuteModel] {
        guard let store = view.history?.store else { return [] }
        let now = HistoryService.minute() + 1
        var question = HistoryQuestion(from: now - span.minutes, to: now, by: .user)
        (question.user, question.pattern) = (user, pattern)
        return ((try? store.trend(question, step: span.step)) ?? []).map { Self.minute($0.minute, $0.sums) }
    }

    /// Who ran a pattern.
    func runners(of pattern: Fingerprint, _ span: SpanModel) -> [UserModel] {
        guard let store = view.history?.store else { return [] }
        let now = HistoryService.minute() + 1
        let question = HistoryQuestion(from: now - span.minutes, to: now, by: .user, limit: 20, pattern: pattern)
        return ((try? store.groups(question))?.groups ?? []).map { group in
            var model = Self.user(group)
            model.name = view.name(ofUser: group.user) ?? group.name
            return model
        }
    }

    // MARK: Audit

    func audit(_ count: Int, of user: UserKey? = nil) -> [AuditModel] {
        guard let quotas = view.quotas else { return [] }
        return quotas.trail.last(count, of: user).reversed().map { entry in
            AuditModel(
                time: entry.time.rfc3339,
                event: entry.event,
                actor: entry.actor,
                node: entry.node,
                user: entry.user?.description,
                name: view.name(ofUser: entry.user?.description),
                details: Dictionary(entry.details.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
            )
        }
    }

    // MARK: Parts

    static func user(_ group: HistoryGroup) -> UserModel {
        var model = UserModel()
        model.id = group.user ?? ""
        (model.statements, model.errors) = (UInt64(clamping: group.sums.calls), UInt64(clamping: group.sums.errors))
        (model.costUnits, model.seconds) = (CostUnits(micro: group.sums.low).units, Double(group.sums.time) / 1e9)
        return model
    }

    static func pattern(_ group: HistoryGroup, of total: HistorySums) -> PatternModel {
        var model = PatternModel()
        model.fingerprint = group.fingerprint?.description ?? ""
        (model.text, model.database) = (group.text, group.database)
        (model.calls, model.errors, model.rows) = (group.sums.calls, group.sums.errors, group.sums.rows)
        model.bytes = group.sums.bytes
        model.costUnits = CostUnits(micro: group.sums.low).units
        model.costUnitsHigh = CostUnits(micro: group.sums.high).units
        model.share = share(Double(group.sums.low), of: Double(total.low))
        var durations = DurationHistogram()
        for text in group.durations { durations.add(text: text, sum: 0, longest: 0) }
        durations.add(text: "", sum: UInt64(clamping: group.sums.time), longest: UInt64(clamping: group.sums.longest))
        fill(&model, durations)
        return model
    }

    private static func fill(_ model: inout PatternModel, _ durations: DurationHistogram) {
        func seconds(_ nanoseconds: UInt64) -> Double { Double(nanoseconds) / 1e9 }
        (model.seconds, model.longest) = (seconds(durations.sum), seconds(durations.longest))
        model.p50 = seconds(durations.percentile(0.5))
        (model.p95, model.p99) = (seconds(durations.percentile(0.95)), seconds(durations.percentile(0.99)))
    }

    static func minute(_ minute: Int64, _ sums: HistorySums) -> MinuteModel {
        MinuteModel(
            minute: minute,
            calls: sums.calls,
            costUnits: CostUnits(micro: sums.low).units,
            seconds: Double(sums.time) / 1e9,
            errors: sums.errors
        )
    }

    static func share(_ part: Double, of whole: Double) -> Double { whole > 0 ? part / whole : 0 }

    static func time(_ seconds: Int64) -> String {
        let (nanoseconds, isTooLate) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return isTooLate ? "for ever" : String(Timestamp(nanoseconds: nanoseconds).rfc3339.prefix(19)) + "Z"
    }
}
