// SPDX-License-Identifier: Apache-2.0

/// A connection that a tap sees.
public struct SeenConnection: Sendable, Hashable {
    /// Its ends.
    public var client: Endpoint, server: Endpoint
    /// Whether what passes on it is read: it is not encrypted, not passed over, and speaks PostgreSQL as far as is known.
    public var isRead: Bool

    /// A connection.
    public init(client: Endpoint, server: Endpoint, isRead: Bool) {
        (self.client, self.server, self.isRead) = (client, server, isRead)
    }
}
