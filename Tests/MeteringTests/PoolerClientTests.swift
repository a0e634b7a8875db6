// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import PostgresWire
import Testing

@testable import Metering

struct PoolerClientTests {
    private func metering() -> Metering<NoRecorder> {
        Metering.lab()
    }

    private func login(_ metering: inout Metering<NoRecorder>, _ flow: FlowHandle) -> PrincipalHandle {
        let moment = Moment(time: .epoch, ordinal: 1)
        let (pooler, server) = (Endpoint(ipv4: 1, port: 40_000), Endpoint(ipv4: 2, port: 5432))
        metering.opened(flow, client: pooler, server: server, at: moment)
        let (user, database) = (Array("ann".utf8), Array("shop".utf8))
        let login = Login(user: user.rawSpan, database: database.rawSpan, application: [UInt8]().rawSpan)
        return metering.attribute(flow, login, at: moment)
    }

    private func serve(
        _ metering: inout Metering<NoRecorder>,
        _ client: UInt32,
        for principal: PrincipalHandle
    ) -> PrincipalHandle {
        let name = Array("app".utf8)
        let endpoint = Endpoint(ipv4: client, port: 50_000)
        return metering.serves(0, endpoint, name.rawSpan, principal, at: Moment(time: .epoch, ordinal: 2))
    }

    @Test func `a pooler's client is the same user at its own address`() {
        var metering = metering()
        let first = login(&metering, 0)
        let served = serve(&metering, 9, for: first)
        #expect(served != first)
        #expect(metering.principals[served].user == "ann" && metering.principals[served].client == "0.0.0.9")
        #expect(serve(&metering, 9, for: served) == served)
    }

    @Test func `whoever makes clients up fills no table for others, and pays as before`() {
        var metering = metering()
        var payer = login(&metering, 0)
        for client in 10..<100_000 as Range<UInt32> { payer = serve(&metering, client, for: payer) }
        #expect(metering.principals[payer].user == "ann")
        #expect(metering.principals.count <= 1 << 15)
        #expect(login(&metering, 1) != 0)
    }
}
