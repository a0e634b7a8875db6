// SPDX-License-Identifier: Apache-2.0
import Domain
import Quotas
import Synchronization

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

/// A clock that stands until it is set.
final class TestClock: Sendable {
    private let now: Mutex<Int64>

    init(_ seconds: Int64) { now = Mutex(seconds) }

    var seconds: Int64 {
        get { now.withLock { $0 } }
        set { now.withLock { $0 = newValue } }
    }
}
