// SPDX-License-Identifier: Apache-2.0
import Domain

/// Makes one clock of the times of packets.
///
/// Processors stamp packets with clocks that differ by microseconds, so a packet may seem to come before the one in front
/// of it: it is given that one's time. A clock that is set back is another matter: held to the old time, everything would
/// stand still until the clock has caught up. So a step of more than a second is taken, and counted.
struct ClockGuard {
    /// A smaller step back is no step, ns.
    static let tolerance: Int64 = 1_000_000_000
    /// A packet that is so much later than a steady clock explains tells of a clock that was set, or of a machine that
    /// slept, ns.
    static let leap: Int64 = 3_600_000_000_000

    /// The time of the latest packet.
    private(set) var latest = Timestamp.epoch
    /// Steps of the clock that were taken, and how far the latest one went, ns.
    private(set) var steps: UInt64 = 0, lastStep: Int64 = 0
    /// A steady clock, ns, as of the worker's turn; and what it showed at the latest packet.
    var steady: Int64 = 0
    private var steadyAtLatest: Int64 = 0

    /// The time now, by packets and the steady clock: it does not jump when the machine's clock is set.
    var now: Timestamp { Timestamp(nanoseconds: latest.nanoseconds &+ (steady &- steadyAtLatest)) }

    /// The time that a packet stamped `time` is given.
    @inline(__always)
    mutating func admit(_ time: Timestamp) -> Timestamp {
        let ahead = time.nanoseconds &- latest.nanoseconds
        if ahead >= 0, ahead < Self.leap {
            latest = time
            steadyAtLatest = steady
            return time
        }
        return admitStep(time, ahead)
    }

    @inline(never)
    private mutating func admitStep(_ time: Timestamp, _ ahead: Int64) -> Timestamp {
        if ahead < 0, ahead > -Self.tolerance { return latest }
        let step = ahead &- (steady &- steadyAtLatest)
        if latest != .epoch, ahead < 0 || step >= Self.leap {
            steps += 1
            lastStep = step
        }
        latest = time
        steadyAtLatest = steady
        return time
    }
}
