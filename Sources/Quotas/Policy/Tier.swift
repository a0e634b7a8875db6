// SPDX-License-Identifier: Apache-2.0
public import Domain

/// One limit of a tier: so many units in such a window.
public struct QuotaLimit: Sendable, Hashable {
    /// The window.
    public var window: WindowKind
    /// Units that may be spent in it; above 0.
    public var budget: CostUnits

    /// A limit.
    public init(_ window: WindowKind, _ budget: CostUnits) {
        self.window = window
        self.budget = budget
    }
}

/// What is done about users who overdraw their budgets.
public enum EnforcementMode: String, Sendable, CaseIterable {
    /// Nothing is judged.
    case off
    /// Usage is judged and shown, and what would have been done is audited.
    case monitor
    /// The same, and every change is told in the log.
    case warn
    /// Limits are set.
    case enforce
}

/// A class of users and what each of them may spend.
public struct Tier: Sendable, Hashable {
    /// Its name, such as `free`.
    public var name: String
    /// What holds side by side; the fullest decides.
    ///
    /// None: unlimited.
    public var limits: [QuotaLimit]
    /// What is done about its users; `nil`: what the policy says for all.
    public var mode: EnforcementMode?
    /// The fewest connections its users are ever limited to.
    public var floor: Int

    /// A tier.
    public init(name: String, limits: [QuotaLimit], mode: EnforcementMode? = nil, floor: Int = 1) {
        (self.name, self.limits, self.mode, self.floor) = (name, limits, mode, floor)
    }

    /// A tier of calendar windows.
    public init(name: String, hourly: CostUnits?, daily: CostUnits?) {
        let limits = [hourly.map { QuotaLimit(.hour, $0) }, daily.map { QuotaLimit(.day, $0) }]
        self.init(name: name, limits: limits.compactMap { $0 })
    }

    /// Units a calendar hour; `nil`: unlimited.
    public var hourly: CostUnits? { budget(.hour) }
    /// Units a calendar day; `nil`: unlimited.
    public var daily: CostUnits? { budget(.day) }

    private func budget(_ window: WindowKind) -> CostUnits? { limits.first { $0.window == window }?.budget }
}
