// SPDX-License-Identifier: Apache-2.0

/// How the prices of a live capture are asked for.
public struct PricingScheme: Sendable {
    /// The cluster's name, which prices are kept under.
    public var cluster: String
    /// Prices are asked as the role that runs a statement, and are that role's.
    public var asTenant: Bool

    /// How long a worker holds a price before it looks for a newer one, ns; the old one holds until that is there.
    public var lifetime: Int64
    /// Who tells prices.
    public var source: Source

    /// Who tells the prices of statements that are not listed.
    public enum Source: Sendable {
        /// A server's planner, or a store that others fill.
        case planner
        /// Durations alone, unless a person set what all cost.
        case durations
    }

    /// A scheme; prices are held for ten minutes.
    public init(cluster: String, asTenant: Bool, lifetime: Int64 = 600_000_000_000, source: Source = .planner) {
        (self.cluster, self.asTenant, self.lifetime, self.source) = (cluster, asTenant, lifetime, source)
    }
}
