// SPDX-License-Identifier: Apache-2.0
public import Costs

/// What workers ask about prices, and what they tell those who make them.
public struct PricingTray: Sendable {
    /// Patterns without a price, or with an old one.
    public private(set) var questions: [PriceQuestion] = []
    /// Tables that changed.
    public private(set) var changes: [PlanChange] = []
    /// How long patterns took.
    public private(set) var observations: [PriceObservation] = []
    /// What found no room: it asks again when it runs again.
    public private(set) var overflow: UInt64 = 0

    private static let limit = 16_384

    /// Nothing.
    public init() {}

    init(
        questions: [PriceQuestion] = [],
        changes: [PlanChange] = [],
        observations: [PriceObservation] = [],
        overflow: UInt64 = 0
    ) {
        (self.questions, self.changes, self.observations) = (questions, changes, observations)
        self.overflow = overflow
    }

    /// Adds another worker's.
    mutating func add(_ other: PricingTray) {
        let isFull = questions.count > Self.limit || changes.count > Self.limit || observations.count > Self.limit
        guard !isFull else {
            let lost = other.questions.count + other.changes.count + other.observations.count
            overflow &+= UInt64(lost) &+ other.overflow
            return
        }
        questions += other.questions
        changes += other.changes
        observations += other.observations
        overflow &+= other.overflow
    }
}
