// SPDX-License-Identifier: Apache-2.0
import Dashboard
import Domain
import Metering
import Packets
import Pipeline
import PostgresWire
import Quotas
import Reports
import SQLiteStore
import Settings

extension ModelMaker {
    // MARK: Users

    /// Of all users, so many whose budgets are fullest, these first.
    func users(most count: Int) -> [UserModel] {
        guard let quotas = view.quotas else { return usersByCost(most: count) }
        return users(quotas.rows(.fullest(count)))
    }

    /// One user.
    func user(_ user: UserKey) -> UserModel? {
        guard let quotas = view.quotas else {
            return usersByCost(most: .max).first { $0.id == user.description }
        }
        return users(quotas.rows(.these([user]))).first
    }

    /// Users who have a limit, or for whom one waits, or about whom a person decided.
    func limitedUsers() -> [UserModel] {
        guard let quotas = view.quotas else { return [] }
        return users(quotas.rows(.limited)).filter {
            $0.connections != nil || $0.isHeld || $0.override != nil || !$0.enforcement.isEmpty
        }
    }

    private func users(_ rows: [QuotaRow]) -> [UserModel] {
        let counts = view.counts()
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
            fill(&model, row.name.flatMap { counts[$0] })
            return model
        }
        .sorted { ($0.utilization, $1.id) > ($1.utilization, $0.id) }
    }

    /// Reasons may name a user.
    private func hideName(in reason: String, _ name: String) -> String {
        view.privacy.keepsNames || name.isEmpty ? reason : reason.replacing(name, with: "the user")
    }

    /// Without quotas: what the workers saw.
    private func usersByCost(most count: Int) -> [UserModel] {
        let policy = view.desk.judgement.policy
        let heaviest = view.counts().sorted { ($0.value.costLow, $1.key) > ($1.value.costLow, $0.key) }.prefix(count)
        return heaviest.map { name, counts in
            var model = UserModel()
            (model.id, model.name) = (view.userID(name), view.privacy.keepsNames ? name : nil)
            (model.tier, model.mode) = (policy.tier(of: name)?.name ?? "", "no quotas")
            fill(&model, counts)
            return model
        }
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

    static func user(_ group: HistoryGroup) -> UserModel {
        var model = UserModel()
        model.id = group.user ?? ""
        (model.statements, model.errors) = (UInt64(clamping: group.sums.calls), UInt64(clamping: group.sums.errors))
        (model.costUnits, model.seconds) = (CostUnits(micro: group.sums.low).units, Double(group.sums.time) / 1e9)
        return model
    }
}
