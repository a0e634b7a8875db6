// SPDX-License-Identifier: Apache-2.0
import CLinux
public import Domain
import Glibc

/// The machine's clocks (clock_gettime(2)).
public struct SystemClock: Sendable {
    /// The machine's.
    public init() {}

    /// Seconds of the clock that never goes back.
    public static func now() -> Double { Double(nanoseconds()) / 1e9 }

    /// The same in ns.
    @inline(__always)
    public static func nanoseconds() -> Int64 { read(CLOCK_MONOTONIC) }

    /// The time of day.
    @inline(__always)
    public static func time() -> Timestamp { Timestamp(nanoseconds: read(CLOCK_REALTIME)) }

    /// Seconds of the clock that goes on while the machine sleeps.
    public static func uptime() -> Double { Double(read(CLOCK_BOOTTIME)) / 1e9 }

    /// CPU seconds of the calling thread.
    public static func threadCPU() -> Double { Double(read(CLOCK_THREAD_CPUTIME_ID)) / 1e9 }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}
