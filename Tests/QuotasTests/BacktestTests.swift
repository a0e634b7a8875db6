// SPDX-License-Identifier: Apache-2.0
import Domain
import Quotas
import TestKit
import Testing

struct BacktestTests {
    private static let start: Int64 = 1_800_000_000

    private func policy(_ units: Double) -> QuotaPolicy {
        var policy = QuotaPolicy(tiers: [Tier(name: "t", hourly: CostUnits(units: units), daily: nil)], fallback: "t")
        policy.mostLimited = 1
        policy.exempt = [UserPattern("root*")]
        return policy
    }

    private var timelines: [String: [SlotUsage]] {
        let units = CostUnits(units: 10).micro
        func slots(_ count: Int) -> [SlotUsage] {
            (0..<count).map { SlotUsage(start: Self.start + Int64($0) * 10, usage: Usage(low: units, high: units)) }
        }
        return ["ann": slots(3), "ben": slots(30), "root": slots(60)]
    }

    @Test func `it says who would have been limited, when and for how long`() throws {
        let test = Backtest(policy(100), timelines)
        #expect(test.outcomes.map(\.user) == ["ann", "ben", "root"])
        let ben = try #require(test.outcomes.first { $0.user == "ben" })
        // 10 units every 10 s: 80 % in the slot of 70 s, 100 % in that of 90 s, 150 % in that of 140 s.
        #expect(ben.transitions.map { $0.time - Self.start } == [70, 90, 140])
        #expect(ben.transitions.map(\.to) == [.warning, .limited, .severe])
        #expect(ben.limited == 50 && ben.worst == .severe && abs(ben.peak - 3) < 1e-9)
        #expect(test.outcomes.filter { $0.user != "ben" }.allSatisfy { !$0.isLimited && $0.transitions.isEmpty })
        #expect(Backtest(policy(1000), timelines).outcomes.allSatisfy { !$0.isLimited })
    }

    @Test func `it decides as the live keeper does`() throws {
        var random = SplitMix64(seed: 31)
        for _ in 0..<20 {
            var slots: [SlotUsage] = []
            for step in 0..<400 where Int.random(in: 0..<3, using: &random) == 0 {
                let amount = CostUnits(units: Double.random(in: 0...12, using: &random)).micro
                slots.append(SlotUsage(start: Self.start + Int64(step) * 10, usage: Usage(low: amount, high: amount)))
            }
            let test = Backtest(policy(200), ["u": slots])
            let again = Backtest(policy(200), ["u": slots.shuffled(using: &random)])
            #expect(test.outcomes.first?.transitions == again.outcomes.first?.transitions)

            let clock = TestClock(Self.start)
            let store = MemoryLedgerStore { clock.seconds }
            var live = policy(200)
            live.mode = .enforce
            var keeper = QuotaKeeper(store, node: "a", incarnation: "1", policy: live)
            let user = ActiveUser(UserKey(Fingerprint(high: 1, low: 1)), tier: "t")
            var rungs: [Verdict] = []
            var next = 0
            for second in stride(from: Int64(0), through: 4000, by: 5) {
                clock.seconds = Self.start + second
                let now = Timestamp(nanoseconds: clock.seconds * 1_000_000_000)
                while next < slots.count, slots[next].start <= clock.seconds {
                    keeper.add([slots[next]], of: user, at: now)
                    next += 1
                }
                rungs += keeper.turn(at: now).map(\.to)
            }
            #expect(rungs == test.outcomes.first?.transitions.map(\.to))
        }
    }

    @Test func `nothing to judge is nothing judged`() {
        #expect(Backtest(.standard, [:]).outcomes.isEmpty)
        #expect(Backtest(.standard, ["a": []]).outcomes.isEmpty)
    }
}
