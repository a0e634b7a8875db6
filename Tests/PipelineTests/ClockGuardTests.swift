// SPDX-License-Identifier: Apache-2.0
import Domain
import Testing

@testable import Pipeline

struct ClockGuardTests {
    private static func admit(_ seconds: [Double]) -> (times: [Double], steps: UInt64) {
        var clock = ClockGuard()
        let times = seconds.map { second in
            let stamp = Timestamp(nanoseconds: 1_800_000_000_000_000_000 + Int64(second * 1e9))
            return Double(clock.admit(stamp).nanoseconds - 1_800_000_000_000_000_000) / 1e9
        }
        return (times, clock.steps)
    }

    @Test func `small steps back are held at the time before`() {
        let (times, steps) = Self.admit([0, 1, 0.999_99, 0.5, 1.25])
        #expect(times == [0, 1, 1, 1, 1.25])
        #expect(steps == 0)
    }

    @Test func `a clock that is set back is followed, once`() {
        let (times, steps) = Self.admit([7200, 7201, 3601, 3602, 3601.5])
        #expect(times == [7200, 7201, 3601, 3602, 3602])
        #expect(steps == 1)
    }

    @Test func `a machine that slept, or a clock set ahead, is counted`() {
        let (times, steps) = Self.admit([0, 7200, 7201])
        #expect(times == [0, 7200, 7201])
        #expect(steps == 1)
    }

    @Test func `a pause of some minutes is none`() {
        #expect(Self.admit([0, 600, 1200]).steps == 0)
    }

    @Test func `a quiet night is no step, and time goes on in it`() {
        var clock = ClockGuard()
        let evening: Int64 = 1_800_000_000_000_000_000
        _ = clock.admit(Timestamp(nanoseconds: evening))
        clock.steady = 36_000_000_000_000
        #expect(clock.now == Timestamp(nanoseconds: evening + 36_000_000_000_000))
        _ = clock.admit(Timestamp(nanoseconds: evening + 36_000_000_000_000))
        #expect(clock.steps == 0)
        // The same, with the clock set ahead by a day in between.
        clock.steady = 72_000_000_000_000
        _ = clock.admit(Timestamp(nanoseconds: evening + 72_000_000_000_000 + 86_400_000_000_000))
        #expect(clock.steps == 1 && clock.lastStep == 86_400_000_000_000)
    }
}
