// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import PostgresWire
import Quotas
import TestKit
import Testing

@testable import Metering
@testable import Pipeline

/// Whatever holds a principal, a pattern or the number of a user, while these come and go: ledger, history, evidence, long
/// statements, transactions, sessions whose user is found out later.
///
/// In debug builds ``SlotTable`` ends the program where a handle is used whose place was given back, so everything that is handed on
/// is read; what remains is compared between what was told the ledger and the history.
struct HolderTests {
    private struct Client {
        var user = ""
        var isOpen = false, isUnknown = false
        var prepared: [String] = []
    }

    /// What was handed on so far.
    private struct Told {
        var ledger: [String: Usage] = [:]
        var history: [String: Int64] = [:]
        var faults: [String] = []

        mutating func take(_ metering: inout Metering<NoRecorder>) {
            for usage in metering.takeUsage() {
                for slot in usage.slots { ledger[usage.user, default: .zero] += slot.usage }
            }
            for record in metering.takeActivity() {
                history[record.user ?? "", default: 0] += record.counts.cost
                check(record.user, record.text, "history")
            }
        }

        /// A statement's text names its user, except for those of all.
        mutating func check(_ user: String?, _ bytes: [UInt8], _ place: String) {
            let text = String(decoding: bytes, as: UTF8.self)
            guard let user, let name = text.split(separator: " as ").dropFirst().first else { return }
            if !name.hasPrefix(user + "_") { faults.append("\(place): '\(text)' is \(user)'s") }
        }
    }

    private static func lab() -> SweepLab {
        let tables = TableLimits(patterns: 16, principals: 16, samples: 1 << 16, activity: 512)
        var lab = SweepLab(analyser: SweepLab.analyser(tables, flows: 64))
        lab.analyser.metering.askForPrices(PricingScheme(cluster: "main", asTenant: false))
        lab.analyser.metering.serve()
        lab.analyser.metering.meter()
        // Small, so that walking over it takes no time.
        lab.analyser.metering.activity.spend = SpendTable(places: 256)
        lab.analyser.metering.keepActivity()
        lab.analyser.metering.unknown = UnknownSessions()
        return lab
    }

    @Test func `what is handed on is of whom it was, whatever was removed meanwhile`() {
        let seed = Randomness.seed
        var (removed, forgotten, moves) = (UInt64(0), UInt64(0), 0)
        for round in 0..<(Randomness.isLong ? 200 : 8) as Range<UInt64> {
            var random = SplitMix64(seed: seed &+ round)
            var lab = Self.lab()
            var told = Told()
            var clients = [Client](repeating: Client(), count: 24)
            for step in 0..<3000 {
                let flow = FlowHandle.random(in: 0..<24, using: &random)
                var client = clients[Int(flow)]
                if !client.isOpen {
                    client = Client(user: step % 3 == 0 ? "u\(step % 4)" : "made\(step)", isOpen: true)
                    client.isUnknown = Int.random(in: 0..<3, using: &random) == 0
                    let address = UInt32.random(in: 0..<100, using: &random)
                    if client.isUnknown { lab.join(flow, address) } else { lab.open(flow, client.user, address) }
                }
                let text = "SELECT 1 AS \(client.user)_\(Int.random(in: 0..<6, using: &random))"
                switch Int.random(in: 0..<24, using: &random) {
                case 0...3:
                    lab.close(flow)
                    client = Client()
                case 4...7 where client.isUnknown:
                    lab.resolve(flow, Int.random(in: 0..<3, using: &random) == 0 ? nil : client.user)
                    client.isUnknown = false
                    moves += 1
                case 8...10: lab.query(flow, text, milliseconds: UInt64.random(in: 60...400, using: &random))
                case 11: lab.query(flow, "BEGIN")
                case 12: lab.query(flow, "COMMIT", milliseconds: UInt64.random(in: 0...200, using: &random))
                case 13:
                    let name = "p\(client.prepared.count)"
                    client.prepared.append(name)
                    lab.prepare(flow, name, text)
                case 14...15:
                    if let name = client.prepared.randomElement(using: &random) { lab.run(flow, name) }
                default: lab.query(flow, text)
                }
                clients[Int(flow)] = client
                // The order of a worker's turn, some of it left out now and then.
                var turn: [Int] = []
                for part in 0..<7 where Int.random(in: 0..<4, using: &random) == 0 { turn.append(part) }
                for part in turn {
                    switch part {
                    case 0:
                        let evidence = lab.analyser.metering.takeEvidence()
                        lab.analyser.metering.settleLong(evidence, before: lab.now - 500_000_000)
                    case 1 where step % 16 == 0: told.take(&lab.analyser.metering)
                    case 2:
                        let user = clients.randomElement(using: &random)?.user ?? ""
                        let time = Timestamp(nanoseconds: lab.now)
                        for spend in lab.analyser.metering.evidence(against: user, at: time, most: 20) {
                            told.check(user, spend.text, "evidence")
                        }
                    case 3: lab.analyser.sweepTables(most: Int.random(in: 1...60, using: &random))
                    case 4: lab.analyser.metering.finishMoves()
                    case 5: _ = lab.analyser.metering.takeQuestions()
                    case 6: _ = lab.analyser.metering.observations(from: 1, count: 1000)
                    default: break
                    }
                }
            }
            for flow in 0..<24 as Range<FlowHandle> where clients[Int(flow)].isOpen { lab.close(flow) }
            lab.analyser.metering.finishMoves()
            let evidence = lab.analyser.metering.takeEvidence()
            lab.analyser.metering.settleLong(evidence)
            told.take(&lab.analyser.metering)
            let place = "seed \(seed) round \(round)"
            #expect(told.faults.isEmpty, "\(told.faults.prefix(3)) \(place)")
            for (user, cost) in told.history where !user.isEmpty {
                #expect(cost <= told.ledger[user, default: .zero].high, "\(user) \(place)")
            }
            let result = lab.result()
            #expect(told.history.values.reduce(0, +) == result.totals.cost, "\(place)")
            #expect(result.patterns.reduce(0) { $0 + $1.cost.micro } == result.totals.cost, "\(place)")
            #expect(result.patterns.reduce(0) { $0 + $1.costLow.micro } == result.totals.costLow, "\(place)")
            removed += result.patternEvictions
            forgotten += result.forgottenUsers
        }
        #expect(removed > 100 && forgotten > 100 && moves > 100, "\(removed) \(forgotten) \(moves) seed \(seed)")
    }

    @Test func `durations of a user who is gone are not those of the next one with the number`() {
        let tables = TableLimits(patterns: 64, principals: 16, samples: 1 << 16)
        var lab = SweepLab(analyser: SweepLab.analyser(tables, flows: 64))
        lab.analyser.metering.askForPrices(PricingScheme(cluster: "main", asTenant: false))
        func key(_ user: String) -> Fingerprint { KeyedHash.standard.hash(Array(user.utf8).rawSpan) }
        lab.open(0, "ann", 1)
        lab.query(0, "SELECT 1 AS shared", milliseconds: 50)
        lab.close(0)
        lab.open(1, "ben", 2)
        for number in 0..<2000 as Range<UInt32> where lab.analyser.metering.principals.forgotten < 200 {
            lab.query(1, "SELECT 1 AS shared", milliseconds: 1)
            lab.open(2, "made\(number)", number)
            lab.query(2, "SELECT 1 AS own")
            lab.close(2)
            lab.analyser.sweepTables()
        }
        #expect(lab.analyser.metering.principals.forgotten >= 200)
        let shared = lab.analyser.metering.patterns.keys(of: "select ? as shared")
        for _ in 0..<4 {
            let told = lab.analyser.metering.observations(from: 1, count: 1000).found.filter { shared.contains($0.key) }
            #expect(told.allSatisfy { [key("ann"), key("ben")].contains($0.payer) })
            lab.query(1, "SELECT 1 AS shared", milliseconds: 1)
        }
    }

    @Test func `a user whose long statement waits to be settled pays for it, however many come meanwhile`() {
        let tables = TableLimits(patterns: 64, principals: 16, samples: 1 << 16)
        var lab = SweepLab(analyser: SweepLab.analyser(tables, flows: 64))
        lab.analyser.metering.serve()
        lab.analyser.metering.meter()
        lab.open(0, "ann", 1)
        lab.query(0, "SELECT 1 AS heavy", milliseconds: 1000)
        lab.close(0)
        for number in 0..<1000 as Range<UInt32> {
            lab.open(2, "made\(number)", number)
            lab.query(2, "SELECT 1 AS own")
            lab.close(2)
            lab.analyser.sweepTables()
        }
        #expect(lab.analyser.metering.principals.forgotten > 100)
        let evidence = lab.analyser.metering.takeEvidence()
        lab.analyser.metering.settleLong(evidence)
        let slots = lab.analyser.metering.takeUsage().filter { $0.user == "ann" }.flatMap(\.slots)
        let usage = slots.reduce(Usage.zero) { $0 + $1.usage }
        #expect(usage.low == usage.high && usage.low >= BusyTime.floor(1_000_000_000))
    }

    @Test func `a pattern that a pooler's other connection takes up while room is made stays`() {
        let tables = TableLimits(patterns: 16, principals: 16, samples: 1 << 16)
        var lab = SweepLab(analyser: SweepLab.analyser(tables, flows: 64))
        lab.open(0, "ann", 1)
        lab.open(1, "ann", 1)
        lab.prepare(1, "PGBOUNCER_1", "SELECT 1 AS mine")
        lab.close(1)
        lab.open(2, "ann", 1)
        for flow in 3..<40 as Range<FlowHandle> { lab.open(flow, "ben", 2) }
        var number = 0
        // Until it is on its way out, and the connection that takes it up was looked at already.
        while number < 20_000, lab.analyser.metering.patterns.isLeaving("select ? as mine") != true {
            if lab.analyser.metering.isSweeping { lab.analyser.sweepTables() }
            number += 1
            lab.query(2, "SELECT 1 AS flood\(number)")
            lab.analyser.sweepTables(most: 1)
        }
        #expect(lab.analyser.metering.patterns.isLeaving("select ? as mine") == true, "\(number)")
        lab.say(0, .client, Messages.bind("PGBOUNCER_1") + Messages.execute() + Messages.message("S"))
        while lab.analyser.metering.isSweeping { lab.analyser.sweepTables() }
        for number in 0..<64 { lab.query(2, "SELECT 1 AS later\(number)") }
        lab.say(0, .server, Messages.message("2") + Messages.complete("SELECT 1") + Messages.ready())
        let told = lab.result().patterns.filter { String(decoding: $0.text, as: UTF8.self) == "select ? as mine" }
        #expect(told.map(\.calls) == [1])
    }
}

extension PatternRegistry {
    /// The keys of the prices of a text.
    fileprivate func keys(of text: String) -> Set<Fingerprint> {
        Set(
            (0..<records.highWater).compactMap { place in
                guard let record = records.occupant(at: place) else { return nil }
                return String(decoding: self.text(of: record.handle), as: UTF8.self) == text ? record.value.key : nil
            }
        )
    }

    /// Whether a text's pattern is condemned; `nil`: it is gone.
    fileprivate func isLeaving(_ text: String) -> Bool? {
        for place in 0..<records.highWater {
            guard let record = records.occupant(at: place) else { continue }
            if String(decoding: self.text(of: record.handle), as: UTF8.self) == text { return record.value.isCondemned }
        }
        return nil
    }
}
