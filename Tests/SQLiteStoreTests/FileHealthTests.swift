// SPDX-License-Identifier: Apache-2.0
import SQLiteStore
import TestKit
import Testing

struct FileHealthTests {
    @Test(arguments: 0..<20) func `what was lost stays told, whatever comes after it`(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var health = FileHealth()
        var (isLost, isBlocked, isLarge, aside) = (false, false, false, 0)
        for _ in 0..<200 {
            let events: [FileReport.Event] = [
                .setAside("/s/ledger.1", "x"), .unusable("full"), .gone, .usable, .overgrown("denied"),
            ]
            let event = events.randomElement(using: &random) ?? .usable
            let said = health.note(event, "ledger", loss: "Usage is lost.")
            #expect((said == nil) == (event == .usable))
            #expect(!health.problems.contains { $0.contains("/") })
            switch event {
            case .setAside: (isLost, aside) = (true, aside + 1)
            case .gone: isLost = true
            case .unusable: (isBlocked, isLarge) = (true, false)
            case .overgrown: (isBlocked, isLarge) = (false, true)
            case .usable: (isBlocked, isLarge) = (false, false)
            }
            #expect(health.problems.contains { $0.hasSuffix("Usage is lost.") } == isLost)
            #expect(health.problems.contains("ledger: cannot be used: full") == isBlocked)
            #expect(health.problems.contains("ledger: cannot be rotated, and grows: denied") == isLarge)
            #expect(health.setAside["ledger", default: 0] == aside)
        }
    }
}
