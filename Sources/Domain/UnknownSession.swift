// SPDX-License-Identifier: Apache-2.0

/// A session whose login was not seen: it began before the capture.
public struct UnknownSession: Sendable, Hashable {
    /// The worker that has its flow, and the flow.
    public var worker: Int, flow: FlowHandle
    /// The session's number, that of its first packet: another one on the same ports has another.
    public var number: UInt64
    /// Its ends.
    public var client: Endpoint, server: Endpoint
    /// When it was first seen.
    public var since: Timestamp

    /// An unknown session.
    public init(
        worker: Int,
        flow: FlowHandle,
        number: UInt64,
        client: Endpoint,
        server: Endpoint,
        since: Timestamp
    ) {
        (self.worker, self.flow, self.number) = (worker, flow, number)
        (self.client, self.server, self.since) = (client, server, since)
    }
}

/// Whose session it is.
public struct SessionIdentity: Sendable, Hashable {
    /// The role that logged in, and its database.
    public var user: String, database: String
    /// The application's name, perhaps empty.
    public var application: String

    /// An identity.
    public init(user: String, database: String, application: String) {
        (self.user, self.database, self.application) = (user, database, application)
    }
}

/// What became of the question whose session it is.
public struct SessionResolution: Sendable, Hashable {
    /// The session asked for.
    public var session: UnknownSession
    /// Whose it is; `nil`: nobody can tell.
    public var identity: SessionIdentity?
    /// When the answer had come: it holds for the session if that went on, unchanged, until then.
    public var answered: Timestamp

    /// A resolution.
    public init(session: UnknownSession, identity: SessionIdentity?, answered: Timestamp) {
        (self.session, self.identity, self.answered) = (session, identity, answered)
    }
}
