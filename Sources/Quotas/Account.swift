// SPDX-License-Identifier: Apache-2.0
public import Domain

/// What one principal used in one calendar hour (UTC), in micro-units.
public struct HourUsage: Sendable, BitwiseCopyable, Hashable {
    /// Hours since 1970-01-01 00:00 UTC.
    public var hour: Int64
    /// What is proven: completed or failed on the server.
    public var low: Int64
    /// That, and what may have run.
    public var high: Int64
}

/// The usage of one principal: charged when a statement is sent, settled or refunded when it ends.
public struct Account: Sendable {
    private var current = HourUsage(hour: .min, low: 0, high: 0)
    private var earlier: [HourUsage] = []

    private static let hourLength: Int64 = 3_600_000_000_000

    /// An account without usage.
    public init() {}

    /// A statement was sent.
    public mutating func charge(_ amount: Int64, at time: Timestamp) {
        turn(to: time)
        current.high &+= amount
    }

    /// A statement that was charged at `time` is proven.
    public mutating func settle(_ amount: Int64, at time: Timestamp) {
        turn(to: time)
        current.low &+= amount
    }

    /// A statement that was charged at `time` never ran.
    public mutating func refund(_ amount: Int64, at time: Timestamp) {
        turn(to: time)
        current.high &-= amount
    }

    /// Usage hour by hour, in order, each hour once.
    public var hours: [HourUsage] {
        var sums: [Int64: HourUsage] = [:]
        for usage in earlier + [current] where usage.hour != .min {
            var sum = sums[usage.hour] ?? HourUsage(hour: usage.hour, low: 0, high: 0)
            sum.low &+= usage.low
            sum.high &+= usage.high
            sums[usage.hour] = sum
        }
        return sums.values.sorted { $0.hour < $1.hour }
    }

    /// Adds another worker's account of the same principal.
    public mutating func add(_ other: Account) {
        earlier += other.hours
        if earlier.count > 4096 { earlier = hours.filter { $0.hour != current.hour } }
    }

    @inline(__always)
    private mutating func turn(to time: Timestamp) {
        let start = current.hour &* Self.hourLength
        let into = time.nanoseconds &- start
        if current.hour == .min || into < 0 || into >= Self.hourLength { turnSlowly(to: time) }
    }

    @inline(never)
    private mutating func turnSlowly(to time: Timestamp) {
        let quotient = time.nanoseconds / Self.hourLength
        let hour = time.nanoseconds < 0 && time.nanoseconds % Self.hourLength != 0 ? quotient - 1 : quotient
        if current.hour != .min { earlier.append(current) }
        // A clock that jumps to and fro must not make the list grow without end.
        if earlier.count >= 4096 {
            current = HourUsage(hour: .min, low: 0, high: 0)
            earlier = hours
        }
        current = HourUsage(hour: hour, low: 0, high: 0)
    }
}

/// How an account stands against its tier.
public struct Standing: Sendable {
    /// The largest share of a budget used in any one hour or day, by proven usage.
    public var utilization: Double
    /// The same by proven and possible usage.
    public var utilizationHigh: Double
    /// The rung that the proven usage stands on.
    public var verdict: Verdict

    /// The standing of an account in a tier; without a tier or budget nothing is used.
    public init(_ account: Account, tier: Tier?) {
        var days: [Int64: (low: Int64, high: Int64)] = [:]
        var low = 0.0
        var high = 0.0
        for usage in account.hours {
            let day = usage.hour >= 0 ? usage.hour / 24 : (usage.hour - 23) / 24
            days[day, default: (0, 0)].low &+= usage.low
            days[day, default: (0, 0)].high &+= usage.high
            low = max(low, Self.share(usage.low, tier?.hourly))
            high = max(high, Self.share(usage.high, tier?.hourly))
        }
        for usage in days.values {
            low = max(low, Self.share(usage.low, tier?.daily))
            high = max(high, Self.share(usage.high, tier?.daily))
        }
        utilization = low
        utilizationHigh = high
        verdict = Verdict(utilization: low)
    }

    private static func share(_ amount: Int64, _ budget: CostUnits?) -> Double {
        guard let budget, budget.micro > 0 else { return 0 }
        return Double(amount) / Double(budget.micro)
    }
}
