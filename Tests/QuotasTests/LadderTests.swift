// SPDX-License-Identifier: Apache-2.0
import Domain
import Quotas
import TestKit
import Testing

struct LadderTests {
    private func at(_ seconds: Int64) -> Timestamp { Timestamp(nanoseconds: seconds * 1_000_000_000) }

    @Test func `up at once, down after two calm batches and thirty seconds`() {
        let ladder = Climber()
        #expect(ladder.step(1.6, at: at(100), isBatch: false, didReset: false))
        #expect(ladder.rung == .severe)
        #expect(!ladder.step(1.2, at: at(105), isBatch: true, didReset: false))
        #expect(!ladder.step(1.2, at: at(110), isBatch: true, didReset: false), "calm, but held for 30 s")
        #expect(ladder.step(1.2, at: at(130), isBatch: true, didReset: false))
        #expect(ladder.rung == .limited)
    }

    @Test func `near a threshold nothing flaps`() {
        let ladder = Climber()
        var changes = 0
        for second in 0..<1000 {
            let utilization = second % 2 == 0 ? 1.001 : 0.96
            if ladder.step(utilization, at: at(Int64(second) * 5), isBatch: true, didReset: false) { changes += 1 }
        }
        #expect(changes == 1 && ladder.rung == .limited)
    }

    @Test func `a reset lets go at once`() {
        let ladder = Climber()
        _ = ladder.step(9, at: at(100), isBatch: false, didReset: false)
        #expect(ladder.step(0.1, at: at(101), isBatch: false, didReset: true))
        #expect(ladder.rung == .ok)
    }

    @Test func `a clock that is set back holds, and never escalates`() {
        let ladder = Climber()
        _ = ladder.step(1.1, at: at(1000), isBatch: true, didReset: false)
        for _ in 0..<10 { _ = ladder.step(0.1, at: at(10), isBatch: true, didReset: false) }
        #expect(ladder.rung == .limited)
        for second in 0..<3 { _ = ladder.step(0.1, at: at(1030 + Int64(second)), isBatch: true, didReset: false) }
        #expect(ladder.rung == .ok)
    }

    @Test func `whatever comes, no rung is above what was reached and none is left too early`() {
        var random = SplitMix64(seed: 77)
        for _ in 0..<200 {
            let ladder = Climber()
            var (time, highest) = (Int64(0), 0.0)
            for _ in 0..<200 {
                let utilization = Double.random(in: 0...2, using: &random)
                time += Int64.random(in: 0...20, using: &random)
                highest = max(highest, utilization)
                let (before, since) = (ladder.rung, ladder.since)
                _ = ladder.step(utilization, at: at(time), isBatch: Bool.random(using: &random), didReset: false)
                #expect(ladder.rung <= Verdict(utilization: highest))
                #expect(ladder.rung >= Verdict(utilization: utilization), "escalation is never late")
                if ladder.rung < before { #expect(at(time).nanoseconds(since: since) >= Ladder.hold) }
            }
        }
    }

    @Test func `rungs leave five connections and one, or a floor`() {
        let connections = LadderConnections()
        #expect(Verdict.allCases.map { connections.most($0) } == [nil, nil, 5, 1])
        #expect(connections.most(.severe, floor: 2) == 2)
        #expect(LadderConnections(limited: 0, severe: -3).most(.severe) == 1, "0 would mean no limit to PgBouncer")
    }

    @Test func `decisions and limits are read back as they were written, and nothing else is`() {
        let user = UserKey(Fingerprint(high: 1, low: 2))
        for action in [Override.Action.exempt, .limit(connections: 3), .tier("big")] {
            let override = Override(action, until: 9, by: "ann", reason: "a\tb\nc")
            #expect(Override(text: override.text)?.action == action)
            #expect(Override(text: override.text)?.reason == "a b c")
        }
        let limits = PublishedLimits(
            generation: 7 << 32 | 1,
            expires: 100,
            entries: [PublishedLimits.Entry(user, connections: 5, rung: .limited, since: 3, utilization: 1.25)]
        )
        #expect(PublishedLimits(text: limits.text) == limits)
        for cut in 0..<limits.text.count { #expect(PublishedLimits(text: String(limits.text.prefix(cut))) == nil) }
        #expect(PublishedLimits(text: limits.text.replacing(" 5 ", with: " 0 ")) == nil)
        #expect(Override(text: "limit\t0\t5\tx\ty") == nil && Override(text: "") == nil)
    }
}
