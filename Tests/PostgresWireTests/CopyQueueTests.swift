// SPDX-License-Identifier: Apache-2.0
import Domain
import TestKit
import Testing

@testable import PostgresWire

/// While COPY data is awaited, a Sync that was sent before its end is ignored, wherever it stands in the queue.
struct CopyQueueTests {
    typealias M = Messages
    static let (done, sync, ready) = (M.message("c"), M.message("S"), M.ready())
    static let awaited = M.message("G", [0, 0, 0])
    /// Parse, Bind and Execute of a COPY.
    static let copy = M.parse("copy t from stdin") + M.bind() + M.execute()

    /// A session that may have many requests.
    static func session() -> Sessions {
        var limits = SessionLimits()
        limits.sessions = 16
        limits.names = 4096
        var sessions = Sessions(hash: .standard, limits: limits)
        sessions.opened(0, isMidstream: false)
        return sessions
    }

    /// Says something; what comes in one packet has one ordinal.
    static func say(_ play: inout Play, _ side: Direction, _ bytes: [UInt8]) {
        play.ordinal += 1
        let moment = Moment(time: Timestamp(nanoseconds: Int64(play.ordinal)), ordinal: play.ordinal)
        _ = play.sessions.bytes(0, from: side, bytes.rawSpan, at: moment, into: &play.sink)
    }

    static func logIn(_ play: inout Play) {
        say(&play, .client, M.startup(user: "alice", database: "shop"))
        say(&play, .server, M.loginAccepted)
    }

    /// How the client sends each COPY of many, before any is answered, what it sends when it is asked for data, and how that is
    /// answered: a Sync that is ignored is not.
    static let ways: [(String, each: [UInt8], then: [UInt8], answer: [UInt8])] = [
        ("a Sync with each", copy + sync, done, []),
        ("a Sync with each, and one more", copy + sync + sync, done, []),
        ("a Sync behind the data", copy + done + sync, [], ready),
        ("one before the data and one behind it", copy + sync + sync + done + sync, [], ready),
        ("as simple queries", M.query("copy t from stdin"), done, ready),
        ("as simple queries with data", M.query("copy t from stdin") + done, [], ready),
    ]

    @Test(arguments: 0..<6)
    func `work grows with the number of COPYs, not with its square`(_ way: Int) {
        let (_, each, then, answer) = Self.ways[way]
        let count = 1000
        var play = Play()
        play.sessions = Self.session()
        Self.logIn(&play)
        for _ in 0..<count { Self.say(&play, .client, each) }
        for _ in 0..<count {
            Self.say(&play, .server, M.message("1") + M.message("2") + Self.awaited)
            if !then.isEmpty { Self.say(&play, .client, then) }
            Self.say(&play, .server, M.complete("COPY 1") + answer)
        }
        #expect(play.sink.log.count { $0.hasPrefix("completed") } == count)
        #expect(play.sessions.walked <= UInt64(8 * count))
    }

    /// What the session believes of its queue, and what stands there.
    static func check(_ play: inout Play) -> String? {
        let session = play.sessions.table.slot(0)
        var (syncs, markers, isBehindMarker, isFree) = (Int32(0), Int32(0), false, true)
        var next = session.value.firstRequest
        var isFirst = true
        while let request = play.sessions.linked(next) {
            if request.value.kind == .sync {
                syncs += 1
                if !isBehindMarker, !isFirst { isFree = false }
            }
            if request.value.kind == .copyEnd { (markers, isBehindMarker) = (markers + 1, true) }
            (next, isFirst) = (request.value.next, false)
        }
        if syncs != session.value.syncCount { return "\(session.value.syncCount) syncs of \(syncs)" }
        if markers != session.value.markerCount { return "\(session.value.markerCount) markers of \(markers)" }
        return session.value.flags.contains(.freeOfSyncs) && !isFree ? "a Sync that was not looked for" : nil
    }

    @Test(arguments: 0..<200)
    func `what is known of the queue is true`(_ seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        var play = Play()
        Self.logIn(&play)
        let client = [
            Self.copy, Self.copy + Self.sync, Self.done, Self.sync, Self.sync + Self.sync, M.query("copy t from stdin"),
            M.query("select 1"), M.message("f", M.text("no")), M.parse("select 2") + M.bind() + M.execute(),
            M.message("C", [0x53] + M.text("a")), M.message("D", [0x53] + M.text("a")),
        ]
        let server = [
            Self.awaited, Self.awaited, M.complete("COPY 1"), M.complete("SELECT 1"), Self.ready, M.message("1"),
            M.message("2"), M.error("42P01"), M.message("3"), M.message("1") + M.message("2") + Self.awaited,
        ]
        for step in 0..<200 {
            if Int.random(in: 0..<5, using: &random) < 3 {
                Self.say(&play, .client, client.randomElement(using: &random) ?? [])
            } else {
                Self.say(&play, .server, server.randomElement(using: &random) ?? [])
            }
            let fault = Self.check(&play)
            #expect(fault == nil, "step \(step)")
            if fault != nil { return }
        }
    }
}
