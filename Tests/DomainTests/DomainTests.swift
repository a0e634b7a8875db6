// SPDX-License-Identifier: Apache-2.0
import Domain
import TestKit
import Testing

struct FingerprintTests {
    @Test func `prints as 32 digits and reads them back`() {
        let key = Fingerprint(high: 0x0123, low: UInt64.max)
        #expect(key.description == "0000000000000123ffffffffffffffff")
        #expect(Fingerprint(key.description) == key)
        #expect(Fingerprint("+000000000000123ffffffffffffffff") == nil)
        #expect(Fingerprint("select 1") == nil)
    }
}

struct KeyedHashTests {
    @Test func `every length and every byte changes the hash`() {
        var seen: Set<Fingerprint> = []
        for length in 0..<200 {
            var bytes = [UInt8](repeating: 7, count: length)
            #expect(seen.insert(KeyedHash.standard.hash(bytes.rawSpan)).inserted)
            for index in bytes.indices {
                bytes[index] = 8
                #expect(seen.insert(KeyedHash.standard.hash(bytes.rawSpan)).inserted)
                bytes[index] = 7
            }
        }
    }

    @Test func `one bit of the text changes about half of the bits, in both halves`() {
        var total = 0
        var count = 0
        for length in 1...100 {
            var bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ length) }
            let plain = KeyedHash.standard.hash(bytes.rawSpan)
            for bit in 0..<8 * length {
                bytes[bit / 8] ^= 1 << UInt8(bit % 8)
                let other = KeyedHash.standard.hash(bytes.rawSpan)
                bytes[bit / 8] ^= 1 << UInt8(bit % 8)
                let (high, low) = ((plain.high ^ other.high).nonzeroBitCount, (plain.low ^ other.low).nonzeroBitCount)
                #expect(high >= 8 && low >= 8, "length \(length), bit \(bit)")
                total += high + low
                count += 1
            }
        }
        #expect(abs(Double(total) / Double(count) - 64) < 0.25)
    }

    @Test func `another seed gives another hash`() {
        let bytes = Array("select ?".utf8)
        #expect(KeyedHash(seed: 1).hash(bytes.rawSpan) != KeyedHash(seed: 2).hash(bytes.rawSpan))
    }
}

struct TimestampTests {
    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000000Z"), (951_782_400_000_000_000, "2000-02-29T00:00:00.000000Z"),
        (1_795_418_773_640_765_000, "2026-11-23T07:26:13.640765Z"), (-1, "1969-12-31T23:59:59.999999Z"),
    ])
    func `prints as RFC 3339`(_ nanoseconds: Int64, _ text: String) {
        #expect(Timestamp(nanoseconds: nanoseconds).rfc3339 == text)
    }

    @Test func `a clock that steps back gives no negative duration`() {
        #expect(Timestamp(nanoseconds: 5).nanoseconds(since: Timestamp(nanoseconds: 9)) == 0)
        #expect(Timestamp(nanoseconds: .max).nanoseconds(since: Timestamp(nanoseconds: .min)) == 0)
    }
}

struct EndpointTests {
    @Test func `prints IPv4 and shortened IPv6`() {
        #expect(Endpoint(ipv4: 0x0A00_0001, port: 5432).description == "10.0.0.1:5432")
        #expect(Endpoint(high: 0x2001_0DB8_0000_0000, low: 1, port: 80).description == "[2001:db8::1]:80")
        #expect(Endpoint(high: 0, low: 1, port: 1).description == "[::1]:1")
    }

    @Test func `both directions have one key and one hash`() {
        for text in ["10.0.0.1:5432", "[2001:db8::1]:80", "[::1]:1"] { #expect(Endpoint(text)?.description == text) }
        for text in [
            "", ":1", "10.0.0.1", "10.0.0.1:", "10.0.0.1:65536", "::1:80", "[10.0.0.1]:80", "name:80", "[::1:80",
        ] {
            #expect(Endpoint(text) == nil, "\(text)")
        }
        let (first, second) = (Endpoint(ipv4: 9, port: 1), Endpoint(ipv4: 3, port: 2))
        let (there, fromLower) = FlowKey.make(source: first, destination: second)
        let (back, backFromLower) = FlowKey.make(source: second, destination: first)
        #expect(there == back)
        #expect(fromLower != backFromLower)
        #expect(there.hash(.standard) == back.hash(.standard))
    }
}

struct SlotTableTests {
    @Test func `slots are recycled blank and the limit holds`() {
        var table = SlotTable<Int>(limit: 1, blank: 42)
        var handles: [Int32] = []
        while let handle = table.take() { handles.append(handle) }
        #expect(handles.count == 4096)
        table[handles[5]] = 1
        table.give(handles[5])
        let again = table.take()
        #expect(again == handles[5])
        #expect(again.map { table[$0] } == 42)
    }

    @Test func `the first slots are a list of the same slots`() {
        var table = SlotTable<Int>(limit: 8, blank: 0)
        for value in 0..<8 { if let handle = table.take() { table[handle] = value } }
        let first = table.first(3)
        #expect((0..<first.count).map { first[$0].value } == [0, 1, 2])
        first[1].value = 10
        #expect(table[1] == 10)
    }
}

/// In debug and fuzz builds a slot that is given back cannot be used, nor given back again, unnoticed.
struct SlotOwnerTests {
    /// A table of which slot 0 had two owners one after the other, and their handles.
    private static func handedOn() -> (table: Box, first: Int32, second: Int32) {
        let box = Box()
        let first = box.table.take() ?? -1
        box.table.give(first)
        return (box, first, box.table.take() ?? -1)
    }

    private final class Box {
        var table = SlotTable<Int>(limit: 8, blank: 42, checksHandles: true)
    }

    @Test func `a slot's place stays, whoever owns it`() {
        let (box, first, second) = Self.handedOn()
        #expect(box.table.place(of: first) == 0 && box.table.place(of: second) == 0)
        #expect(box.table.contains(first) && box.table.contains(second) && !box.table.contains(-1))
        #expect(box.table.occupant(of: first)?.handle == second && box.table.occupant(at: 0)?.handle == second)
        #expect(box.table.occupant(at: 1) == nil && box.table.occupant(of: -1) == nil)
        #expect(box.table.slot(second).place == 0 && box.table[second] == 42)
    }

    @Test func `a table beside another takes its handles, each instead of the last`() {
        let (box, _, second) = Self.handedOn()
        let beside = SlotTable<Int>.beside(second)
        #expect(beside == 7)
        #expect(box.table.count == 1)
    }

    #if DEBUG || SLOT_CHECKS
    @Test func `using a slot after it was given back ends the program`() async {
        await #expect(processExitsWith: .failure) {
            let (box, first, _) = SlotOwnerTests.handedOn()
            box.table[first] = 1
        }
        await #expect(processExitsWith: .failure) {
            let (box, _, second) = SlotOwnerTests.handedOn()
            let slot = box.table.slot(second)
            box.table.give(second)
            slot.value = 1
        }
    }

    @Test func `giving a slot back twice ends the program`() async {
        await #expect(processExitsWith: .failure) {
            let (box, first, _) = SlotOwnerTests.handedOn()
            box.table.give(first)
        }
        await #expect(processExitsWith: .failure) {
            var table = SlotTable<Int>(limit: 8, blank: 0)
            _ = table.take()
            let second = table.take() ?? -1
            table.give(second)
            table.give(second)
        }
    }

    @Test func `giving a block back twice ends the program`() async {
        await #expect(processExitsWith: .failure) {
            var pool = BlockPool(budget: 4096)
            guard let block = pool.take(64), pool.take(64) != nil else { return }
            pool.give(block)
            pool.give(block)
        }
    }
    #endif
}

extension SlotTable where Element == Int {
    fileprivate static func beside(_ handle: Int32) -> Int {
        var table = SlotTable<Int>(limit: 8, blank: 7, checksHandles: true)
        return table.include(handle) ? table[handle] : 0
    }
}

struct BlockPoolTests {
    @Test func `the budget is never exceeded and comes back`() {
        var pool = BlockPool(budget: 4096)
        let first = pool.take(3000)
        #expect(first?.capacity == 4096)
        #expect(pool.take(1) == nil)
        if let first { pool.give(first) }
        #expect(pool.used == 0)
        #expect(pool.take(1)?.capacity == 64)
    }

    @Test func `bytes outside a block cannot be named`() throws {
        var pool = BlockPool(budget: 4096)
        let taken = pool.take(64)
        let block = try #require(taken)
        block.store([1, 2, 3].rawSpan, at: 0)
        #expect(block.bytes(-5..<3).byteCount == 3)
        #expect(block.bytes(60..<900).byteCount == 4)
        #expect(block.store([9].rawSpan, at: 64) == 0)
        pool.give(block)
    }
}
