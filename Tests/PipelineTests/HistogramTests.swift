// SPDX-License-Identifier: Apache-2.0
import Pipeline
import TestKit
import Testing

struct HistogramTests {
    @Test func `percentiles lie within an eighth of the exact ones`() {
        var random = SplitMix64(seed: 4)
        var histogram = DurationHistogram()
        let values = (0..<5000).map { _ in Int64.random(in: 1000...2_000_000_000, using: &random) }.sorted()
        for value in values { histogram.record(value) }
        for rank in [0.5, 0.95, 0.99] {
            let exact = Double(values[Int((rank * 5000).rounded(.up)) - 1])
            #expect(abs(Double(histogram.percentile(rank)) - exact) <= exact / 8, "\(rank)")
        }
        #expect(histogram.percentile(1) <= histogram.longest)
    }

    @Test func `hours and negative times are survived`() {
        var histogram = DurationHistogram()
        histogram.record(.max)
        histogram.record(-5)
        #expect(histogram.longest == UInt64(Int64.max))
        #expect(histogram.percentile(0) < 1000)
    }
}
