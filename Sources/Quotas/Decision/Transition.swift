// SPDX-License-Identifier: Apache-2.0

/// Something that changed for one user, for the audit and the log.
public struct Transition: Sendable, Hashable {
    /// Why it changed.
    public enum Cause: String, Sendable {
        /// Proven usage crossed a threshold.
        case crossed
        /// Usage stayed below the threshold for long enough.
        case calmed
        /// The window ended, or a person reset it.
        case reset
        /// A person decided, or a person's decision ended.
        case override
        /// The limit would be one too many at once; it waits for consent.
        case brake
        /// Consent or room came for a limit that waited.
        case consent
        /// Possible usage crossed the budget, proven usage did not: nothing is limited, but somebody should look.
        case possible
    }

    /// The user.
    public var user: UserKey
    /// The tier's name.
    public var tier: String
    /// What is done about users of the tier.
    public var mode: EnforcementMode
    /// The rung before and after.
    public var from: Verdict, to: Verdict
    /// The connections that were left before and are after; `nil`: all.
    public var before: Int?, after: Int?
    /// Why.
    public var cause: Cause
    /// The share of the fullest budget: proven, and possible.
    public var utilization: Double, utilizationHigh: Double
    /// The limit that decided; `nil`: none did.
    public var standing: LimitStanding?
    /// When, in seconds since the epoch.
    public var time: Int64
}
