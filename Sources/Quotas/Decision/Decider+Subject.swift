// SPDX-License-Identifier: Apache-2.0

extension Decider {
    /// One user as judged last.
    public struct Subject: Sendable {
        /// The user.
        public let user: UserKey
        /// The name of the user's tier.
        public internal(set) var tier: String
        /// The rung.
        public internal(set) var ladder: Ladder
        /// The share of the fullest budget, proven, and the greatest possible share of any.
        public internal(set) var utilization = 0.0, utilizationHigh = 0.0
        /// The fullest limit; `nil`: the user has none, or is not judged.
        public internal(set) var fullest: LimitStanding?
        /// The connections that are left; `nil`: all.
        public internal(set) var connections: Int?
        /// Whether a limit waits for consent.
        public internal(set) var isHeld = false
        /// Whether possible usage is above the budget, proven usage is not.
        public internal(set) var isAlerted = false
        /// The calendar window that the rung was reached in.
        var window: WindowKind?
        var start: Int64 = 0
        /// The look that it was part of last.
        var look: UInt64 = 0

        /// Somebody who was not judged yet.
        public init(_ user: UserKey, tier: String) { (self.user, self.tier, ladder) = (user, tier, Ladder()) }

        var isSettled: Bool { ladder.rung == .ok && connections == nil && !isAlerted }
    }
}
