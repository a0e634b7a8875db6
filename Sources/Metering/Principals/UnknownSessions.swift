// SPDX-License-Identifier: Apache-2.0
import Domain
import PostgresWire

/// The sessions of one worker whose owner is being asked for.
///
/// What they do is counted with a principal of their own meanwhile; once the owner is proven, that is added to the
/// owner's counts as a whole, so nothing is guessed and nothing is counted twice.
public struct UnknownSessions {
    private struct Entry {
        var principal: PrincipalHandle
        var since: Timestamp
    }

    private var entries: [FlowHandle: Entry] = [:]
    /// How servers know clients that a relay speaks for.
    var aliases: [FlowHandle: Endpoint] = [:]
    /// More than this at once are nobody's from the start.
    static let most = 65_536

    /// None.
    public init() {}

    /// How many sessions are in question.
    public var count: Int { entries.count }
    var hasRoom: Bool { entries.count < Self.most }
    var flows: [(flow: FlowHandle, since: Timestamp)] { entries.map { ($0.key, $0.value.since) } }

    mutating func add(_ flow: FlowHandle, _ principal: PrincipalHandle, since time: Timestamp) {
        entries[flow] = Entry(principal: principal, since: time)
    }

    /// The principal of a session that is unknown no longer, or will be for ever; `nil` if it was not in question.
    mutating func remove(_ flow: FlowHandle) -> PrincipalHandle? { entries.removeValue(forKey: flow)?.principal }
}
