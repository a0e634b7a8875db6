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

    /// Waits at least so many seconds, whatever signals come; 0, negative and NaN: not at all; a year at most.
    ///
    /// For a server elsewhere, which tells nobody that it is ready: where a thread, a process or a descriptor tells, wait for that
    /// (``WakeUp``, ``ProcessWatch``, poll(2)), so that a stop need not wait for the time.
    public static func sleep(seconds: Double) {
        guard seconds > 0 else { return }
        let end = nanoseconds() &+ Int64((min(seconds, 31_536_000) * 1e9).rounded(.up))
        var time = timespec(tv_sec: Int(end / 1_000_000_000), tv_nsec: Int(end % 1_000_000_000))
        while unsafe clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nil) == EINTR {}
    }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}
