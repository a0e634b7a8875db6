// SPDX-License-Identifier: Apache-2.0

/// The state of a circuit breaker.
public enum CircuitState: UInt8, Sendable, CustomStringConvertible, CaseIterable {
    /// Operations go through.
    case closed
    /// Nothing goes through.
    case open
    /// One PING is under way, which decides.
    case halfOpen

    /// The state's name.
    public var description: String {
        switch self {
        case .closed: "closed"
        case .open: "open"
        case .halfOpen: "half-open"
        }
    }
}

/// Keeps operations from a server that fails or is slow; pure, with the time passed in (seconds of any steady clock).
///
/// It opens when of the last ten seconds' operations, 20 at least, half failed or half were slow. After a pause, which
/// doubles with each vain probe, it lets one PING through.
struct CircuitBreaker {
    /// Fewest operations to judge by.
    static let fewest = 20
    /// What is slow, in seconds.
    static let slow = 0.25
    /// The shortest and the longest pause before a probe, in seconds.
    static let pauses = 0.5...10.0
    private static let seconds = 10

    private struct Bucket {
        var second = -1
        var all = 0
        var failed = 0
        var slow = 0
    }

    private(set) var state = CircuitState.closed
    /// How often it opened, vain probes not counted.
    private(set) var openings: UInt64 = 0
    private var buckets = [Bucket](repeating: Bucket(), count: seconds)
    private var pause = pauses.lowerBound
    private var probeTime = Double.infinity

    /// Notes how an operation ended; `latency` in seconds.
    mutating func record(isFailure: Bool, latency: Double, at now: Double) {
        guard state == .closed else { return }
        let second = Int(max(0, min(now, 1e15)))
        let index = second % Self.seconds
        if buckets[index].second != second { buckets[index] = Bucket(second: second) }
        buckets[index].all &+= 1
        let isSlow = latency > Self.slow
        if isFailure { buckets[index].failed &+= 1 }
        if isSlow { buckets[index].slow &+= 1 }
        guard isFailure || isSlow else { return }
        var sum = Bucket()
        for bucket in buckets where bucket.second > second - Self.seconds {
            sum.all &+= bucket.all
            sum.failed &+= bucket.failed
            sum.slow &+= bucket.slow
        }
        guard sum.all >= Self.fewest, max(sum.failed, sum.slow) >= (sum.all + 1) / 2 else { return }
        openings &+= 1
        pause = Self.pauses.lowerBound
        open(at: now)
    }

    /// When to probe next; infinity when there is nothing to probe, or a probe is under way.
    var nextProbe: Double { state == .open ? probeTime : .infinity }

    /// Whether the caller is to send a PING now, and tell by `probed` how it went.
    mutating func beginProbe(at now: Double) -> Bool {
        guard state == .open, now >= probeTime else { return false }
        state = .halfOpen
        return true
    }

    /// A connection was made, which is reason enough to probe at once.
    mutating func connected(at now: Double) {
        if state == .open { probeTime = min(probeTime, now) }
    }

    /// How the probe went.
    mutating func probed(isSuccess: Bool, at now: Double) {
        guard state == .halfOpen else { return }
        if isSuccess {
            state = .closed
            buckets = [Bucket](repeating: Bucket(), count: Self.seconds)
        } else {
            pause = min(Self.pauses.upperBound, pause * 2)
            open(at: now)
        }
    }

    private mutating func open(at now: Double) {
        state = .open
        probeTime = now + pause
    }
}

/// How long to wait before the next attempt: doubling from 50 ms to 10 s, and less by chance, so that many clients do
/// not come at once.
struct BackOff {
    private var attempts = 0

    /// The next pause in seconds; `chance` from 0 to 1.
    mutating func next(chance: Double) -> Double {
        let whole = min(10, 0.05 * Double(1 << min(attempts, 10)))
        attempts = min(attempts + 1, 10)
        return whole * (0.5 + 0.5 * chance)
    }

    /// All is well again.
    mutating func reset() { attempts = 0 }
}
