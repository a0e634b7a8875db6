// SPDX-License-Identifier: Apache-2.0
import Dashboard
import Domain
import Metering
import Packets
import Pipeline
import Platform
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
        let (census, facts, now) = (view.census(), view.now, SystemClock.time())
        var model = StatusModel()
        (model.time, model.began, model.version) = (now.rfc3339, facts.began.rfc3339, Version.text)
        (model.sources, model.ports) = (facts.interfaces, facts.ports.map { Int($0) })
        (model.statements, model.costUnits) = (census.totals.started, CostUnits(micro: census.totals.costLow).units)
        let sessions = view.sessions()
        (model.openSessions, model.activeSessions) = (sessions.open, sessions.active)
        (model.users, model.limitedUsers) = users(facts)
        model.encryptedSessions = census.sessions.encrypted
        model.blindShare = Self.share(Double(census.sessions.encrypted), of: Double(census.sessions.total))
        let capture = census.capture
        model.lostPackets =
            capture.kernelDropped + capture.interfaceDropped + capture.relayDroppedRecords + capture.shedSegments
        model.gapBytes = census.reassembly.gapBytes
        model.lossShare = Self.share(
            Double(census.reassembly.gapBytes),
            of: Double(census.reassembly.gapBytes) + Double(capture.bytes)
        )
        model.unattributedStatements = census.unattributed.started
        model.unattributedCostUnits = CostUnits(micro: census.unattributed.costLow).units
        model.verifiedShare = facts.verification?.compactMap(\.ratio).min()
        model.verification = facts.verification?.map(\.line) ?? []
        model.showsNames = view.privacy.keepsNames
        model.minutes = lastHour()
        // The minute that runs is not there yet.
        let last = model.minutes.last { $0.minute == HistoryService.minute() - 1 }
        (model.statementsLastMinute, model.costUnitsLastMinute) = (last?.calls, last?.costUnits)
        model.problems = problems(model, facts, missing: census.missing)
        return model
    }

    private func users(_ facts: DaemonFacts) -> (Int, Int) {
        guard let quotas = facts.quotas else { return (view.counts().count, 0) }
        func value(_ name: String) -> Int { Int(clamping: quotas.values.first { $0.name == name }?.value ?? 0) }
        return (value("users"), value("limited"))
    }

    private func lastHour() -> [MinuteModel] {
        guard let store = view.history?.store else { return [] }
        let now = HistoryService.minute()
        let question = HistoryQuestion(from: now - 60, to: now, by: .user)
        return ((try? store.trend(question, step: 1)) ?? []).map { Self.minute($0.minute, $0.sums) }
    }

    private func problems(_ model: StatusModel, _ facts: DaemonFacts, missing: Int) -> [String] {
        var problems: [String] = []
        if let error = facts.reloadError {
            problems.append("The last reload failed, the old configuration holds: \(error)")
        }
        if missing > 0 { problems.append("\(missing) of \(facts.workers) workers did not answer.") }
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
        for server in facts.verification ?? [] where server.isBlind {
            problems.append("Not all is metered: \(server.line). 'pgweir verify' tells whose.")
        }
        if let history = view.history?.facts.problem { problems.append("The history: \(history)") }
        problems += facts.stateProblems
        return problems + (facts.quotas?.problems ?? [])
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
