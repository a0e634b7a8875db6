// SPDX-License-Identifier: Apache-2.0
import Domain

/// How an account stands against its tier over all that was seen.
public struct Standing: Sendable {
    /// The largest share of a budget used in any one hour, day or month, by proven usage.
    public var utilization: Double
    /// The same by proven and possible usage.
    public var utilizationHigh: Double
    /// The rung that the proven usage stands on.
    public var verdict: Verdict

    /// The standing of an account in a tier; without a tier or budget nothing is used.
    ///
    /// Sliding windows and bursts need a `timeline`; without one they are left out.
    public init(_ account: Account, tier: Tier?, zone: ZoneTable = .utc, timeline: [SlotUsage] = []) {
        let hours = account.hours
        var (low, high) = (0.0, 0.0)
        for limit in tier?.limits ?? [] where limit.window.isCalendar {
            var spans: [Int64: Usage] = [:]
            for hour in hours {
                let seconds = hour.hour.multipliedReportingOverflow(by: 3600)
                let start = limit.window.span(at: seconds.overflow ? 0 : seconds.partialValue, zone).start
                spans[start, default: .zero] += Usage(low: hour.low, high: hour.high)
            }
            low = max(low, spans.values.map { limit.share($0.low) }.max() ?? 0)
            high = max(high, spans.values.map { limit.share($0.high) }.max() ?? 0)
        }
        if let tier, !timeline.isEmpty { Self.look(timeline, tier, zone, &low, &high) }
        utilization = low
        utilizationHigh = high
        verdict = Verdict(utilization: low)
    }

    /// What the limits that are no calendar windows were used at most, looked at after every slot.
    private static func look(
        _ timeline: [SlotUsage],
        _ tier: Tier,
        _ zone: ZoneTable,
        _ low: inout Double,
        _ high: inout Double
    ) {
        var tier = tier
        tier.limits.removeAll { $0.window.isCalendar }
        guard !tier.limits.isEmpty else { return }
        let user = UserKey(Fingerprint(high: 0, low: 0))
        var ledger = NodeLedger()
        for slot in timeline.sorted(by: { $0.start < $1.start }) {
            ledger.add([slot], of: user, to: tier.limits.map(\.window), zone, now: slot.start)
            ledger.forget(before: slot.start)
            let evaluation = Evaluation(user, tier, in: ledger, zone, now: slot.start + WindowKind.grain - 1)
            low = max(low, evaluation.utilization)
            high = max(high, evaluation.utilizationHigh)
        }
    }
}

extension QuotaLimit {
    /// The share of the budget that an amount is; 0 for a budget of nothing.
    func share(_ amount: Int64) -> Double { budget.micro > 0 ? Double(amount) / Double(budget.micro) : 0 }
}
