// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Reports
import Testing

struct CostLineTests {
    @Test func `names that a terminal would not show are harmless`() {
        let fingerprint = Fingerprint(high: 1, low: 2)
        var price = StoredPrice(
            key: fingerprint,
            fingerprint: fingerprint,
            pattern: "select \"a\u{202E}b\u{1B}[2J\nc\"",
            database: "\u{9B}31m\u{200B}",
            method: .failed,
            cost: .fallback,
            priced: .epoch
        )
        price.failure = "42P01 relation \"x\u{2028}\u{7F}\" does not exist"
        price.version = 150_000
        price.tables = ["public.\u{2066}t"]
        let texts = [CostLine.text(price, now: .epoch, width: 200), CostLine.page(price, now: .epoch)]
        for text in texts.map({ String(decoding: $0, as: UTF8.self) }) {
            #expect(text.unicodeScalars.allSatisfy { $0 == "\n" || !$0.isUnprintable }, "\(text)")
        }
    }
}
