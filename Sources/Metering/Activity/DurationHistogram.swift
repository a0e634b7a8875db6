// SPDX-License-Identifier: Apache-2.0

/// Durations in buckets of at most 1/8 of their size, from 1 µs to 73 minutes; about 1 KiB, no allocation.
///
/// Logarithmic buckets with linear parts, after HdrHistogram (Tene), small enough to have one for every pattern.
/// Sums of histograms are exact, so that any number of workers gives the same percentiles.
public struct DurationHistogram: BitwiseCopyable, Sendable {
    private static let parts = 8
    private static let lowestShift = 10  // 1.024 µs
    private static let bucketCount = 256

    /// How many durations were recorded.
    public private(set) var count: UInt64 = 0
    /// Their sum, ns.
    public private(set) var sum: UInt64 = 0
    /// The longest, ns.
    public private(set) var longest: UInt64 = 0
    private var counts: [256 of UInt32] = .init(repeating: 0)

    /// An empty histogram.
    public init() {}

    /// Records one duration, ns; negative ones count as 0.
    public mutating func record(_ nanoseconds: Int64) {
        let value = UInt64(max(0, nanoseconds))
        counts[Self.bucket(value)] &+= 1
        count &+= 1
        sum &+= value
        if value > longest { longest = value }
    }

    /// Adds another histogram.
    public mutating func add(_ other: DurationHistogram) {
        // Most patterns of a flood ran once: their buckets need not be read.
        guard other.count > 1 else {
            if other.count == 1 { record(Int64(clamping: other.sum)) }
            return
        }
        for index in 0..<Self.bucketCount { counts[index] &+= other.counts[index] }
        count &+= other.count
        sum &+= other.sum
        longest = max(longest, other.longest)
    }

    /// The duration that a share `rank` (0…1) of all durations does not exceed, ns, within 1/16; 0 when empty.
    public func percentile(_ rank: Double) -> UInt64 {
        guard count > 0 else { return 0 }
        let wanted = max(1, UInt64((rank * Double(count)).rounded(.up)))
        var seen: UInt64 = 0
        // Not by subscript: that copies the whole array for each element.
        let counts = self.counts.span
        for index in counts.indices {
            seen &+= UInt64(counts[index])
            if seen >= wanted { return min(Self.middle(index), longest) }
        }
        return longest
    }

    /// The counts as text: `bucket:count`, with blanks between; made to be added up again.
    public var text: String {
        var parts: [String] = []
        let counts = self.counts.span
        for index in counts.indices where counts[index] > 0 { parts.append("\(index):\(counts[index])") }
        return parts.joined(separator: " ")
    }

    /// Adds what ``text`` wrote; damaged parts are left out.
    ///
    /// - Parameters:
    ///   - sum: the sum of these durations, ns.
    ///   - longest: the longest of them, ns.
    public mutating func add(text: String, sum: UInt64, longest: UInt64) {
        for part in text.split(separator: " ") {
            let halves = part.split(separator: ":")
            guard halves.count == 2, let index = Int(halves[0]), (0..<Self.bucketCount).contains(index),
                let number = UInt32(halves[1])
            else { continue }
            counts[index] &+= number
            count &+= UInt64(number)
        }
        self.sum &+= sum
        self.longest = max(self.longest, longest)
    }

    private static func bucket(_ value: UInt64) -> Int {
        let scaled = value >> UInt64(lowestShift - 3)
        guard scaled >= UInt64(parts) else { return Int(scaled) }
        let exponent = 63 - scaled.leadingZeroBitCount
        let part = Int(scaled >> UInt64(exponent - 3)) & (parts - 1)
        return min(bucketCount - 1, (exponent - 2) * parts + part)
    }

    private static func middle(_ index: Int) -> UInt64 {
        let unit = UInt64(1) << UInt64(lowestShift - 3)
        guard index >= parts else { return UInt64(index) * unit + unit / 2 }
        let exponent = UInt64(index / parts + 2)
        let width = unit << (exponent - 3)
        return (unit << exponent) + UInt64(index % parts) * width + width / 2
    }
}
