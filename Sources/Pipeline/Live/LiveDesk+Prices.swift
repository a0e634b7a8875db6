// SPDX-License-Identifier: Apache-2.0
public import Costs
import Synchronization

/// What workers and the pricing service leave for each other.
extension LiveDesk {
    /// What the workers asked and told since the last time.
    public func takePricing() -> PricingTray {
        state.withLock { state in
            defer { state.pricing = PricingTray() }
            return state.pricing
        }
    }

    /// Tells all workers prices.
    public func tell(_ answers: [PriceAnswer]) {
        guard !answers.isEmpty else { return }
        state.withLock { state in
            for worker in posts.indices { state.prices[worker, default: []] += answers }
        }
        ring()
    }

    /// Tells all workers the settings of roles.
    public func tell(_ roles: RoleFacts) {
        let isNew = state.withLock { state in
            guard state.orders.roles != roles else { return false }
            state.orders.roles = roles
            state.orders.rolesTold += 1
            return true
        }
        if isNew { ring() }
    }

    /// Asks the workers how long patterns took: they tell it with what they ask.
    public func askForObservations() {
        state.withLock { $0.orders.observation += 1 }
        ring()
    }

    /// What a worker asks and tells.
    func post(_ tray: PricingTray) { state.withLock { $0.pricing.add(tray) } }

    /// What a worker is told.
    func takePrices(_ worker: Int) -> [PriceAnswer] {
        state.withLock { $0.prices.removeValue(forKey: worker) ?? [] }
    }
}
