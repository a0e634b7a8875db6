// SPDX-License-Identifier: Apache-2.0
import Domain

/// Who is in which tier, and what is done about those who overdraw.
public struct QuotaPolicy: Sendable {
    /// The tiers by name.
    public var tiers: [String: Tier]
    /// Tiers of single users by name: they go before patterns.
    public var users: [String: String]
    /// Tiers by name pattern; the first that fits holds.
    public var patterns: [(pattern: UserPattern, tier: String)] = []
    /// Tiers that a database says, by user: they go behind names and patterns.
    ///
    /// Read by a service, so empty at first.
    public var directory: [String: String] = [:]
    /// The tier of everybody else.
    public var fallback: String
    /// What is done where a tier does not say otherwise.
    public var mode = EnforcementMode.monitor
    /// Users who are never judged.
    public var exempt: [UserPattern] = []
    /// When calendar windows begin.
    public var zone = ZoneTable.utc
    /// Connections that are left at 100 % and at 150 %.
    public var connections = LadderConnections()
    /// The greatest share of known users, from 0 to 1, who may be limited at once without consent.
    public var mostLimited = 0.2

    /// A policy.
    ///
    /// A user whose tier is not among `tiers` has no limits.
    public init(tiers: [Tier], users: [String: String] = [:], fallback: String) {
        self.tiers = Dictionary(tiers.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.users = users
        self.fallback = fallback
    }

    /// The tier of a user.
    public func tier(of user: String) -> Tier? { tiers[tierName(of: user)] }

    /// The name of a user's tier.
    public func tierName(of user: String) -> String {
        users[user] ?? patterns.first { $0.pattern.matches(user) }?.tier ?? directory[user] ?? fallback
    }

    /// Users whom the policy itself names, or the directory: they need not have been seen.
    public var namedUsers: Set<String> {
        Set(users.keys).union(directory.keys).union(exempt.map(\.text)).union(patterns.map(\.pattern.text))
    }

    /// All that says which user is in which tier, as one text: equal for policies that assign alike.
    ///
    /// The directory is not part of it: its names are known while it is.
    public var assignment: String {
        var lines = users.sorted { $0.key < $1.key }.map { "user \($0.key)\t\($0.value)" }
        lines += patterns.map { "pattern \($0.pattern.text)\t\($0.tier)" }
        lines += exempt.map { "exempt \($0.text)" }.sorted()
        lines.append("fallback \(fallback)")
        return lines.joined(separator: "\n")
    }

    /// Whether a user is never judged.
    public func isExempt(_ user: String) -> Bool { exempt.contains { $0.matches(user) } }

    /// What is done about a user of a tier.
    public func mode(of tier: Tier?) -> EnforcementMode { tier?.mode ?? mode }

    /// Whether usage by the hour is not enough to judge by.
    public var needsTimeline: Bool { tiers.values.contains { $0.limits.contains { !$0.window.isCalendar } } }

    /// Windows that are kept for everybody, so that a change of tier judges by the whole of them.
    public var calendarWindows: [WindowKind] {
        let used = Set(tiers.values.flatMap { $0.limits.map(\.window) })
        return [.hour, .day, .month].filter { used.contains($0) }
    }

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
