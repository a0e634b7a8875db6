// SPDX-License-Identifier: Apache-2.0
import Domain
import Quotas

/// A keeper by reference, for expectations: they cannot call what changes a value.
@dynamicMemberLookup
final class Box {
    var keeper: QuotaKeeper

    init(_ keeper: QuotaKeeper) { self.keeper = keeper }

    subscript<Value>(dynamicMember path: KeyPath<QuotaKeeper, Value>) -> Value { keeper[keyPath: path] }

    func turn(at time: Timestamp) -> [Transition] { keeper.turn(at: time) }
}

/// A ladder likewise.
final class Climber {
    private var ladder = Ladder()
    var rung: Verdict { ladder.rung }
    var since: Timestamp { ladder.since }

    func step(_ utilization: Double, at now: Timestamp, isBatch: Bool, didReset: Bool) -> Bool {
        ladder.step(utilization, at: now, isBatch: isBatch, didReset: didReset)
    }
}
