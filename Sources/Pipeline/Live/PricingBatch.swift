// SPDX-License-Identifier: Apache-2.0
public import Costs

/// What workers ask about prices, and what they tell those who make them.
public struct PricingBatch: Sendable {
    /// Patterns without a price, or with an old one.
    public private(set) var questions: [PriceQuestion] = []
    /// Tables that changed.
    public private(set) var changes: [PlanChange] = []
    /// How long patterns took.
    public private(set) var observations: [PriceObservation] = []
    /// What found no room: it asks again when it runs again.
    public private(set) var overflow: UInt64 = 0

    private static let limit = 16_384
    /// Bytes of questions.
    private static let mostBytes = 32 << 20
    /// What each user's questions take of that.
    private var shares: [String: Int] = [:]
    private var bytes = 0

    /// Into how many parts the room is divided, of which this has one.
    private var parts = 1

    /// Nothing.
    public init() {}

    /// Nothing, with the room of one of so many.
    init(share parts: Int) { self.parts = max(1, parts) }

    init(
        questions: [PriceQuestion] = [],
        changes: [PlanChange] = [],
        observations: [PriceObservation] = [],
        overflow: UInt64 = 0
    ) {
        (self.questions, self.changes, self.observations) = (questions, changes, observations)
        self.overflow = overflow
    }

    /// Adds another worker's: of each user no more than a share, so that one who asks much leaves room for others.
    mutating func add(_ other: PricingBatch) {
        let (limit, mostBytes) = (Self.limit / parts, Self.mostBytes / parts)
        for question in other.questions {
            let user = question.sample.user ?? ""
            let size = question.sample.text.count + question.pattern.count
            guard questions.count < limit, shares[user, default: 0] + size < mostBytes / 8,
                bytes + size < mostBytes
            else {
                overflow &+= 1
                continue
            }
            shares[user, default: 0] += size + mostBytes / limit
            bytes += size
            questions.append(question)
        }
        let isFull = changes.count > limit || observations.count > limit
        guard !isFull else {
            let lost = other.changes.count + other.observations.count
            overflow &+= UInt64(lost) &+ other.overflow
            return
        }
        changes += other.changes
        observations += other.observations
        overflow &+= other.overflow
    }
}
