// SPDX-License-Identifier: Apache-2.0
import Domain
public import Quotas

/// How one user stands, for lists.
public struct QuotaRow: Sendable {
    /// The name; `nil`: only another node knows it.
    public var name: String?
    /// The user.
    public var user: UserKey
    /// The tier and what is done about its users.
    public var tier: String, mode: EnforcementMode
    /// The rung and since when, in seconds since the epoch.
    public var rung: Verdict, since: Int64
    /// Every limit; empty: none.
    public var standings: [LimitStanding]
    /// Connections that are left; `nil`: all.
    public var connections: Int?
    /// Whether a limit waits for consent, and whether possible usage is above a budget.
    public var isHeld: Bool, isAlerted: Bool
    /// What a person decided.
    public var override: Override?
    /// How the limit stands at each backend.
    public var enforcement: [(backend: String, state: UserEnforcement)]

    /// A row.
    public init(
        name: String?,
        user: UserKey,
        mode: EnforcementMode,
        subject: Decider.Subject,
        standings: [LimitStanding],
        override: Override?,
        enforcement: [(backend: String, state: UserEnforcement)]
    ) {
        (self.name, self.user, self.mode, self.override) = (name, user, mode, override)
        tier = subject.tier
        (rung, since) = (subject.ladder.rung, subject.ladder.since.nanoseconds / 1_000_000_000)
        self.standings = standings
        connections = subject.connections
        (isHeld, isAlerted) = (subject.isHeld, subject.isAlerted)
        self.enforcement = enforcement
    }

    var title: String { name ?? user.description }
    /// The fullest budget, proven and possible.
    public var utilization: Double { standings.map(\.low).max() ?? 0 }
    /// The same, with what is possible.
    public var utilizationHigh: Double { standings.map(\.high).max() ?? 0 }

    /// What is done, in a few words.
    public var action: String {
        if isHeld { return "held: consent needed" }
        if case .exempt? = override?.action { return "exempt" }
        if tier == Decider.exemptTier { return "exempt" }
        guard let connections else { return isAlerted ? "possibly over" : rung == .ok ? "ok" : rung.rawValue }
        let states = enforcement.map { $0.state.state.rawValue }.joined(separator: ", ")
        return "\(connections) connection\(connections == 1 ? "" : "s")" + (states.isEmpty ? "" : ", " + states)
    }

    func write(_ json: inout JSONWriter) {
        json.field("user", name)
        json.field("hash", user.description)
        json.field("tier", tier)
        json.field("mode", mode.rawValue)
        json.field("verdict", rung.rawValue)
        json.field("since", since)
        json.field("utilization", utilization, places: 6)
        json.field("utilization_high", utilizationHigh, places: 6)
        json.field("connections", connections.map(String.init))
        json.field("held", isHeld)
        json.field("possibly_over", isAlerted)
        json.array("limits") { json in
            for standing in standings {
                json.object { json in
                    json.field("window", standing.limit.window.title)
                    json.field("budget", standing.limit.budget)
                    json.field("used", Self.units(standing.usage.low))
                    json.field("possible", Self.units(standing.usage.high))
                    json.field("resets", standing.resets)
                }
            }
        }
        json.array("enforcement") { json in
            for entry in enforcement {
                json.object { json in
                    json.field("backend", entry.backend)
                    json.field("state", entry.state.state.rawValue)
                    json.field("connections", entry.state.connections.map(String.init))
                    json.field("observed", entry.state.observed.map(String.init))
                    json.field("reason", entry.state.reason)
                }
            }
        }
        if let override {
            json.object("override") { json in
                json.field("action", override.title)
                json.field("until", override.until)
                json.field("by", override.by)
                json.field("reason", override.reason)
            }
        }
    }

    static func units(_ micro: Int64) -> CostUnits { CostUnits(micro: micro) }
}

extension Override {
    /// Such as `at most 3 connections`.
    public var title: String {
        switch action {
        case .exempt: "exempt"
        case .limit(let connections): "at most \(connections) connection\(connections == 1 ? "" : "s")"
        case .tier(let name): "tier \(name)"
        }
    }
}
