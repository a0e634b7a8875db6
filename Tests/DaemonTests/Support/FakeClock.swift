// SPDX-License-Identifier: Apache-2.0
import Domain
import Platform
import Synchronization

@testable import Daemon

/// A clock that stands until a test moves it; who rests sleeps until then, or until somebody rings.
final class FakeClock: ServiceClock {
    private struct State {
        var elapsed: Double
        var resting: [(end: Double, wakeUp: WakeUp)] = []
    }

    private let state: Mutex<State>

    /// Begins so many seconds after the epoch, at the full minute by default.
    init(_ seconds: Double = 1_800_000_000) { state = Mutex(State(elapsed: seconds)) }

    func now() -> Double { state.withLock { $0.elapsed } }

    func time() -> Timestamp {
        // Whole microseconds, which a Double has for this century.
        Timestamp(nanoseconds: Int64((now() * 1e6).rounded()) * 1000)
    }

    func rest(_ seconds: Double, until wakeUp: WakeUp) -> Bool {
        guard seconds > 0 else { return wakeUp.wait(0) }
        let end = state.withLock { state in
            let end = state.elapsed + seconds
            state.resting.append((end, wakeUp))
            return end
        }
        // An hour is for ever here: a test that waits so long has failed.
        wakeUp.wait(3600)
        return state.withLock { state in
            state.resting.removeAll { $0.wakeUp === wakeUp }
            return state.elapsed < end
        }
    }

    /// How many services rest.
    var restingCount: Int { state.withLock { $0.resting.count } }

    /// Lets so much time go by, once so many services rest; those whose rest is over wake up.
    func advance(by seconds: Double, resting count: Int = 1) async throws {
        try await eventually("\(count) rest") { restingCount >= count }
        let woken = state.withLock { state in
            state.elapsed += seconds
            let woken = state.resting.filter { $0.end <= state.elapsed }
            // Whoever rests from here on is somebody new.
            state.resting.removeAll { $0.end <= state.elapsed }
            return woken
        }
        for entry in woken { entry.wakeUp.wake() }
    }
}
