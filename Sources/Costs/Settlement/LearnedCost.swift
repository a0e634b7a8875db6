// SPDX-License-Identifier: Apache-2.0
public import Domain
import Glibc

/// What the durations of a pattern teach about its price.
///
/// `m = clamp(exp(EWMA(ln(ms · k ÷ C))), 1/30, 30)` with a half-life of 50 runs and a prior of 5 runs at 1: a pattern
/// that takes longer than its plan says costs more, within bounds, and one slow run changes little.
public struct LearnedCost: Sendable, Equatable {
    /// Units that a millisecond of server time stands for: the median of generic costs over times.
    public static let unitsPerMillisecond = 30.0
    /// The multiplier is at most this, and at least one part in it.
    public static let bound = 30.0
    /// The least that an execution is charged, in units.
    public static let floor = 0.1

    private static let halfLife = 50.0
    private static let prior = 5.0

    /// The mean of ln(ms · k ÷ C).
    public private(set) var ratio: Double
    /// Of how many runs it is, old ones faded.
    public private(set) var weight: Double
    /// The mean of ln(ms), for what has no planner's price.
    public private(set) var time: Double
    /// Runs seen in all.
    public private(set) var runs: UInt64

    /// Nothing learned yet.
    public init() { self.init(ratio: 0, weight: 0, time: 0, runs: 0) }

    init(ratio: Double, weight: Double, time: Double, runs: UInt64) {
        (self.ratio, self.weight, self.time, self.runs) = (ratio, weight, time, runs)
    }

    /// Takes `count` runs of about `milliseconds` each, which the planner had given `cost`.
    public mutating func learn(_ count: UInt64, of milliseconds: Double, cost: CostUnits) {
        guard count > 0, milliseconds > 0, milliseconds.isFinite else { return }
        let observed = log(milliseconds * Self.unitsPerMillisecond / max(cost.units, Self.floor))
        let kept = exp2(-Double(count) / Self.halfLife)
        // Of these runs themselves, the older ones have faded already.
        let new = (1 - kept) * Self.halfLife / log(2)
        let sum = weight * kept + new
        ratio = (ratio * weight * kept + observed * new) / sum
        time = (time * weight * kept + log(milliseconds) * new) / sum
        weight = sum
        runs &+= count
    }

    /// The cost has changed: what was learned holds for the time, not for the ratio.
    public mutating func rebase(from old: CostUnits, to new: CostUnits) {
        ratio += log(max(old.units, Self.floor) / max(new.units, Self.floor))
    }

    /// The multiplier of the planner's cost.
    public var multiplier: Double {
        guard weight > 0 else { return 1 }
        // The prior fades as runs do.
        let mean = ratio * weight / (weight + Self.prior * exp2(-Double(runs) / Self.halfLife))
        return min(max(exp(mean), 1 / Self.bound), Self.bound)
    }

    /// How long an execution usually takes, ns; 0: too few were seen.
    public var usual: Int64 {
        guard runs >= 3, time.isFinite, time < 25 else { return 0 }
        return Int64(exp(time) * 1e6)
    }

    /// What an execution is charged when it is sent.
    public func charge(of cost: CostUnits) -> CostUnits {
        CostUnits(units: max(Self.floor, max(cost.units, Self.floor) * multiplier))
    }

    /// The same where there is no planner's price: the default until three runs were seen, never more than that.
    public func chargeOfUnpriced(atMost fallback: CostUnits) -> CostUnits {
        min(fallback, chargeByTime(until: fallback))
    }

    /// The same for what is not to be planned: only its time tells what it costs, also where that is much.
    public func chargeByTime(until fallback: CostUnits) -> CostUnits {
        guard runs >= 3 else { return fallback }
        return CostUnits(units: max(Self.floor, exp(time) * Self.unitsPerMillisecond))
    }
}
