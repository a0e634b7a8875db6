// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Quotas
import Reports
import Testing

struct QuotaReportTests {
    private static let user = UserKey(Fingerprint(high: 1, low: 2))
    private static let now = Timestamp(nanoseconds: 1_800_000_000_000_000_000)

    private func json(_ bytes: [UInt8]) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
    }

    /// A user who used 120 of 100 units, by the way that usage goes.
    private func keeper() -> QuotaKeeper {
        var policy = QuotaPolicy(tiers: [Tier(name: "t", hourly: CostUnits(units: 100), daily: nil)], fallback: "t")
        policy.mode = .enforce
        let store = MemoryLedgerStore { 1_800_000_000 }
        var keeper = QuotaKeeper(store, node: "n", incarnation: "1", policy: policy)
        let amount = CostUnits(units: 120).micro
        let slot = SlotUsage(start: 1_800_000_000, usage: Usage(low: amount, high: amount * 2))
        keeper.add([slot], of: ActiveUser(Self.user, tier: "t"), at: Self.now)
        return keeper
    }

    private func row(_ keeper: QuotaKeeper) throws -> QuotaRow {
        let subject = try #require(keeper.decider[Self.user])
        let tier = try #require(keeper.terms.policy.tiers["t"])
        return QuotaRow(
            name: "ben",
            user: Self.user,
            mode: .enforce,
            subject: subject,
            standings: Evaluation(Self.user, tier, in: keeper.sync.ledger, .utc, now: 1_800_000_000).standings,
            override: nil,
            enforcement: [("pgbouncer", UserEnforcement(user: "ben", connections: 5, state: .draining, observed: 9))]
        )
    }

    private let facts = QuotaFacts(
        store: "memory",
        condition: "",
        node: "n",
        isLeader: true,
        problems: ["something is wrong"],
        values: [("users", 1)]
    )

    @Test func `the audit has a line a change, with a hash and no name`() throws {
        var keeper = keeper()
        let transition = try #require(keeper.turn(at: Self.now).first)
        let line = AuditEntry(transition, generation: 7, at: Self.now, node: "n").line
        #expect(line.filter { $0 == 0x0A }.count == 1 && line.last == 0x0A)
        let entry = try json(line)
        #expect(entry["event"] as? String == "crossed" && entry["user"] as? String == Self.user.description)
        #expect(entry["to"] as? String == "limited" && entry["connections_after"] as? String == "5")
        #expect(entry["used"] as? String == "120" && entry["budget"] as? String == "100")
        #expect(entry["window"] as? String == "hour" && entry["time"] as? String == "2027-01-15T08:00:00.000000Z")
    }

    @Test func `lists and evidence say the same to people and to programs`() throws {
        var keeper = keeper()
        let history = keeper.turn(at: Self.now).map { AuditEntry($0, generation: 7, at: Self.now, node: "n") }
        let report = QuotaReport([try row(keeper)], of: facts, at: Self.now)
        let text = String(
            decoding: report.text(top: 5, style: TerminalStyle(width: 110, isColored: false)),
            as: UTF8.self
        )
        #expect(
            text.contains("ben") && text.contains("120 %") && text.contains("240 %")
                && text.contains("something is wrong")
        )
        #expect(text.contains("5 connections, draining"))
        let narrow = report.text(top: 5, style: TerminalStyle(width: 80, isColored: false))
        for line in String(decoding: narrow, as: UTF8.self).split(separator: "\n") { #expect(line.count <= 80) }
        let list = try json(report.json())
        let users = try #require(list["users"] as? [[String: Any]])
        #expect(users.first?["utilization"] as? Double == 1.2 && users.first?["utilization_high"] as? Double == 2.4)
        #expect((users.first?["enforcement"] as? [[String: Any]])?.first?["observed"] as? String == "9")

        let why = WhyReport(try row(keeper), spends: [], history: history, at: Self.now)
        let words = String(decoding: why.text(style: TerminalStyle(width: 110, isColored: false)), as: UTF8.self)
        #expect(words.contains("limited since 2027-01-15T08:00:00") && words.contains("120 of 100 units, possibly 240"))
        #expect(words.contains("crossed") && words.contains("now at pgbouncer: draining, 9 connections seen"))
        #expect(!words.contains("\u{1B}"))
        #expect(try json(why.json())["patterns"] != nil)
    }
}
