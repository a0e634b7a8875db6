// SPDX-License-Identifier: Apache-2.0
public import Costs
import Domain

extension StoredPrice {
    /// Takes what a server said; what was learned from durations goes on from there.
    public mutating func take(_ result: PricingResult) {
        let before = cost
        let hadPrice = method == .generic || method == .literal
        switch result {
        case .plan(let plan, let isLiteral, let version):
            method = isLiteral ? .literal : .generic
            // An empty table costs the planner nothing, but somebody must look whether it is empty.
            cost = CostUnits(units: max(plan.cost, plan.tables.isEmpty ? 0 : 0.01))
            (rows, width, tables, shape) = (plan.rows, plan.width, plan.tables, plan.shape)
            self.version = version
        case .fixed(let utility):
            method = .utility
            cost = CostUnits(units: utility.units)
        }
        (failure, failures) = ("", 0)
        guard hadPrice, before != cost else { return }
        previous = before
        learned.rebase(from: before, to: cost)
    }
}
