// SPDX-License-Identifier: Apache-2.0

extension Decider {
    /// By what is judged besides usage.
    public struct Terms: Sendable {
        /// Tiers, modes, zone.
        public var policy: QuotaPolicy
        /// What people decided.
        public var overrides: [UserKey: Override] = [:]
        /// Until when more users than usual may be limited at once, in seconds since the epoch.
        public var consent: Int64 = 0
        /// Until when nobody is limited, in seconds since the epoch.
        public var pause: Int64 = 0
        /// Modes that a person switched at run time, by tier.
        public var modes: [String: EnforcementMode] = [:]
        /// Users whose budget was given back since the last look.
        public var reset: Set<UserKey> = []

        /// Terms.
        public init(_ policy: QuotaPolicy) { self.policy = policy }

        /// What is done about users of a tier.
        public func mode(of tier: String) -> EnforcementMode {
            if tier == Decider.exemptTier { return .off }
            return modes[tier] ?? modes[QuotaKeeper.everybody] ?? policy.mode(of: policy.tiers[tier])
        }
    }
}
