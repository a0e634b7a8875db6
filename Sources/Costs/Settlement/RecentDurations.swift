// SPDX-License-Identifier: Apache-2.0

/// Durations since they were last looked at, in half octaves from 1 µs to 17 s; 100 bytes, no allocation.
public struct RecentDurations: Sendable, BitwiseCopyable {
    private static var buckets: Int { 48 }
    private static var lowest: Int { 10 }

    /// How many there are.
    public private(set) var count: UInt32 = 0
    private var counts: [48 of UInt16] = .init(repeating: 0)

    /// None.
    public init() {}

    /// Records one duration, ns.
    @inline(__always)
    public mutating func record(_ nanoseconds: Int64) {
        let bucket = Self.bucket(nanoseconds)
        guard counts[bucket] < .max else { return }
        counts[bucket] &+= 1
        count &+= 1
    }

    @inline(__always)
    private static func bucket(_ nanoseconds: Int64) -> Int {
        let value = UInt64(max(1, nanoseconds))
        let exponent = 63 &- value.leadingZeroBitCount
        guard exponent >= lowest else { return 0 }
        let half = Int(value &>> UInt64(exponent &- 1)) & 1
        return min(buckets &- 1, (exponent &- lowest) &* 2 &+ half)
    }

    /// Adds those of another worker.
    public mutating func add(_ other: RecentDurations) {
        for index in 0..<Self.buckets {
            let (sum, overflow) = counts[index].addingReportingOverflow(other.counts[index])
            counts[index] = overflow ? .max : sum
        }
        count &+= other.count
    }

    /// What an execution takes when nothing holds it up, in ms; `nil` when there are none.
    ///
    /// Lock waits and cold caches lengthen some runs, load all of them: so durations beyond five times the median are left
    /// out, and of the rest the 37th percentile is taken.
    public var typical: Double? {
        guard let median = quantile(0.5, below: .infinity) else { return nil }
        return quantile(0.375, below: 5 * median)
    }

    private func quantile(_ rank: Double, below limit: Double) -> Double? {
        let counts = self.counts.span
        var total = 0.0
        for index in counts.indices where Self.middle(index) <= limit { total += Double(counts[index]) }
        guard total > 0 else { return nil }
        var seen = 0.0
        for index in counts.indices {
            seen += Double(counts[index])
            if seen >= rank * total { return Self.middle(index) }
        }
        return nil
    }

    /// The middle of a bucket, ms.
    private static func middle(_ index: Int) -> Double {
        let start = Double(UInt64(1) << UInt64(lowest + index / 2)) * (index % 2 == 0 ? 1 : 1.5)
        return start * (index % 2 == 0 ? 1.25 : 1.167) / 1e6
    }
}
