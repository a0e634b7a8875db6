// SPDX-License-Identifier: Apache-2.0

import Domain

/// How a user stands against one limit.
public struct LimitStanding: Sendable, Hashable {
    /// The limit.
    public var limit: QuotaLimit
    /// What is used of it; of a burst, what the bucket lacks.
    public var usage: Usage
    /// The beginning of the calendar window, in seconds since the epoch; 0 for others.
    public var start: Int64
    /// When all of the budget comes back, in seconds since the epoch; 0: bit by bit.
    public var resets: Int64

    /// The share of the budget, proven.
    public var low: Double { limit.share(usage.low) }
    /// The share of the budget, proven and possible.
    public var high: Double { limit.share(usage.high) }

    /// Looks at a user's registers at `now`, in the window's span then.
    init(
        _ limit: QuotaLimit,
        of user: UserKey,
        in ledger: borrowing NodeLedger,
        _ span: (start: Int64, end: Int64),
        _ zone: ZoneTable,
        now: Int64
    ) {
        self.limit = limit
        switch limit.window {
        case .hour, .day, .month:
            usage = ledger.usage(of: user, limit.window, from: span.start)
            (start, resets) = span
        case .sliding:
            usage = ledger.usage(of: user, limit.window, zone, now: now)
            (start, resets) = (0, 0)
        case .burst:
            let parts = ledger.parts(of: user, limit.window, zone, now: now)
            usage = Usage(
                low: Self.lack(limit, parts.map(\.low), now: now),
                high: Self.lack(limit, parts.map(\.high), now: now)
            )
            (start, resets) = (0, 0)
        }
    }

    /// What a token bucket lacks of being full: more than its size is debt.
    ///
    /// It was full when the horizon began; parts are the usage since. Debt ends at one bucket.
    private static func lack(_ limit: QuotaLimit, _ parts: [Int64], now: Int64) -> Int64 {
        guard case .burst(let seconds) = limit.window, let part = limit.window.part, !parts.isEmpty else { return 0 }
        let size = Double(limit.budget.micro)
        let rate = size / Double(max(60, seconds))
        var level = size
        for (index, used) in parts.enumerated() {
            let isLast = index == parts.count - 1
            let refill = rate * Double(isLast ? now - WindowKind.floor(now, part) : part)
            level = max(-size, min(size, level - Double(used) + refill))
        }
        return Int64(size - level)
    }
}

/// How a user stands against all limits of a tier.
public struct Evaluation: Sendable, Hashable {
    /// Every limit.
    public var standings: [LimitStanding]

    /// The limit that is used most, proven: it decides.
    public var fullest: LimitStanding? { standings.max { $0.low < $1.low } }
    /// The share of its budget.
    public var utilization: Double { fullest?.low ?? 0 }
    /// The greatest possible share of a budget.
    public var utilizationHigh: Double { standings.map(\.high).max() ?? 0 }

    /// Looks at a user's registers at `now`, in seconds since the epoch.
    public init(_ user: UserKey, _ tier: Tier, in ledger: borrowing NodeLedger, _ zone: ZoneTable, now: Int64) {
        standings = []
        for limit in tier.limits {
            let span = limit.window.span(at: now, zone)
            standings.append(LimitStanding(limit, of: user, in: ledger, span, zone, now: now))
        }
    }
}
