// SPDX-License-Identifier: Apache-2.0

/// A rung of the ladder.
public enum Verdict: String, Sendable, CaseIterable, Comparable {
    /// Below 80 %.
    case ok
    /// From 80 %: the user is told.
    case warning
    /// From 100 %: few connections.
    case limited
    /// From 150 %: the fewest connections.
    case severe

    /// The rung of a utilization (1 is the whole budget).
    public init(utilization: Double) {
        self = Self.allCases.last { utilization >= $0.threshold } ?? .ok
    }

    /// The utilization where the rung begins.
    public var threshold: Double {
        switch self {
        case .ok: -.infinity
        case .warning: 0.8
        case .limited: 1
        case .severe: 1.5
        }
    }

    /// Orders from harmless to severe.
    public static func < (left: Verdict, right: Verdict) -> Bool { left.threshold < right.threshold }
}

/// How many connections the rungs leave.
public struct LadderConnections: Sendable, Hashable {
    /// From 100 %; at least 1.
    public var limited = 5
    /// From 150 %; at least 1.
    public var severe = 1

    /// 5 and 1.
    public init(limited: Int = 5, severe: Int = 1) { (self.limited, self.severe) = (limited, severe) }

    /// The most connections of a rung, but no fewer than `floor`; `nil`: as many as before.
    public func most(_ verdict: Verdict, floor: Int = 1) -> Int? {
        switch verdict {
        case .ok, .warning: nil
        case .limited: max(limited, floor, 1)
        case .severe: max(severe, floor, 1)
        }
    }
}
