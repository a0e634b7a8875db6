// SPDX-License-Identifier: Apache-2.0
import Costs
import Synchronization

/// What workers leave for the pricing service.
extension LiveDesk {
    /// What the workers asked and told since the last time.
    public func takePricing() -> PricingTray {
        state.withLock { state in
            defer { state.pricing = PricingTray() }
            return state.pricing
        }
    }

    /// What a worker asks and tells.
    func post(_ tray: PricingTray) { state.withLock { $0.pricing.add(tray) } }
}
