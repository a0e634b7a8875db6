// SPDX-License-Identifier: Apache-2.0
public import Domain

/// A class of users and what each of them may spend.
public struct Tier: Sendable, Hashable {
    /// Its name, such as `free`.
    public var name: String
    /// Units an hour (UTC calendar hour); `nil`: unlimited.
    public var hourly: CostUnits?
    /// Units a day (UTC calendar day); `nil`: unlimited.
    public var daily: CostUnits?

    /// A tier.
    public init(name: String, hourly: CostUnits?, daily: CostUnits?) {
        self.name = name
        self.hourly = hourly
        self.daily = daily
    }
}

/// Who is in which tier.
public struct QuotaPolicy: Sendable {
    /// The tiers by name.
    public var tiers: [String: Tier]
    /// Tiers of single users by name.
    public var users: [String: String]
    /// The tier of everybody else.
    public var fallback: String

    /// A policy.
    ///
    /// A user whose tier is not among `tiers` has no limits.
    public init(tiers: [Tier], users: [String: String] = [:], fallback: String) {
        self.tiers = Dictionary(tiers.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.users = users
        self.fallback = fallback
    }

    /// The tier of a user.
    public func tier(of user: String) -> Tier? { tiers[users[user] ?? fallback] }

    /// Three tiers with round numbers, for a first look without a configuration.
    public static let standard = QuotaPolicy(
        tiers: [
            Tier(name: "free", hourly: CostUnits(units: 1_000_000), daily: CostUnits(units: 10_000_000)),
            Tier(name: "premium", hourly: CostUnits(units: 10_000_000), daily: CostUnits(units: 100_000_000)),
            Tier(name: "enterprise", hourly: CostUnits(units: 100_000_000), daily: CostUnits(units: 1_000_000_000)),
        ],
        fallback: "free"
    )
}

/// A rung of the ladder.
public enum Verdict: String, Sendable, CaseIterable {
    /// Below 80 %.
    case ok
    /// From 80 %: the user is told.
    case warning
    /// From 100 %: at most 5 connections.
    case limited
    /// From 150 %: at most 1 connection.
    case severe

    /// The rung of a utilization (1 is the whole budget).
    public init(utilization: Double) {
        switch utilization {
        case ..<0.8: self = .ok
        case ..<1.0: self = .warning
        case ..<1.5: self = .limited
        default: self = .severe
        }
    }

    /// The most connections it leaves; `nil`: as many as before.
    public var connections: Int? {
        switch self {
        case .ok, .warning: nil
        case .limited: 5
        case .severe: 1
        }
    }
}
