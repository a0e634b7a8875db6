// SPDX-License-Identifier: Apache-2.0
import Costs
import Metering

extension Metering where Recorder: ~Copyable {
    /// What waits to be asked and told about prices.
    mutating func takeQuestions() -> PricingTray? {
        guard let waiting = takePricing() else { return nil }
        return PricingTray(
            questions: waiting.wanted.compactMap { question($0) },
            changes: waiting.changes,
            overflow: waiting.overflow
        )
    }
}
