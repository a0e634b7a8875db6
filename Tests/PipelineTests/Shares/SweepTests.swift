// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import PostgresWire
import Quotas
import TestKit
import Testing

@testable import Metering
@testable import Pipeline

/// Many users on tables of a few places, against a plain count of what each of them did.
struct SweepTests {
    private struct Client {
        var user: String
        var address: UInt32
        var isOpen = false
        /// What its prepared statements are, by name.
        var prepared: [String: String] = [:]
    }

    /// What users did, by who they are.
    private struct Truth: Equatable {
        var calls: UInt64 = 0
        var rows: UInt64 = 0
    }

    @Test func `totals are exact over random orders, whatever makes room`() {
        let seed = Randomness.seed
        var forgotten: UInt64 = 0
        for round in 0..<(Randomness.isLong ? 200 : 4) as Range<UInt64> {
            var random = SplitMix64(seed: seed &+ round)
            let tables = TableLimits(patterns: 24, principals: 80, samples: 1 << 16)
            var lab = SweepLab(analyser: SweepLab.analyser(tables, flows: 64))
            lab.analyser.metering.askForPrices(PricingScheme(cluster: "main", asTenant: false))
            lab.analyser.metering.serve()
            lab.analyser.metering.meter()
            lab.analyser.metering.keepActivity()
            var clients = (0..<40).map { Client(user: "u\($0 % 7)", address: UInt32($0)) }
            var calls: [String: UInt64] = [:]
            var used: [String: Int64] = [:]
            var logged: [String: UInt64] = [:]
            for step in 0..<8000 {
                let flow = FlowHandle.random(in: 0..<40, using: &random)
                var client = clients[Int(flow)]
                if !client.isOpen {
                    client.user = step % 2 == 0 ? "made up \(step)" : "u\(Int(flow) % 7)"
                    lab.open(flow, client.user, UInt32.random(in: 0..<5000, using: &random))
                    client.isOpen = true
                }
                let number = Int.random(in: 0..<(client.user == "u0" ? 2000 : 5), using: &random)
                switch Int.random(in: 0..<20, using: &random) {
                case 0:
                    lab.close(flow)
                    (client.isOpen, client.prepared) = (false, [:])
                case 1...3:
                    let name = "p\(number % 9)"
                    guard client.prepared[name] == nil else { break }
                    client.prepared[name] = "SELECT \(number) AS \(client.user.filter { $0 != " " })_p\(number)"
                    lab.prepare(flow, name, client.prepared[name] ?? "")
                case 4...9:
                    guard let name = client.prepared.keys.sorted().randomElement(using: &random) else { break }
                    lab.run(flow, name)
                    calls[client.user, default: 0] += 1
                default:
                    lab.query(flow, "SELECT 1 AS \(client.user.filter { $0 != " " })_a\(number)")
                    calls[client.user, default: 0] += 1
                }
                clients[Int(flow)] = client
                // Now and then the work stands still in the middle.
                if Int.random(in: 0..<3, using: &random) == 0 {
                    lab.analyser.sweepTables(most: Int.random(in: 1...40, using: &random))
                }
                if Int.random(in: 0..<200, using: &random) == 0 {
                    for usage in lab.analyser.metering.takeUsage() {
                        used[usage.user, default: 0] += usage.slots.reduce(0) { $0 + $1.usage.low }
                    }
                    for record in lab.analyser.metering.takeActivity() {
                        logged[record.user ?? "", default: 0] += record.counts.calls
                    }
                }
            }
            for usage in lab.analyser.metering.takeUsage() {
                used[usage.user, default: 0] += usage.slots.reduce(0) { $0 + $1.usage.low }
            }
            for record in lab.analyser.metering.takeActivity() {
                logged[record.user ?? "", default: 0] += record.counts.calls
            }
            let result = lab.result()
            let all = calls.values.reduce(0, +)
            #expect(result.totals.completed == all, "seed \(seed) round \(round)")
            #expect(result.patterns.reduce(0) { $0 + $1.calls } == all, "seed \(seed) round \(round)")
            let cost = result.patterns.reduce(0) { $0 + $1.cost.micro }
            #expect(cost == result.totals.cost, "seed \(seed) round \(round)")
            #expect(result.patterns.reduce(0) { $0 + $1.durations.count } == all, "seed \(seed) round \(round)")
            // The ledger is told of each user, those who are listed no longer too.
            for (user, count) in calls {
                #expect(used[user] == Int64(count) * CostUnits.fallback.micro, "\(user) seed \(seed) round \(round)")
            }
            #expect(logged.values.reduce(0, +) == all, "seed \(seed) round \(round)")
            #expect(result.patternEvictions > 0)
            forgotten += result.forgottenUsers
            #expect(lab.analyser.metering.patterns.count <= 24 + 64 * 10)
        }
        #expect(forgotten > 0, "seed \(seed)")
    }

    @Test func `one user's patterns push out none of another's, and prepared statements keep theirs`() {
        var lab = SweepLab(
            analyser: SweepLab.analyser(TableLimits(patterns: 256, principals: 64, samples: 1 << 16), flows: 16)
        )
        lab.open(0, "ann", 10)
        lab.open(1, "ben", 11)
        for number in 0..<50 { lab.query(0, "SELECT 1 AS ann\(number)") }
        lab.prepare(1, "kept", "SELECT 1 AS mine")
        for number in 0..<20_000 {
            lab.query(1, "SELECT 1 AS flood\(number)")
            if number % 16 == 0 { lab.analyser.sweepTables() }
        }
        lab.run(1, "kept")
        let result = lab.result()
        let told = result.patterns.map { (String(decoding: $0.text, as: UTF8.self), $0.calls) }
        let texts = Dictionary(told) { $0 + $1 }
        for number in 0..<50 { #expect(texts["select ? as ann\(number)"] == 1) }
        #expect(texts["select ? as mine"] == 1)
        #expect((texts["(other patterns)"] ?? 0) > 19_000 && texts.count <= 256 + 4)
        #expect(result.patterns.reduce(0) { $0 + $1.calls } == 20_051)
        // Listed in short, each user has a share, and the sum is the same.
        let short = lab.result(most: 100)
        let listed = Set(short.patterns.map { String(decoding: $0.text, as: UTF8.self) })
        #expect((0..<50).allSatisfy { listed.contains("select ? as ann\($0)") } && listed.count <= 102)
        #expect(short.patterns.reduce(0) { $0 + $1.calls } == 20_051)
    }

    @Test func `a price is asked for as soon as a text is there again`() {
        var lab = SweepLab(
            analyser: SweepLab.analyser(TableLimits(patterns: 4096, principals: 64, samples: 1 << 16), flows: 16)
        )
        lab.analyser.metering.askForPrices(PricingScheme(cluster: "main", asTenant: false))
        lab.open(0, "ann", 10)
        lab.open(1, "ben", 11)
        lab.query(0, "SELECT 1 AS mine")
        // The service was busy; meanwhile texts gave way to others of the same user.
        for number in 0..<2000 { lab.query(0, "SELECT 1 AS own\(number)") }
        for number in 0..<2000 { lab.query(1, "SELECT '\(String(repeating: "x", count: 3000))' AS flood\(number)") }
        _ = lab.analyser.metering.takeQuestions()
        lab.ordinal += 3_000_000_000 / 1000
        for _ in 0..<2 {
            lab.query(0, "SELECT 1 AS mine")
            lab.query(0, "SELECT 2 AS mine")
        }
        lab.ordinal += 3_000_000_000 / 1000
        lab.query(0, "SELECT 3 AS mine")
        let asked = lab.analyser.metering.takeQuestions()?.questions ?? []
        #expect(asked.contains { String(decoding: $0.pattern, as: UTF8.self) == "select ? as mine" })
        #expect(asked.allSatisfy { !$0.sample.text.isEmpty })
    }

    @Test func `one user at very many addresses, and very many users, leave others their logins`() {
        var lab = SweepLab(
            analyser: SweepLab.analyser(TableLimits(patterns: 64, principals: 256, samples: 1 << 16), flows: 4096)
        )
        for address in 0..<3000 as Range<UInt32> {
            let flow = FlowHandle(address)
            lab.open(flow, "tenant", address)
            if address % 2 == 0 { lab.close(flow) }
            if address % 16 == 0 { lab.analyser.sweepTables() }
        }
        for number in 0..<3000 {
            lab.open(4000, "made up \(number)", UInt32(number))
            lab.query(4000, "SELECT 1")
            lab.close(4000)
            if number % 16 == 0 { lab.analyser.sweepTables() }
        }
        for number in 0..<4 as Range<UInt32> {
            lab.open(4001 + FlowHandle(number), number == 3 ? "other" : "tenant", 100_000 + number)
            for _ in 0..<100 { lab.query(4001 + FlowHandle(number), "SELECT 1 FROM t") }
        }
        let result = lab.result()
        func completed(_ user: String) -> UInt64 {
            result.principals.filter { $0.user == user }.reduce(0) { $0 + $1.counts.completed }
        }
        #expect(completed("tenant") == 300 && completed("other") == 100)
        #expect(result.totals.completed == 3400)
        #expect(result.principals.count <= 300)
    }
}
