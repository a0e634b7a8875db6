// SPDX-License-Identifier: Apache-2.0
import Metering
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

    @Test func `added histograms are as if all had been recorded in one`() {
        var random = SplitMix64(seed: 5)
        var (together, added) = (DurationHistogram(), DurationHistogram())
        for _ in 0..<500 {
            var part = DurationHistogram()
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                let usual = Int64.random(in: 0...9_000_000_000, using: &random)
                let value = [-1, .max, usual].randomElement(using: &random) ?? 0
                together.record(value)
                part.record(value)
            }
            added.add(part)
        }
        #expect(added.text == together.text && added.count == together.count)
        #expect(added.sum == together.sum && added.longest == together.longest)
    }

    @Test func `hours and negative times are survived`() {
        var histogram = DurationHistogram()
        histogram.record(.max)
        histogram.record(-5)
        #expect(histogram.longest == UInt64(Int64.max))
        #expect(histogram.percentile(0) < 1000)
    }
}

struct HistogramTextTests {
    @Test func `counts survive being written and read, and damage is left out`() {
        var random = SplitMix64(seed: 9)
        var (first, second) = (DurationHistogram(), DurationHistogram())
        for _ in 0..<1000 { first.record(Int64.random(in: 0...5_000_000_000, using: &random)) }
        for _ in 0..<500 { second.record(Int64.random(in: 0...9_000_000, using: &random)) }
        var read = DurationHistogram()
        for part in [first, second] { read.add(text: part.text, sum: part.sum, longest: part.longest) }
        first.add(second)
        #expect(read.count == first.count && read.sum == first.sum && read.text == first.text)
        for rank in [0.1, 0.5, 0.99] { #expect(read.percentile(rank) == first.percentile(rank)) }
        read.add(text: "999:1 x:2 3 4:-1 5:1:1", sum: 0, longest: 0)
        #expect(read.count == first.count)
    }
}
