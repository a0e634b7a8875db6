// SPDX-License-Identifier: Apache-2.0
import Domain
import Platform

/// The time that a service goes by, and how it sleeps: the machine's, or one that a test moves.
protocol ServiceClock: Sendable {
    /// Seconds of a clock that never goes back.
    func now() -> Double
    /// The time of day.
    func time() -> Timestamp
    /// Sleeps so many seconds, or until somebody wakes it; whether somebody did.
    @discardableResult
    func rest(_ seconds: Double, until wakeUp: WakeUp) -> Bool
}

extension SystemClock: ServiceClock {
    func now() -> Double { Self.now() }
    func time() -> Timestamp { Self.time() }
    func rest(_ seconds: Double, until wakeUp: WakeUp) -> Bool { wakeUp.wait(seconds) }
}
