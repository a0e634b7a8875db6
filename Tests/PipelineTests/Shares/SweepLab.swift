// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Packets
import PostgresWire
import Quotas
import TestKit

@testable import Metering
@testable import Pipeline

/// One worker from its streams on, with tables of a few places.
struct SweepLab: ~Copyable {
    var analyser: Analyser<NoRecorder>
    var ordinal: UInt64 = 0

    mutating func moment() -> Moment {
        ordinal += 1
        return Moment(time: Timestamp(nanoseconds: now), ordinal: ordinal)
    }

    mutating func open(_ flow: FlowHandle, _ user: String, _ address: UInt32, _ database: String = "shop") {
        let (client, server) = (Endpoint(ipv4: address, port: 40_000), Endpoint(ipv4: 1, port: 5432))
        analyser.opened(flow, client: client, server: server, isMidstream: false, at: moment())
        say(flow, .client, Messages.startup(user: user, database: database))
        say(flow, .server, Messages.message("R", [0, 0, 0, 0]) + Messages.ready())
    }

    mutating func say(_ flow: FlowHandle, _ side: Direction, _ bytes: [UInt8]) {
        _ = analyser.bytes(flow, from: side, bytes.rawSpan, at: moment())
    }

    /// The time of the last packet, ns.
    var now: Int64 { 1_800_000_000_000_000_000 + Int64(ordinal) * 1000 }

    /// A session that began before the capture.
    mutating func join(_ flow: FlowHandle, _ address: UInt32) {
        let (client, server) = (Endpoint(ipv4: address, port: 40_000), Endpoint(ipv4: 1, port: 5432))
        analyser.opened(flow, client: client, server: server, isMidstream: true, at: moment())
        query(flow, "BEGIN")
        query(flow, "COMMIT")
    }

    /// Somebody says whose it is; `nil`: nobody knows.
    mutating func resolve(_ flow: FlowHandle, _ user: String?) {
        var owner: PrincipalHandle = 0
        if let user {
            let (user, database) = (Array(user.utf8), Array("shop".utf8))
            let login = Login(user: user.rawSpan, database: database.rawSpan, application: [UInt8]().rawSpan)
            owner = analyser.metering.attribute(flow, login, at: moment())
        }
        guard analyser.sessions.attribute(flow, to: owner) else { return }
        analyser.metering.moveUnknown(flow, to: owner)
    }

    mutating func query(_ flow: FlowHandle, _ sql: String, milliseconds: UInt64 = 0) {
        say(flow, .client, Messages.query(sql))
        ordinal += milliseconds * 1000
        say(flow, .server, Messages.complete("SELECT 1") + Messages.ready())
    }

    mutating func prepare(_ flow: FlowHandle, _ name: String, _ sql: String) {
        say(flow, .client, Messages.parse(name, sql) + Messages.message("S"))
        say(flow, .server, Messages.message("1") + Messages.ready())
    }

    mutating func run(_ flow: FlowHandle, _ name: String) {
        say(flow, .client, Messages.bind(name) + Messages.execute() + Messages.message("S"))
        say(flow, .server, Messages.message("2") + Messages.complete("SELECT 1") + Messages.ready())
    }

    mutating func close(_ flow: FlowHandle) { analyser.closed(flow, at: moment()) }

    mutating func result(most: Int? = nil) -> ReplayResult {
        var result = ReplayResult(policy: .standard, capture: CaptureSummary(), consumed: 0)
        result.add(analyser, most: most)
        result.settle()
        return result
    }

    static func analyser(_ tables: TableLimits, flows: Int) -> Analyser<NoRecorder> {
        var limits = SessionLimits()
        limits.sessions = flows
        return Analyser(
            sessions: Sessions(hash: .standard, limits: limits),
            metering: Metering(
                hash: .standard,
                priceList: PriceList(),
                flows: flows,
                tables: tables,
                recorder: NoRecorder()
            )
        )
    }
}
