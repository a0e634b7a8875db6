// SPDX-License-Identifier: Apache-2.0

/// Where poolers such as PgBouncer listen.
///
/// What comes from a pooler's own address and goes elsewhere is its server side: the same statements were counted when its
/// clients sent them, so it is passed over.
public struct PoolerAddresses: Sendable, Equatable {
    private let places: [Endpoint]

    /// Poolers that listen at `places`.
    public init(_ places: [Endpoint] = []) { self.places = places }

    /// Whether a pooler listens there.
    public func contains(_ server: Endpoint) -> Bool { places.contains(server) }

    /// Whether a connection is a pooler's to a server.
    public func isServerSide(client: Endpoint, server: Endpoint) -> Bool {
        guard !places.isEmpty, !places.contains(server) else { return false }
        return places.contains { $0.high == client.high && $0.low == client.low }
    }
}
