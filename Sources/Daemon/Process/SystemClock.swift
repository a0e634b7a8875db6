// SPDX-License-Identifier: Apache-2.0
public import Domain
import Glibc

/// The machine's clocks.
public enum SystemClock {
    /// Seconds of a clock that never goes back (CLOCK_MONOTONIC).
    public static func now() -> Double {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// The time of day (CLOCK_REALTIME).
    public static func time() -> Timestamp {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(nanoseconds: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec))
    }
}
