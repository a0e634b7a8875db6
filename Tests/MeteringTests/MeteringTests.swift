// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import PostgresWire
import Testing

@testable import Metering

/// What the parts do together, that none of them does alone.
struct MeteringTests {
    private func login(_ metering: inout Metering<NoRecorder>, _ flow: FlowHandle, _ user: String) -> PrincipalHandle {
        let moment = Moment(time: .epoch, ordinal: 1)
        metering.opened(
            flow,
            client: Endpoint(ipv4: UInt32(flow) + 1, port: 1),
            server: Endpoint(ipv4: 99, port: 5432),
            at: moment
        )
        let (user, database) = (Array(user.utf8), Array("shop".utf8))
        let login = Login(user: user.rawSpan, database: database.rawSpan, application: [UInt8]().rawSpan)
        return metering.attribute(flow, login, at: moment)
    }

    private func pattern(
        _ metering: inout Metering<NoRecorder>,
        _ text: String,
        _ principal: PrincipalHandle
    ) -> PatternHandle {
        let bytes = Array(text.utf8)
        guard let sketch = metering.sketch(bytes.rawSpan, from: 0, backslashEscapes: false) else { return 0 }
        let moment = Moment(time: .epoch, ordinal: 1)
        return metering.pattern(sketch, of: bytes.rawSpan, for: principal, under: 0, at: moment)
    }

    @Test func `a statement that was nobody's is charged to whom it turns out to be`() {
        var metering = Metering.lab()
        let early = pattern(&metering, "select 1", 0)
        let price = metering.started(0, early, at: .epoch)
        let ann = login(&metering, 1, "ann")
        let own = metering.reattribute(early, price, sentAt: .epoch, to: ann)
        let (nobody, anns) = (metering.principals[0].counts, metering.principals[ann].counts)
        #expect(nobody.sent == 0 && nobody.cost == 0 && anns.sent == 1 && anns.cost == price)
        let again = pattern(&metering, "select 2", ann)
        #expect(own != early && own == again)
    }

    @Test func `what is skipped costs nothing, and what is lost is possible`() {
        var metering = Metering.lab()
        let ann = login(&metering, 1, "ann")
        let select = pattern(&metering, "select 1", ann)
        for outcome in [StatementOutcome.skipped, .uncertain] {
            var event = StatementEvent()
            (event.flow, event.principal, event.pattern, event.outcome) = (1, ann, select, outcome)
            event.price = metering.started(ann, select, at: .epoch)
            metering.ended(event)
        }
        let counts = metering.principals[ann].counts
        #expect(counts.costLow == 0 && counts.cost == CostUnits.fallback.micro)
        #expect(counts.skipped == 1 && counts.uncertain == 1)
    }

    @Test func `connections with servers that are not named are counted once they carry something`() {
        var metering = Metering.lab()
        _ = login(&metering, 1, "ann")
        metering.setApart(1)
        let before = metering.otherServers
        metering.dropped(1)
        metering.dropped(1)
        metering.dropped(2)
        let after = metering.otherServers
        #expect(before == 0 && after == 1)
    }

    @Test func `each part says what it takes of the budget, and no more`() {
        var metering = Metering.lab()
        metering.keepActivity()
        let ann = login(&metering, 1, "ann")
        for number in 0..<100 { _ = pattern(&metering, "select 1 as c\(number)", ann) }
        let memory = metering.memory
        #expect(memory.map(\.name) == ["patterns", "samples", "users", "history", "prices", "usage"])
        #expect(memory.allSatisfy { $0.bytes >= 0 && $0.most > 0 && $0.bytes <= $0.most })
    }
}
