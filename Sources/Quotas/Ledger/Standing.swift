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
    public init(_ account: Account, tier: Tier?, zone: ZoneTable = .utc) {
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
        utilization = low
        utilizationHigh = high
        verdict = Verdict(utilization: low)
    }
}

extension QuotaLimit {
    /// The share of the budget that an amount is; 0 for a budget of nothing.
    func share(_ amount: Int64) -> Double { budget.micro > 0 ? Double(amount) / Double(budget.micro) : 0 }
}
