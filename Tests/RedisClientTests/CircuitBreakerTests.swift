// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RedisClient

struct CircuitBreakerTests {
    private func record(
        _ breaker: inout CircuitBreaker,
        _ count: Int,
        failed: Bool,
        latency: Double = 0,
        at now: Double
    ) {
        for _ in 0..<count { breaker.record(isFailure: failed, latency: latency, at: now) }
    }

    @Test func `too few failures open nothing`() {
        var breaker = CircuitBreaker()
        record(&breaker, 19, failed: true, at: 5)
        #expect(breaker.state == .closed && breaker.nextProbe == .infinity)
        record(&breaker, 1, failed: true, at: 5)
        #expect(breaker.state == .open && breaker.openings == 1)
    }

    @Test func `half of the operations must have failed`() {
        var breaker = CircuitBreaker()
        record(&breaker, 51, failed: false, at: 5)
        record(&breaker, 50, failed: true, at: 6)
        #expect(breaker.state == .closed)
        record(&breaker, 1, failed: true, at: 6)
        #expect(breaker.state == .open)
    }

    @Test func `half of the operations being slow opens it, too`() {
        var breaker = CircuitBreaker()
        record(&breaker, 10, failed: false, latency: 0.1, at: 5)
        record(&breaker, 9, failed: false, latency: 0.26, at: 5)
        #expect(breaker.state == .closed)
        record(&breaker, 1, failed: false, latency: 0.26, at: 5)
        #expect(breaker.state == .open)
    }

    @Test func `what is ten seconds old does not count`() {
        var breaker = CircuitBreaker()
        record(&breaker, 19, failed: true, at: 5)
        record(&breaker, 10, failed: true, at: 15)
        #expect(breaker.state == .closed)
        // In a clock's jump backwards and in no number at all there is no trap.
        for time in [-1, 0, .nan, .infinity, 1e300] {
            breaker.record(isFailure: true, latency: .nan, at: time)
        }
    }

    @Test func `after a pause one probe decides, and vain ones make the pause longer`() {
        var breaker = CircuitBreaker()
        record(&breaker, 20, failed: true, at: 100)
        var now = 100.0
        var pauses: [Double] = []
        for _ in 0..<7 {
            let tooEarly = breaker.beginProbe(at: breaker.nextProbe - 0.001)
            pauses.append(breaker.nextProbe - now)
            now = breaker.nextProbe
            let inTime = breaker.beginProbe(at: now)
            #expect(breaker.state == .halfOpen && breaker.nextProbe == .infinity)
            let second = breaker.beginProbe(at: now + 100)
            #expect([tooEarly, inTime, second] == [false, true, false])
            breaker.probed(isSuccess: false, at: now)
            #expect(breaker.state == .open)
        }
        #expect(pauses == [0.5, 1, 2, 4, 8, 10, 10])
        _ = breaker.beginProbe(at: breaker.nextProbe)
        breaker.probed(isSuccess: true, at: now)
        #expect(breaker.state == .closed && breaker.openings == 1)
        // With a clean slate.
        record(&breaker, 19, failed: true, at: now)
        #expect(breaker.state == .closed)
    }

    @Test func `a new connection is reason to probe at once`() {
        var breaker = CircuitBreaker()
        record(&breaker, 20, failed: true, at: 100)
        breaker.connected(at: 100.1)
        let isProbing = breaker.beginProbe(at: 100.1)
        #expect(isProbing)
        breaker.connected(at: 100.2)
        breaker.record(isFailure: false, latency: 0, at: 100.2)
        #expect(breaker.state == .halfOpen)
    }

    @Test func `pauses between attempts double from 50 ms to 10 s, and vary`() {
        var backOff = BackOff()
        let longest = (0..<12).map { _ in backOff.next(chance: 1) }
        #expect(longest.prefix(4) == [0.05, 0.1, 0.2, 0.4] && longest.suffix(3) == [10, 10, 10])
        let least = backOff.next(chance: 0)
        backOff.reset()
        let first = backOff.next(chance: 1)
        #expect(least == 5 && first == 0.05)
    }
}
