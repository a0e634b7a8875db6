// SPDX-License-Identifier: Apache-2.0
import Pipeline
import Platform
import Synchronization

/// Whether the workers turn: what probes ask, which must wait for nobody.
final class Pulse: Sendable {
    private let desk: LiveDesk
    /// The beats as they were seen last, and when they had all changed.
    private let seen = Mutex<(beats: [Int], changed: Double)>(([], -.infinity))

    /// Workers turn every 50 ms; one that has not for so many seconds hangs.
    private static let patience = 5.0

    init(_ desk: LiveDesk) { self.desk = desk }

    var isAlive: Bool {
        let (beats, now) = (desk.beats, SystemClock.now())
        return seen.withLock { seen in
            if seen.beats.count != beats.count || zip(seen.beats, beats).allSatisfy({ $0 != $1 }) {
                seen = (beats, now)
            }
            return now - seen.changed < Self.patience
        }
    }
}
