// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import PostgresWire
import Testing

@testable import Metering

/// What time does to charges: a statement is sent and ends, as the session stage says it.
struct LongStatementTests {
    private static let ms: Int64 = 1_000_000
    private static let unit: Int64 = 1_000_000

    /// One worker with sessions of three users.
    private struct Lab: ~Copyable {
        var metering = Metering.lab()
        var clock: Int64 = 1_000_000_000_000

        mutating func login(_ flow: FlowHandle, _ user: String) -> PrincipalHandle {
            let moment = Moment(time: Timestamp(nanoseconds: clock), ordinal: UInt64(flow) + 1)
            metering.opened(
                flow,
                client: Endpoint(high: 0, low: UInt64(flow) + 1, port: 1000),
                server: Endpoint(high: 0, low: 99, port: 5432),
                at: moment
            )
            let (user, database) = (Array(user.utf8), Array("shop".utf8))
            let login = Login(user: user.rawSpan, database: database.rawSpan, application: [UInt8]().rawSpan)
            return metering.attribute(flow, login, at: moment)
        }

        /// Runs a statement; it begins at the lab's clock, which goes on to its end.
        mutating func run(
            _ text: String,
            _ flow: FlowHandle,
            _ principal: PrincipalHandle,
            for duration: Int64,
            bytes: UInt64 = 0,
            outcome: StatementOutcome = .completed
        ) {
            let bytesOfText = Array(text.utf8)
            guard let sketch = metering.sketch(bytesOfText.rawSpan, from: 0, backslashEscapes: false) else { return }
            let sent = Timestamp(nanoseconds: clock)
            let moment = Moment(time: sent, ordinal: 1)
            let pattern = metering.pattern(sketch, of: bytesOfText.rawSpan, for: principal, under: 0, at: moment)
            var event = StatementEvent()
            (event.flow, event.principal, event.pattern, event.kind) = (flow, principal, pattern, sketch.kind)
            event.price = metering.started(principal, pattern, at: sent)
            (event.started, event.duration, event.outcome) = (sent, duration, outcome)
            event.bytesReceived = bytes
            if outcome == .failed { event.errorCode = 0x5858_3030_30 }
            clock += duration
            event.ended = Moment(time: Timestamp(nanoseconds: clock), ordinal: 2)
            metering.ended(event)
        }

        mutating func charge(of principal: PrincipalHandle) -> (low: Int64, high: Int64) {
            let counts = metering.principals[principal].counts
            return (counts.costLow / LongStatementTests.unit, counts.cost / LongStatementTests.unit)
        }

        mutating func settle() {
            var evidence = metering.takeEvidence()
            evidence.sort()
            metering.settleLong(evidence)
        }
    }

    @Test func `a long statement costs three fifths of its time, possible at once and proven when all have told`() {
        var lab = Lab()
        let ann = lab.login(1, "ann")
        lab.run("select heavy()", 1, ann, for: 4000 * Self.ms)
        var charge = lab.charge(of: ann)
        #expect(charge == (1000, 72_000))
        lab.settle()
        charge = lab.charge(of: ann)
        #expect(charge == (72_000, 72_000))
    }

    @Test func `a short one costs its price, a long one of little worth too`() {
        var lab = Lab()
        let ann = lab.login(1, "ann")
        lab.run("select 1", 1, ann, for: 19 * Self.ms)
        lab.run("select 1", 1, ann, for: 50 * Self.ms)
        lab.settle()
        let charge = lab.charge(of: ann)
        #expect(charge == (2000, 2000))
    }

    @Test func `a failed statement costs its time at most`() {
        var lab = Lab()
        let ann = lab.login(1, "ann")
        lab.run("select heavy()", 1, ann, for: 2 * Self.ms, outcome: .failed)
        var charge = lab.charge(of: ann)
        #expect(charge == (60, 60))
        lab.run("select heavy()", 1, ann, for: 100 * Self.ms, outcome: .failed)
        lab.settle()
        charge = lab.charge(of: ann)
        #expect(charge == (60 + 1800, 60 + 1800))
    }

    @Test func `a commit's time and a large answer's may be waiting: possible, not proven`() {
        var lab = Lab()
        let ann = lab.login(1, "ann")
        lab.run("select * from big", 1, ann, for: 1000 * Self.ms, bytes: 2 << 20)
        lab.settle()
        let charge = lab.charge(of: ann)
        #expect(charge == (1000, 18_000))
        lab.run("commit", 1, ann, for: 1000 * Self.ms)
        lab.settle()
        let after = lab.charge(of: ann)
        #expect(after.low < 1002 && after.high >= 35_999)
    }

    @Test func `what waits for another's transaction is not proven to have worked`() {
        var lab = Lab()
        let (ann, ben) = (lab.login(1, "ann"), lab.login(2, "ben"))
        let start = lab.clock
        lab.run("begin", 2, ben, for: 1 * Self.ms)
        lab.run("update t set a = 1", 2, ben, for: 1 * Self.ms)
        lab.clock = start + 3000 * Self.ms
        lab.run("commit", 2, ben, for: 2 * Self.ms)
        let before = lab.charge(of: ben)
        lab.clock = start + 10 * Self.ms
        lab.run("update t set a = 1 where id = 5", 1, ann, for: 2995 * Self.ms)
        lab.settle()
        let charge = lab.charge(of: ann)
        #expect(charge == (1000, 53_910))
        let bens = lab.charge(of: ben)
        #expect(bens == before)
    }

    @Test func `sleeping and locking cost a held connection, unless something else is computed`() {
        var lab = Lab()
        let ann = lab.login(1, "ann")
        for text in [
            "select pg_sleep(4)", "select pg_catalog.pg_sleep(4)", "lock table t", "select pg_advisory_lock(1, 2)",
        ] {
            lab.run(text, 1, ann, for: 4000 * Self.ms)
        }
        lab.settle()
        var charge = lab.charge(of: ann)
        // Three at the default price, which is more, and LOCK, whose class is known.
        #expect(charge == (3040, 3040))
        let ben = lab.login(2, "ben")
        for text in ["select pg_sleep(heavy())", "select pg_sleep(1), heavy()", "select evil.pg_sleep(1)"] {
            lab.run(text, 2, ben, for: 4000 * Self.ms)
        }
        lab.settle()
        charge = lab.charge(of: ben)
        #expect(charge == (3 * 72_000, 3 * 72_000))
    }

    @Test func `a transaction that is idle for more than a second costs what is held from then on`() {
        var lab = Lab()
        let ann = lab.login(1, "ann")
        let now = Timestamp(nanoseconds: lab.clock)
        lab.metering.idled(ann, for: 1000 * Self.ms, at: now)
        var charge = lab.charge(of: ann)
        #expect(charge == (0, 0))
        lab.metering.idled(ann, for: 61_000 * Self.ms, at: now)
        charge = lab.charge(of: ann)
        #expect(charge == (600, 600))
        lab.metering.price(by: PriceList(held: CostUnits(units: 1)))
        lab.metering.idled(ann, for: 61_000 * Self.ms, at: now)
        charge = lab.charge(of: ann)
        #expect(charge == (660, 660))
        for duration in [Int64.min, -1, .max] { lab.metering.idled(ann, for: duration, at: now) }
    }

    @Test func `a price that a person set is that price and nothing else`() throws {
        var lab = Lab()
        lab.metering.askForPrices(PricingScheme(cluster: "main", asTenant: false))
        let ann = lab.login(1, "ann")
        lab.run("select heavy()", 1, ann, for: Self.ms)
        let key = try #require(lab.metering.allQuestions().first?.key)
        let answer = PriceAnswer(key: key, price: 7 * Self.unit, isMeasured: false, isFixed: true)
        lab.metering.take([answer], at: Timestamp(nanoseconds: lab.clock))
        lab.clock += 1000 * Self.ms
        let before = lab.charge(of: ann)
        lab.run("select heavy()", 1, ann, for: 4000 * Self.ms)
        lab.run("select heavy()", 1, ann, for: Self.ms / 100, outcome: .failed)
        lab.settle()
        let after = lab.charge(of: ann)
        #expect(after == (before.low + 14, before.high + 14))
    }

    @Test func `what a statement's class costs needs no planner`() {
        var lab = Lab()
        let ann = lab.login(1, "ann")
        let costs: [(String, Double)] = [
            ("begin", 0.1), ("set a = 1", 0.1), ("commit", 0.1), ("fetch 5 from c", 0.1),
            ("prepare p as select 1", 0.1),
            ("copy t from stdin", 0.1), ("copy (select 1) to stdout", 1000), ("explain select 1", 10),
            ("explain analyze select 1", 1000), ("explain (analyze, buffers) select 1", 1000),
            ("create table t(id int)", 100), ("create table t as select 1", 1000), ("create index on t(id)", 1000),
            ("vacuum t", 1000), ("drop table t", 100), ("do $$begin end$$", 1000), ("call p()", 1000),
            ("select 1", 1000),
            ("create materialized view v as select 1", 1000), ("declare c cursor for select 1", 1000), ("lock t", 0.1),
        ]
        for (text, cost) in costs {
            let before = lab.metering.principals[ann].counts.costLow
            lab.run(text, 1, ann, for: Self.ms)
            let after = lab.metering.principals[ann].counts.costLow
            #expect(Double(after - before) == cost * 1e6, "\(text)")
        }
    }

    @Test func `another's runs make a statement no dearer than twice its own time`() throws {
        var lab = Lab()
        lab.metering.askForPrices(PricingScheme(cluster: "main", asTenant: false))
        let ann = lab.login(1, "ann")
        lab.run("select v from big where id = 5", 1, ann, for: 50_000)
        let key = try #require(lab.metering.allQuestions().first?.key)
        let answer = PriceAnswer(
            key: key,
            price: 253 * Self.unit,
            isMeasured: true,
            planned: 650_000,
            usual: 8 * Self.ms
        )
        lab.metering.take([answer], at: Timestamp(nanoseconds: lab.clock))
        lab.clock += 1000 * Self.ms
        let before = lab.metering.principals[ann].counts.costLow
        lab.run("select v from big where id = 5", 1, ann, for: 50_000)
        // 0.05 ms are worth 1.5 units.
        let cost = lab.metering.principals[ann].counts.costLow - before
        #expect(cost == 3 * Self.unit)
    }

    @Test func `whoever has a price of their own pays that, and durations are told of one user at a time`() throws {
        var lab = Lab()
        lab.metering.askForPrices(PricingScheme(cluster: "main", asTenant: false))
        let (ann, ben) = (lab.login(1, "ann"), lab.login(2, "ben"))
        lab.run("select v from big where id = 5", 1, ann, for: Self.ms)
        lab.run("select v from big where id = 5", 2, ben, for: 8 * Self.ms)
        func observe() -> [PriceObservation] { lab.metering.observations(from: 1, count: 100).found }
        let first = observe()
        lab.run("select v from big where id = 5", 1, ann, for: Self.ms)
        lab.run("select v from big where id = 5", 2, ben, for: 8 * Self.ms)
        let second = observe()
        #expect(first.map(\.durations.count) == [1] && second.map(\.durations.count) == [1])
        #expect(first.first?.payer != second.first?.payer)
        // Nobody else ran it: the same one teaches on.
        for _ in 0..<2 {
            lab.run("select v from big where id = 5", 2, ben, for: 8 * Self.ms)
            let found = observe()
            let isBens = found.isEmpty || found.first?.payer == second.first?.payer
            #expect(isBens)
        }
        let key = try #require(first.first?.key)
        let annsKey = try #require(first.first?.payer)
        let common = PriceAnswer(key: key, price: 253 * Self.unit, isMeasured: true, planned: 240 * Self.unit)
        let own = PriceAnswer(
            key: key,
            price: 2 * Self.unit,
            isMeasured: true,
            planned: 240 * Self.unit,
            payer: annsKey
        )
        lab.metering.take([common, own], at: Timestamp(nanoseconds: lab.clock))
        lab.clock += 1000 * Self.ms
        var costs: [Int64] = []
        for (flow, user) in [(1, ann), (2, ben)] as [(FlowHandle, PrincipalHandle)] {
            let before = lab.metering.principals[user].counts.costLow
            lab.run("select v from big where id = 5", flow, user, for: 8 * Self.ms)
            costs.append(lab.metering.principals[user].counts.costLow - before)
        }
        #expect(costs == [2 * Self.unit, 253 * Self.unit])
    }

    @Test func `under load that others suffer, time is worth less`() throws {
        var lab = Lab()
        lab.metering.askForPrices(PricingScheme(cluster: "main", asTenant: false))
        let users = (1...4).map { lab.login(FlowHandle($0), "user\($0)") }
        for user in users { lab.run("select usual()", 1, user, for: Self.ms) }
        let keys = lab.metering.allQuestions().map(\.key)
        lab.metering.take(
            keys.map {
                PriceAnswer(key: $0, price: 30 * Self.unit, isMeasured: true, planned: 30 * Self.unit, usual: Self.ms)
            },
            at: Timestamp(nanoseconds: lab.clock)
        )
        lab.clock = 2_000_000_000_000
        for (place, user) in users.dropFirst().enumerated() {
            lab.run("select usual()", FlowHandle(place + 2), user, for: 8 * Self.ms)
        }
        lab.clock = 2_000_100_000_000
        let before = lab.metering.principals[users[0]].counts.costLow
        lab.run("select heavy()", 1, users[0], for: 800 * Self.ms)
        lab.settle()
        let cost = lab.metering.principals[users[0]].counts.costLow - before
        #expect(cost == 800 * 18 * Self.unit / 8)
    }

    @Test func `a session whose user is found out takes its long statements along, and leaves none to the next one`() {
        var lab = Lab()
        lab.metering.unknown = UnknownSessions()
        let moment = Moment(time: Timestamp(nanoseconds: lab.clock), ordinal: 1)
        lab.metering.opened(
            1,
            client: Endpoint(high: 0, low: 1, port: 1000),
            server: Endpoint(high: 0, low: 99, port: 5432),
            at: moment
        )
        let nobody = lab.metering.joined(1, at: moment)
        lab.run("select heavy()", 1, nobody, for: 1000 * Self.ms)
        let ann = lab.login(2, "ann")
        lab.metering.moveUnknown(1, to: ann)
        lab.metering.finishMoves()
        // The next login has the place of what is gone.
        let ben = lab.login(3, "ben")
        #expect(lab.metering.principals.place(of: ben) == lab.metering.principals.place(of: nobody))
        lab.settle()
        let (anns, bens) = (lab.charge(of: ann), lab.charge(of: ben))
        #expect(anns == (18_000, 18_000))
        #expect(bens == (0, 0))
    }
}
