// SPDX-License-Identifier: Apache-2.0

/// A connection that a tap sees.
public struct SeenConnection: Sendable, Hashable {
    /// Its ends.
    public var client: Endpoint, server: Endpoint
    /// Whether what its client says is read: it is not encrypted, not passed over, and not one that began before the tap and of
    /// which no message was found yet.
    public var isRead: Bool

    /// A connection.
    public init(client: Endpoint, server: Endpoint, isRead: Bool) {
        (self.client, self.server, self.isRead) = (client, server, isRead)
    }
}
