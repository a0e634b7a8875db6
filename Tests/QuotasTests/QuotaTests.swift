// SPDX-License-Identifier: Apache-2.0
import Domain
import Quotas
import Testing

struct QuotaTests {
    private static let hour: Int64 = 3_600_000_000_000
    private static let tier = Tier(name: "t", hourly: CostUnits(units: 100), daily: CostUnits(units: 150))

    @Test(arguments: [
        (0.0, Verdict.ok), (0.79, .ok), (0.8, .warning), (0.99, .warning), (1.0, .limited), (1.49, .limited),
        (1.5, .severe), (9, .severe),
    ])
    func `the ladder`(_ utilization: Double, _ verdict: Verdict) {
        #expect(Verdict(utilization: utilization) == verdict)
    }

    @Test func `each hour and each day counts by itself, the fullest decides`() {
        var account = Account()
        for (hour, units) in [(0, 60.0), (1, 80), (30, 20)] {
            let amount = CostUnits(units: units).micro
            account.charge(amount, at: Timestamp(nanoseconds: Int64(hour) * Self.hour + 5))
            account.settle(amount, at: Timestamp(nanoseconds: Int64(hour) * Self.hour + 5))
        }
        let standing = Standing(account, tier: Self.tier)
        #expect(abs(standing.utilization - 140.0 / 150) < 1e-9)
        #expect(standing.verdict == .warning)
    }

    @Test func `refunds restore, and what is not proven punishes nobody`() {
        var account = Account()
        account.charge(CostUnits(units: 500).micro, at: .epoch)
        #expect(Standing(account, tier: Self.tier).verdict == .ok)
        #expect(Standing(account, tier: Self.tier).utilizationHigh == 5)
        account.refund(CostUnits(units: 500).micro, at: .epoch)
        #expect(Standing(account, tier: Self.tier).utilizationHigh == 0)
    }

    @Test func `a clock that jumps to and fro loses nothing`() {
        var account = Account()
        for step in 0..<20_000 { account.charge(1, at: Timestamp(nanoseconds: Int64(step % 3 - 1) * Self.hour)) }
        #expect(account.hours.map(\.hour) == [-1, 0, 1])
        #expect(account.hours.reduce(0) { $0 + $1.high } == 20_000)
    }

    @Test func `adding accounts of two workers is the account of one`() {
        var (one, two, both) = (Account(), Account(), Account())
        for step in 0..<1000 {
            let time = Timestamp(nanoseconds: Int64(step) * Self.hour / 7)
            if step % 2 == 0 { one.charge(3, at: time) } else { two.charge(3, at: time) }
            both.charge(3, at: time)
        }
        one.add(two)
        #expect(one.hours == both.hours)
    }

    @Test func `without a tier there is no limit`() {
        var account = Account()
        account.settle(.max / 2, at: .epoch)
        #expect(Standing(account, tier: nil).verdict == .ok)
    }
}
