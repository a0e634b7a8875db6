// SPDX-License-Identifier: Apache-2.0
public import Costs
public import Domain

extension StoredPrice {
    /// Takes what a server said; what was learned from durations goes on from there.
    public mutating func take(_ result: PricingResult, at time: Timestamp) {
        let before = cost
        let hadPrice = method == .generic || method == .literal
        let now: CostUnits
        switch result {
        case .plan(let plan, let version):
            method = .generic
            // An empty table costs the planner nothing, but somebody must look whether it is empty.
            now = CostUnits(units: max(plan.cost, plan.tables.isEmpty ? 0 : 0.01))
            (rows, width, tables, shape) = (plan.rows, plan.width, plan.tables, plan.shape)
            self.version = version
        case .fixed(let utility):
            method = .utility
            now = CostUnits(units: utility.units)
        }
        (failure, failures) = ("", 0)
        guard hadPrice, before != now else {
            cost = now
            return
        }
        move(to: now, at: time)
        learned.rebase(from: before, to: cost)
    }
}
