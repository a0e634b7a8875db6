// SPDX-License-Identifier: Apache-2.0
// Structs of the C library belong to this or to Glibc, whichever the compiler meets first.
import CLinux
public import Domain
import Glibc

/// The time that a service goes by, and how it sleeps: the machine's, or one that a test moves.
protocol ServiceClock: Sendable {
    /// Seconds of a clock that never goes back.
    func now() -> Double
    /// The time of day.
    func time() -> Timestamp
    /// Sleeps so many seconds, or until somebody rings; whether somebody did.
    @discardableResult
    func rest(_ seconds: Double, until bell: Bell) -> Bool
}

/// The machine's clocks.
public struct SystemClock: ServiceClock {
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

    /// Seconds of a clock that goes on while the machine sleeps (CLOCK_BOOTTIME).
    static func uptime() -> Double {
        var time = timespec()
        unsafe clock_gettime(CLOCK_BOOTTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    func now() -> Double { Self.now() }
    func time() -> Timestamp { Self.time() }
    func rest(_ seconds: Double, until bell: Bell) -> Bool { bell.rest(seconds) }
}
