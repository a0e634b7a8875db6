// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc
import TestKit
import Testing

@testable import PostgresWire

/// Names of prepared statements and portals: a client makes as many as it likes, and closes them in any order.
struct NameTableTests {
    private static let names = 20_000

    /// CPU time of this thread, which other threads do not lengthen, in seconds.
    private func cpu() -> Double {
        var time = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// What it takes to close the names of one session in an order.
    private func closing(_ order: (inout [UInt64]) -> Void) throws -> Double {
        var table = NameTable(limit: 1 << 20)
        var random = SplitMix64(seed: 7)
        var names = (0..<Self.names).map { _ in random.next() }
        var head: Int32 = -1
        for name in names { _ = try #require(table.add(5, name, isPortal: false, head: &head)) }
        order(&names)
        let began = cpu()
        for name in names {
            guard let entry = table.find(5, name, isPortal: false) else {
                Issue.record("a name is lost")
                return 0
            }
            table.remove(entry, head: &head)
        }
        let took = cpu() - began
        #expect(head == -1 && names.allSatisfy { table.find(5, $0, isPortal: false) == nil })
        return took
    }

    @Test func `closing the oldest first takes as long as closing the newest first`() throws {
        let newest = try closing { $0.reverse() }
        let oldest = try closing { _ in }
        var random = SplitMix64(seed: 8)
        let mixed = try closing { $0.shuffle(using: &random) }
        // A walk through the names for each of them would be thousands of times as long.
        #expect(oldest < 20 * newest + 0.02 && mixed < 20 * newest + 0.02, "\(newest), \(oldest), \(mixed) s")
    }

    @Test func `names that come and go need the room of a few`() throws {
        var table = NameTable(limit: 4)
        var head: Int32 = -1
        for round in 0..<50_000 {
            let name = UInt64(round) &* 0x9E37_79B9_7F4A_7C15
            let first = try #require(table.add(1, name, isPortal: false, head: &head), "round \(round)")
            let second = try #require(table.add(1, name, isPortal: true, head: &head), "round \(round)")
            table.remove(first, head: &head)
            table.remove(second, head: &head)
        }
        #expect(head == -1)
    }

    @Test(arguments: 0..<10) func `any order of adding, finding and closing keeps what a dictionary keeps`(
        seed: UInt64
    ) throws {
        var random = SplitMix64(seed: seed)
        var table = NameTable(limit: 1 << 12)
        var heads = [Int32](repeating: -1, count: 4)
        var model = [[UInt64: Int32]](repeating: [:], count: 4)
        for _ in 0..<5000 {
            let flow = Int.random(in: 0..<4, using: &random)
            // Few of them, so that they meet.
            let name = UInt64.random(in: 1...200, using: &random)
            #expect(table.find(Int32(flow), name, isPortal: false) == model[flow][name])
            if let entry = model[flow].removeValue(forKey: name) {
                table.remove(entry, head: &heads[flow])
            } else {
                let entry: Int32 = try #require(table.add(Int32(flow), name, isPortal: false, head: &heads[flow]))
                model[flow][name] = entry
            }
        }
        for flow in 0..<4 {
            var (entry, chain) = (heads[flow], Set<Int32>())
            while entry >= 0, chain.insert(entry).inserted { entry = table[entry].next }
            #expect(chain == Set(model[flow].values))
        }
    }
}
