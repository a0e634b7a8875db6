// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Testing

struct TimeEvidenceTests {
    private let second: Int64 = 1_000_000_000

    private func tenant(_ number: UInt64) -> Fingerprint { Fingerprint(high: number, low: ~number) }

    private func pace(_ slowdowns: Double...) -> Pace {
        var pace = Pace()
        for slowdown in slowdowns {
            pace.add(Pace.logarithm(Int64(slowdown * 1e6)) - Pace.logarithm(1_000_000))
        }
        return pace
    }

    private func evidence(_ paces: [Pace], at second: Int64 = 7) -> TimeEvidence {
        var evidence = TimeEvidence()
        for (number, pace) in paces.enumerated() { evidence.add(pace, of: tenant(UInt64(number)), second: second) }
        return evidence
    }

    private func load(_ evidence: TimeEvidence, on number: UInt64 = 99, from: Int64 = 7, to: Int64 = 7) -> Double {
        evidence.load(on: tenant(number), from: from * second, to: to * second).factor
    }

    @Test func `a logarithm and its factor are each other's inverse`() {
        for nanoseconds in [1, 3, 255, 256, 257, 1000, 999_999, 20_000_000, 3_600_000_000_000] as [Int64] {
            for slowdown in [1, 1.25, 2, 3, 7.5, 16] {
                let longer = Int64((Double(nanoseconds) * slowdown).rounded())
                let found = Load(logarithm: Pace.logarithm(longer) - Pace.logarithm(nanoseconds)).factor
                // Linear between powers of two: 12.5 % off at most, and rounding where numbers are small.
                #expect(nanoseconds < 256 || abs(found / slowdown - 1) < 0.13, "\(nanoseconds) x \(slowdown): \(found)")
            }
        }
    }

    @Test func `a server counts as slow where three others than the tenant are`() {
        let slow = pace(4, 4)
        #expect(load(evidence([slow, slow])) == 1)
        #expect(load(evidence([slow, slow, slow])) == 4)
        // The tenant's own statements say nothing.
        #expect(load(evidence([slow, slow, slow]), on: 0) == 1)
        #expect(load(evidence([slow, slow, slow, slow]), on: 0) == 4)
    }

    @Test func `one slow tenant, or two, slow nobody down`() {
        let (slow, usual) = (pace(16), pace(1))
        #expect(load(evidence([slow, usual, usual])) == 1)
        #expect(load(evidence([slow, slow, usual, usual])) == 1)
        #expect(load(evidence([slow, slow, slow, usual])) == 16)
    }

    @Test func `the factor stays between 1 and 16`() {
        #expect(load(evidence([pace(0.1), pace(0.1), pace(0.1)])) == 1)
        #expect(load(evidence([pace(900), pace(900), pace(900)])) == 16)
    }

    @Test func `the mean of the seconds that tell something counts`() {
        var evidence = evidence([pace(4), pace(4), pace(4)], at: 7)
        evidence.add(self.evidence([pace(1), pace(1), pace(1)], at: 8))
        #expect(load(evidence, from: 7, to: 7) == 4)
        #expect(load(evidence, from: 7, to: 8) == 2)
        #expect(load(evidence, from: 0, to: 1_000_000) == 2)
        #expect(load(evidence, from: 9, to: 12) == 1)
        evidence.forget(before: 8 * second)
        #expect(load(evidence, from: 7, to: 8) == 1)
    }

    @Test func `the order and the number of workers do not matter`() {
        let paces: [Pace] = (0..<40).map { (number: Int) -> Pace in
            let (first, second) = (Double(number % 7) + 1, Double(number % 5) + 1)
            return pace(first, second)
        }
        var (forwards, backwards) = (TimeEvidence(), TimeEvidence())
        for (number, pace) in paces.enumerated() {
            forwards.add(pace, of: tenant(UInt64(number % 9)), second: Int64(number % 3))
        }
        var parts = [TimeEvidence(), TimeEvidence(), TimeEvidence()]
        for (number, pace) in paces.enumerated().reversed() {
            parts[number % 3].add(pace, of: tenant(UInt64(number % 9)), second: Int64(number % 3))
        }
        for part in parts { backwards.add(part) }
        for number in 0..<10 {
            let (tenant, end) = (tenant(UInt64(number)), 2 * second)
            #expect(forwards.load(on: tenant, from: 0, to: end) == backwards.load(on: tenant, from: 0, to: end))
        }
    }

    @Test func `a COMMIT may be answered later than those that waited for it`() {
        var evidence = TimeEvidence()
        evidence.add(
            TimeEvidence.Holder(session: 1, database: "shop", start: 0, end: 5 * second, freed: 5 * second - second / 5)
        )
        evidence.sort()
        func waited(to end: Double) -> Bool {
            evidence.mayHaveWaited(session: 2, database: "shop", from: second, to: Int64(end * 1e9))
        }
        #expect(waited(to: 4.9) && waited(to: 4.8) && waited(to: 5.1))
        #expect(!waited(to: 4.7), "the COMMIT was not sent yet")
    }

    @Test func `somebody may have waited for a transaction that began before and ended just before`() {
        var evidence = TimeEvidence()
        evidence.add(TimeEvidence.Holder(session: 1, database: "shop", start: 0, end: 5 * second))
        // Others that end before and after, in no order.
        for number in (0..<50).reversed() {
            let end = Int64(number) * second / 2 + second / 4
            evidence.add(TimeEvidence.Holder(session: 3, database: "shop", start: end - 1, end: end))
        }
        evidence.sort()
        func waited(_ session: UInt64 = 2, _ database: String = "shop", from start: Double, to end: Double) -> Bool {
            let (start, end) = (Int64(start * 1e9), Int64(end * 1e9))
            return evidence.mayHaveWaited(session: session, database: database, from: start, to: end)
        }
        #expect(waited(from: 1, to: 5.001))
        #expect(waited(from: 1, to: 5.3))
        // It ended too long before, or after; began after; is another database's; or the connection's own.
        #expect(!waited(from: 1, to: 6))
        #expect(!waited(from: 1, to: 4.9))
        #expect(!waited(from: 0, to: 5.001))
        #expect(!waited(2, "other", from: 1, to: 5.001))
        #expect(!waited(1, from: 1, to: 5.001))
        // Who waited for less than a tenth of a second is not asked about.
        #expect(!waited(from: 4.95, to: 5.001))
    }

    @Test func `no time makes an amount wrong`() {
        for duration in [Int64.min, -1, 0, 1, 19_999_999, 20_000_000, .max] {
            for logarithm in [Int64.min, 0, 300, .max] {
                let floor = BusyTime.floor(duration, load: Load(logarithm: logarithm))
                #expect(floor >= 0 && floor <= BusyTime.ceilingOfFailed(duration))
                #expect(BusyTime.ceiling(duration, planned: 5) >= 5 && BusyTime.held(duration) >= 0)
                #expect(BusyTime.held(900_000_000) == 9_000_000)
            }
        }
        #expect(BusyTime.floor(1_000_000_000) == 18_000 * 1_000_000)
        #expect(BusyTime.floor(1_000_000_000, load: Load(logarithm: 512)) == 4_500 * 1_000_000)
    }
}
