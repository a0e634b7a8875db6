// SPDX-License-Identifier: Apache-2.0

/// Lets `rate` things a second pass, and after a rest up to `burst` at once; times are a steady clock's, ns.
public struct TokenBucket: Sendable {
    private let rate: Double
    private let burst: Double
    private var tokens: Double
    private var last: Int64?

    /// A full bucket.
    public init(rate: Double, burst: Double) {
        (self.rate, self.burst, tokens) = (max(rate, 0.001), max(burst, 1), max(burst, 1))
    }

    /// Takes one if there is one.
    public mutating func take(at time: Int64) -> Bool { spend(1, at: time) }

    /// Whether one may pass; `amount` is taken, perhaps more than there is: then the next ones wait for it.
    public mutating func spend(_ amount: Double, at time: Int64) -> Bool {
        if let last { tokens = min(burst, tokens + Double(max(0, time &- last)) / 1e9 * rate) }
        last = time
        guard tokens >= 1 else { return false }
        tokens -= amount
        return true
    }

    /// Takes what turned out to be needed after all.
    public mutating func charge(_ amount: Double) { tokens -= amount }
}
