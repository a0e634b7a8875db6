// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestKit
import Testing

struct QuantityTests {
    @Test(arguments: [
        (0, 6, "0"), (1, 6, "0.000001"), (-1, 6, "-0.000001"), (1_500_000, 6, "1.5"), (-20_000_000, 6, "-20"),
        (1_000_000_001, 9, "1.000000001"), (12, 0, "12"), (7, 18, "0.000000000000000007"),
    ])
    func `a fixed number is written without zeros that say nothing`(_ value: Int64, _ places: Int, _ text: String) {
        #expect(Quantity.fixed(value, places: places) == text)
    }

    @Test func `every fixed number is the one that was given`() {
        var values: [Int64] = [.min, .max, .min + 1, -10, -9, 9, 10]
        var random = SplitMix64(seed: 4711)
        for _ in 0..<2000 {
            values.append(.random(in: .min ... .max, using: &random) >> Int64.random(in: 0..<64, using: &random))
        }
        for value in values {
            for places in 0...18 {
                let text = Quantity.fixed(value, places: places)
                // Foundation's decimals have 38 digits.
                let expected = Decimal(string: "\(value)e-\(places)")
                #expect(Decimal(string: text) == expected, "\(value) of \(places) places: \(text)")
                #expect(!text.contains(".") || text.last != "0")
            }
        }
    }
}
