// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import TestKit
import Testing

struct CostStoreTests {
    @Test func `memory keeps the contract of stores`() throws { try CostStoreContract.check(MemoryCostStore()) }

    @Test func `memory makes room`() {
        let store = MemoryCostStore(limit: 10)
        store.store((0..<30).map { CostStoreContract.price(UInt64($0)) })
        var count = 0
        store.scan { _ in
            count += 1
            return true
        }
        #expect(count == 10)
    }

    @Test func `memory makes room by bytes, too, and keeps what came last`() {
        let store = MemoryCostStore(bytes: 1 << 20)
        for number in 0..<100 as Range<UInt64> {
            var price = CostStoreContract.price(number)
            price.pattern = String(repeating: "x", count: 64 << 10)
            store.store([price])
            #expect(store.prices(of: [price.key]).count == 1)
        }
        var bytes = 0
        store.scan { price in
            bytes += price.pattern.utf8.count
            return true
        }
        #expect(bytes > 1 << 19 && bytes <= 1 << 20)
    }

    @Test func `a price survives being text, whatever it holds`() {
        for number in 0..<20 {
            var price = CostStoreContract.price(UInt64(number))
            price.pattern = ["select ?", "a\tb\nc\\d\r", "", "ü\u{0}", "\\t"][number % 5]
            price.database = ["shop", "", "a\tb"][number % 3]
            (price.rows, price.width, price.version) = (12.5, 8, 150_004)
            price.tables = number % 2 == 0 ? [] : ["public.a", "b.c"]
            for step in 0..<number % 12 {
                price.move(
                    to: CostUnits(units: Double(step * 5)),
                    at: Timestamp(nanoseconds: Int64(step) * 1_000_000_000)
                )
            }
            price.learned.learn(7, of: 3, cost: price.cost)
            #expect(StoredPrice(key: price.key, text: price.text) == price)
        }
    }

    @Test func `a damaged text is no price, and no trap`() {
        let text = CostStoreContract.price(5).text
        for index in text.utf8.indices {
            for byte in [0, 9, 0x2D, 0x39, 0x41, 0xFF] as [UInt8] where byte != text.utf8[index] {
                var bytes = Array(text.utf8)
                bytes[text.utf8.distance(from: text.utf8.startIndex, to: index)] = byte
                #expect(StoredPrice(key: .unknown, text: String(decoding: bytes, as: UTF8.self)) == nil)
            }
            #expect(StoredPrice(key: .unknown, text: String(text[..<index])) == nil)
        }
        // A sound checksum over nonsense.
        #expect(StoredPrice(key: .unknown, text: "1\t\(KeyedHash.standard.hash([0x31].rawSpan))") == nil)
        #expect(StoredPrice(key: .unknown, text: "2" + text.dropFirst()) == nil)
    }
}
