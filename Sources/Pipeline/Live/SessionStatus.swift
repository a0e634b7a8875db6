// SPDX-License-Identifier: Apache-2.0
public import Domain
import Metering
import Packets
public import PostgresWire

/// An open session, as a person wants to see it.
public struct SessionStatus: Sendable {
    /// The session's number: that of its first packet.
    public var number: UInt64
    /// The client's end, and the server's.
    public var client: Endpoint, server: Endpoint
    /// The login and its database; `nil`: not known.
    public var user: String?, database: String?
    /// The application's name; empty when there is none.
    public var application: String
    /// What it does.
    public var activity: SessionActivity
    /// The pattern of the statement that runs or ran last; empty when it is not known.
    public var text: [UInt8]

    /// Busy ones first, the longest first; then in the order of their beginning.
    static func precedes(_ left: SessionStatus, _ right: SessionStatus) -> Bool {
        let (first, second) = (left.activity, right.activity)
        if first.isActive != second.isActive { return first.isActive }
        if first.isActive, first.since != second.since { return first.since < second.since }
        return (left.number, left.client.port) < (right.number, right.client.port)
    }
}

/// Sessions that are open, and those of them that run something.
public struct SessionCounts: Sendable {
    /// How many.
    public var open = 0, active = 0
}

extension Shard where Recorder: ~Copyable {
    /// The open sessions, busy ones first, at most `limit`.
    mutating func sessionStatuses(limit: Int) -> [SessionStatus] {
        var found: [SessionStatus] = []
        for place in 0..<reassembler.placeCount {
            guard let flow = reassembler.toldFlow(at: place), let activity = analyser.sessions.activity(flow) else {
                continue
            }
            let note = analyser.metering.flows[flow]
            let principal = analyser.metering.principals[activity.principal]
            found.append(
                SessionStatus(
                    number: note.session,
                    client: note.client,
                    server: note.server,
                    user: principal.user,
                    database: principal.database,
                    application: analyser.metering.application(note.application),
                    activity: activity,
                    text: analyser.metering.patterns.text(of: activity.pattern)
                )
            )
        }
        return Array(found.sorted(by: SessionStatus.precedes).prefix(limit))
    }

    /// How many sessions are open, and how many of them run something: a walk over all of them.
    var sessionCounts: SessionCounts {
        mutating get {
            var counts = SessionCounts()
            for place in 0..<reassembler.placeCount {
                guard let flow = reassembler.toldFlow(at: place), let activity = analyser.sessions.activity(flow) else {
                    continue
                }
                counts.open += 1
                if activity.isActive { counts.active += 1 }
            }
            return counts
        }
    }

    /// What each known user did.
    var countsByUser: [String: PrincipalCounts] {
        var counts: [String: PrincipalCounts] = [:]
        for place in 1..<max(1, analyser.metering.principals.highWater) {
            guard let handle = analyser.metering.principals.handle(at: place),
                let user = analyser.metering.principals[handle].user
            else { continue }
            counts[user, default: PrincipalCounts()].add(analyser.metering.reported(handle).counts)
        }
        return counts
    }
}
