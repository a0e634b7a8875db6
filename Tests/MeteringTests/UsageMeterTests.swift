// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import PostgresWire
import Quotas
import TestKit
import Testing

@testable import Metering

struct UsageMeterTests {
    private static let second: Int64 = 1_000_000_000

    /// The principal that was added as the first, as the second, and so on.
    private func payer(_ number: Int, _ principals: borrowing PrincipalRegistry) -> Slot<Principal> {
        principals.occupant(at: number) ?? principals.slot(0)
    }

    /// Principals of these users, each in a database.
    private func registry(_ users: [(String, String)], isMetered: Bool = true) -> PrincipalRegistry {
        var registry = PrincipalRegistry(limit: 64, hash: .standard)
        registry.isMetered = isMetered
        for (number, (user, database)) in users.enumerated() {
            let client = Endpoint(ipv4: UInt32(number + 1), port: 1)
            let note = FlowNote(client: client, server: Endpoint(ipv4: 99, port: 5432), session: 1)
            let (user, database) = (Array(user.utf8), Array(database.utf8))
            let login = Login(user: user.rawSpan, database: database.rawSpan, application: [UInt8]().rawSpan)
            _ = registry.resolve(login, on: note)
        }
        return registry
    }

    @Test func `what is taken adds up to what was charged, settled and refunded, whenever it is taken`() {
        let seed = Randomness.seed
        var random = SplitMix64(seed: seed)
        let principals = registry([("ann", "shop"), ("ben", "shop")])
        var meter = UsageMeter()
        meter.meter()
        var (charged, taken): ([String: Usage], [String: Usage]) = ([:], [:])
        for _ in 0..<5000 {
            let payer = payer(Int.random(in: 1...2, using: &random), principals)
            let (amount, time) = (
                Int64.random(in: 1...1000, using: &random),
                Timestamp(nanoseconds: Int64.random(in: 0...100, using: &random) * Self.second)
            )
            switch Int.random(in: 0..<8, using: &random) {
            case 0...3:
                meter.charge(payer, amount, at: time)
                charged[payer.value.user ?? "", default: .zero].high += amount
            case 4...5:
                meter.settle(payer, amount, at: time)
                charged[payer.value.user ?? "", default: .zero].low += amount
            case 6:
                meter.refund(payer, amount, at: time)
                charged[payer.value.user ?? "", default: .zero].high -= amount
            default: for usage in meter.take(principals) { Self.add(usage, to: &taken) }
            }
        }
        for usage in meter.take(principals) { Self.add(usage, to: &taken) }
        #expect(taken == charged && taken.count == 2, "seed \(seed)")
        let counts = payer(1, principals).value.counts
        #expect(counts.cost == charged["ann"]?.high && counts.costLow == charged["ann"]?.low)
        #expect(!meter.hasUsage && meter.take(principals).isEmpty)
    }

    private static func add(_ usage: UserUsage, to sums: inout [String: Usage]) {
        for slot in usage.slots { sums[usage.user, default: .zero] += slot.usage }
    }

    @Test func `nothing is kept where nobody takes it, and a pooler's console is nobody's cost`() {
        let principals = registry([("ann", "shop"), ("ann", "pgbouncer")])
        var meter = UsageMeter()
        meter.charge(payer(1, principals), 5, at: .epoch)
        #expect(!meter.hasUsage)
        meter.meter()
        meter.charge(payer(2, principals), 5, at: .epoch)
        let had = meter.hasUsage
        #expect(had && meter.take(principals).isEmpty)
    }

    @Test func `what may not have been used, or where nobody knows, is no proof`() {
        let principals = registry([("ann", "shop"), ("ben", "shop")])
        var meter = UsageMeter()
        meter.meter()
        for number in 1...2 {
            meter.charge(payer(number, principals), 9, at: .epoch)
            meter.settle(payer(number, principals), 9, at: .epoch)
        }
        payer(1, principals).value.isPossible = true
        let taken = meter.take(principals)
        #expect(taken.first { $0.user == "ann" }?.slots.map(\.usage) == [Usage(low: 0, high: 9)])
        #expect(taken.first { $0.user == "ben" }?.slots.map(\.usage) == [Usage(low: 9, high: 9)])
    }

    @Test func `who goes leaves what was used`() {
        let principals = registry([("ann", "shop")])
        var meter = UsageMeter()
        meter.meter()
        meter.charge(payer(1, principals), 9, at: .epoch)
        meter.leave(payer(1, principals), principals.servers)
        let gone = payer(1, principals).handle
        principals.merge(gone, into: 0)
        meter.forget([gone: 0])
        let taken = meter.take(principals)
        #expect(taken.map(\.user) == ["ann"] && taken.flatMap(\.slots).map(\.usage.high) == [9])
    }
}

struct TimeMeterTests {
    private func long(_ principal: PrincipalHandle, ended: Int64) -> LongStatement {
        LongStatement(
            principal: principal,
            pattern: 1,
            tenant: .unknown,
            session: 1,
            database: 0,
            started: 0,
            ended: ended,
            duration: ended,
            price: 1,
            mayWait: false
        )
    }

    @Test func `statements are settled once, those that ended first`() {
        var meter = TimeMeter()
        for ended in [5, 1, 9] as [Int64] { meter.add(long(1, ended: ended)) }
        #expect(meter.takeLong(before: 6).map(\.ended) == [5, 1] && meter.takeLong(before: 6).isEmpty)
        #expect(meter.long.map(\.ended) == [9] && meter.takeLong(before: .max).map(\.ended) == [9])
    }

    @Test func `a statement whose principal or pattern is gone is that of the heirs`() {
        var meter = TimeMeter()
        meter.add(long(1, ended: 5))
        let registry = PrincipalRegistry(limit: 16, hash: .standard)
        registry[0].databaseIndex = 0
        meter.fold(patterns: [1: 4], principals: [1: 0], in: registry)
        #expect(meter.long.map(\.principal) == [0] && meter.long.map(\.pattern) == [4])
    }

    @Test func `only a transaction that others may have waited for is evidence`() {
        var meter = TimeMeter()
        let shortest = TimeEvidence.shortestWait
        meter.add(TimeEvidence.Holder(session: 1, database: "shop", start: 0, end: shortest / 2))
        #expect(meter.evidence.isEmpty)
        meter.add(TimeEvidence.Holder(session: 1, database: "shop", start: 0, end: shortest))
        let told = meter.takeEvidence()
        #expect(!told.isEmpty && meter.evidence.isEmpty)
    }
}
