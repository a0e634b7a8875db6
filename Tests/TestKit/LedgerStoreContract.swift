// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
public import Quotas
import Testing

/// What every ledger keeps to.
public enum LedgerStoreContract {
    /// Fails the test where the store does otherwise; `reopen` gives the same store as another process sees it.
    public static func check(
        _ store: any LedgerStore,
        sleep given: ((Int64) -> Void)? = nil,
        reopen: () throws -> any LedgerStore
    ) throws {
        let other = try reopen()
        let now: Int64 = 4_000_000_000
        let users = (0..<40).map { UserKey(Fingerprint(high: 7, low: $0)) }
        let keys = users.map { RegisterKey($0, .hour, at: now, .utc) }
        let empty = try store.read(keys, of: "a")
        #expect(empty == keys.map { _ in RegisterReading() })

        // Absolute totals: the same write twice is the same, the later one holds, and may be less.
        let writes = keys.enumerated().map { RegisterWrite($1, Usage(low: Int64($0), high: Int64($0) * 2)) }
        for _ in 0..<2 {
            let readings = try store.exchange(writes, of: "a")
            #expect(readings.map(\.own) == writes.map(\.total))
            #expect(readings.allSatisfy { $0.others == .zero })
        }
        _ = try other.exchange([RegisterWrite(keys[3], Usage(low: 100, high: 200))], of: "b")
        _ = try other.exchange([RegisterWrite(keys[3], Usage(low: 90, high: 190))], of: "b")
        let sum = try store.exchange([RegisterWrite(keys[3], Usage(low: -4, high: 5))], of: "a")
        #expect(sum == [RegisterReading(own: Usage(low: -4, high: 5), others: Usage(low: 90, high: 190))])
        #expect(try other.read([keys[3]], of: "b").first?.others == Usage(low: -4, high: 5))

        // A correction counts for everybody, and does not add up.
        for _ in 0..<2 { try other.correct([RegisterWrite(keys[3], Usage(low: -86, high: -195))]) }
        #expect(try store.read([keys[3]], of: "a").first?.others == Usage(low: 4, high: -5))
        // Other spans and kinds of window are other registers.
        let day = RegisterKey(users[3], .day, at: now, .utc)
        let before = RegisterKey(users[3], .hour, at: now - 3600, .utc)
        #expect(try store.read([day, before], of: "a") == [RegisterReading(), RegisterReading()])

        try store.touch([ActiveUser(users[0], tier: "free"), ActiveUser(users[1], tier: "big one")], at: now)
        try other.touch([ActiveUser(users[0], tier: "paid")], at: now + 5)
        #expect(
            Set(try store.touched(since: now)) == [
                ActiveUser(users[0], tier: "paid"), ActiveUser(users[1], tier: "big one"),
            ]
        )
        #expect(try store.touched(since: now + 1) == [ActiveUser(users[0], tier: "paid")])
        #expect(try store.touched(since: now + 6) == [])

        // Claims are many leases at once, each with one holder.
        func claim(
            _ store: any LedgerStore,
            _ names: [String],
            _ holder: String,
            _ seconds: Int64
        ) throws -> [ClaimAnswer] {
            try store.claim(names, holder: holder, seconds: seconds, grace: 1)
        }
        func pass(_ seconds: Int64) {
            if let given { given(seconds) } else { Thread.sleep(forTimeInterval: Double(seconds) + 0.1) }
        }
        #expect(try claim(store, ["c1", "c2"], "x", 1) == [.own, .own])
        #expect(try claim(other, ["c2", "c3", "c1"], "y", 60) == [.denied, .own, .denied])
        #expect(try claim(store, ["c1", "c3"], "x", 1) == [.own, .denied])
        #expect(try claim(store, [], "x", 60).isEmpty)
        // After the lease its holder may come back; who asked meanwhile asks in vain.
        pass(2)
        #expect(try claim(other, ["c1"], "y", 60) == [.denied])
        #expect(try claim(store, ["c1"], "x", 1) == [.own])
        #expect(try claim(other, ["c1"], "y", 60) == [.denied])
        // Or another one takes over, and is told that one was before, once.
        pass(4)
        #expect(try claim(other, ["c1"], "y", 60) == [.denied])
        pass(1)
        #expect(try claim(other, ["c1"], "y", 60) == [.taken])
        #expect(try claim(other, ["c1"], "y", 60) == [.own])
        #expect(try claim(store, ["c1", "c2"], "x", 60) == [.denied, .own])

        // A lease has one holder, and a token that grows when it changes hands.
        let first = try #require(try store.lease("decider", holder: "x", seconds: 60))
        #expect(try other.lease("decider", holder: "y", seconds: 60) == nil)
        #expect(try store.lease("decider", holder: "x", seconds: 60) == first)
        try other.giveBack("decider", holder: "y")
        #expect(try other.lease("decider", holder: "y", seconds: 60) == nil)
        try store.giveBack("decider", holder: "x")
        let second = try #require(try other.lease("decider", holder: "y", seconds: 60))
        #expect(second > first)
        #expect(try store.lease("other", holder: "x", seconds: 60) != nil)

        try store.put("limits", "a\nb", seconds: 60)
        #expect(try other.get("limits") == "a\nb")
        #expect(try other.get("nothing") == nil)
        try other.put("limits", nil, seconds: 0)
        #expect(try store.get("limits") == nil)

        // Limits have an order: who decided before, and comes back late, does not overwrite what was decided since.
        func limits(_ generation: UInt64) -> PublishedLimits {
            let entry = PublishedLimits.Entry(users[2], connections: 1, rung: .severe, since: now, utilization: 2)
            return PublishedLimits(generation: generation, expires: now + 60, entries: [entry])
        }
        func standing() throws -> UInt64? { try other.get("limits").flatMap { PublishedLimits(text: $0) }?.generation }
        // As large as they are: a time in seconds, shifted by 32 bits; and one that has a digit more.
        let (old, new) = (UInt64(1_800_000_000) << 32 | 7, UInt64(1_800_000_000) << 32 | 8)
        #expect(try store.publish(limits(9_999), seconds: 60) && other.publish(limits(old), seconds: 60))
        #expect(try other.publish(limits(new), seconds: 60) && standing() == new)
        #expect(try !store.publish(limits(old), seconds: 60) && standing() == new)
        #expect(try !store.publish(limits(9_999), seconds: 60) && standing() == new)
        #expect(try store.publish(limits(new), seconds: 1), "the same again is a renewal")
        pass(2)
        #expect(try standing() == nil && store.publish(limits(old), seconds: 60), "what ended stands in nobody's way")
        // Nor does what no node can have written: it holds for ever, or has no number.
        for forged in [
            "pgweir-limits 1 \(UInt64.max) \(now + 9999) 0\n", "pgweir-limits 1 \(UInt64.max) \(now - 1) 0\n",
            "pgweir-limits 1 99999999999999999999999 \(now + 60) 0\n", "pgweir-limits 1 x y 0\n", "{\"a\":[[[[",
        ] {
            try other.put("limits", forged, seconds: 60)
            #expect(try store.publish(limits(old), seconds: 60) && standing() == old, "\(forged)")
        }
        try other.put("limits", nil, seconds: 0)

        try store.keep("exempt", in: "overrides", as: "u1")
        try store.keep("limit", in: "overrides", as: "u2")
        try other.keep("tier", in: "overrides", as: "u2")
        try other.keep("x", in: "others", as: "u1")
        #expect(try other.all(in: "overrides") == ["u1": "exempt", "u2": "tier"])
        try other.keep(nil, in: "overrides", as: "u1")
        #expect(try store.all(in: "overrides") == ["u2": "tier"])
        #expect(try store.all(in: "none") == [:])

        let epoch = try store.epoch()
        #expect(try other.epoch() == epoch && store.epoch() == epoch)
        #expect(try store.exchange([], of: "a") == [])
    }
}
