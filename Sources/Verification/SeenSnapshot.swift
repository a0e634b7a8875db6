// SPDX-License-Identifier: Apache-2.0
public import Domain
import Foundation

/// What a daemon had seen at one time: the half of a comparison that it answers over its local socket.
public struct SeenSnapshot: Codable, Sendable {
    /// What one user did in one database of one server; as ``SeenCalls``, all since the tap began.
    public struct Calls: Codable, Sendable {
        /// The login and its database; `nil`: not known.
        public var user: String?, database: String?
        /// Where that was, as `address:port`; `nil`: not told apart.
        public var server: String?
        public var plannable: UInt64, utilities: UInt64, deallocations: UInt64, unclassified: UInt64, uncertain: UInt64,
            logins: UInt64, extendedUtilities: UInt64
    }

    /// An open connection that the tap sees.
    public struct Connection: Codable, Sendable {
        /// Its ends, as `address:port`.
        public var client: String, server: String
        /// Whether what its client says is read.
        public var isRead: Bool
    }

    /// When the workers were asked, in seconds since the epoch.
    public var time: Double
    /// A relay's copies are read: the server knows the relay's addresses, not the clients'.
    public var isRelay: Bool
    /// Connections of poolers to servers are passed over, and their clients counted.
    public var passesOver: Bool
    /// Who did what.
    public var calls: [Calls]
    /// The open connections.
    public var connections: [Connection]
    /// What was lost since the tap began, by ``LossKind``.
    public var losses: [String: UInt64]
    /// Sessions that were found to be encrypted since the tap began.
    public var encryptedSessions: UInt64

    /// A snapshot at `time`, in seconds since the epoch.
    public init(
        time: Double,
        isRelay: Bool,
        passesOver: Bool,
        calls: [SeenCalls],
        connections: [SeenConnection],
        losses: [LossKind: UInt64],
        encryptedSessions: UInt64
    ) {
        (self.time, self.isRelay, self.passesOver) = (time, isRelay, passesOver)
        self.calls = calls.map { one in
            Calls(
                user: one.user,
                database: one.database,
                server: one.server?.description,
                plannable: one.plannable,
                utilities: one.utilities,
                deallocations: one.deallocations,
                unclassified: one.unclassified,
                uncertain: one.uncertain,
                logins: one.logins,
                extendedUtilities: one.extendedUtilities
            )
        }
        self.connections = connections.map {
            Connection(client: $0.client.description, server: $0.server.description, isRead: $0.isRead)
        }
        self.losses = Dictionary(uniqueKeysWithValues: losses.map { ($0.key.rawValue, $0.value) })
        self.encryptedSessions = encryptedSessions
    }

    /// Reads ``json``.
    public init(json: [UInt8]) throws { self = try JSONDecoder().decode(SeenSnapshot.self, from: Data(json)) }

    /// One JSON object (RFC 8259).
    public var json: [UInt8] { (try? JSONEncoder().encode(self)).map { Array($0) } ?? [] }
}

/// How a tap loses what passed.
public enum LossKind: String, CaseIterable, Sendable {
    /// Packets: dropped by the kernel or the interface, or cut by the snap length; records of a relay; segments left out under
    /// overload; places where bytes are missing; directions that lost their message boundaries.
    case dropped, truncated, relay, shed, gaps
    case lostSync = "lost_sync"

    /// For people.
    var text: String {
        switch self {
        case .dropped: "packets dropped before the tap"
        case .truncated: "packets cut by the snap length"
        case .relay: "records that the relay did not copy"
        case .shed: "segments left out under overload"
        case .gaps: "places where bytes were never seen"
        case .lostSync: "directions that lost their message boundaries"
        }
    }

    /// How many statements one of them may have hidden: the shortest request has 64 bytes of packet, and a packet, as the
    /// kernel puts them together, at most 64 KiB; a place where bytes are missing may be of any size, taken as 1 MiB.
    var most: UInt64 {
        switch self {
        case .dropped, .truncated, .relay, .shed: 1024
        case .gaps, .lostSync: 16_384
        }
    }
}
