// SPDX-License-Identifier: Apache-2.0
public import Domain

/// What a record of the ring tells.
public enum RingRecordKind: UInt8, Sendable, BitwiseCopyable {
    /// A connection is told of for the first time: its ends follow.
    case opened = 1
    /// Bytes of one direction, as they were forwarded.
    case bytes = 2
    /// A connection is over: how many bytes each direction had follows.
    case closed = 3
}

/// The head of a record: what was forwarded on which connection.
public struct RingRecord: Sendable, BitwiseCopyable {
    /// What it tells.
    public var kind = RingRecordKind.bytes
    /// Who sent the bytes.
    public var side = Direction.client
    /// The connection's place in its worker's table, reused by later connections.
    public var slot: UInt32 = 0
    /// The connection's number, which tells it from others that had its place.
    public var serial: UInt32 = 0
    /// When the relay had the bytes, before it sent them on.
    public var time = Timestamp.epoch
    /// How many bytes of this direction went before; what is missing since the last record was never copied.
    public var position: UInt64 = 0
    /// Bytes that follow.
    public var count = 0

    /// An empty record.
    public init() {}
}

/// The ends of a relayed connection.
public struct RelayedEnds: Sendable, Equatable, BitwiseCopyable {
    /// The client, as the relay sees it.
    public var client: Endpoint
    /// The relay, as the server sees its client: what pg_stat_activity tells.
    public var via: Endpoint
    /// The server.
    public var server: Endpoint
    /// Bytes that each direction had before.
    public var clientBytes: UInt64 = 0, serverBytes: UInt64 = 0

    /// The ends of a connection.
    public init(client: Endpoint, via: Endpoint, server: Endpoint) {
        (self.client, self.via, self.server) = (client, via, server)
    }
}

/// Where things lie in the two shared files.
///
/// The data file: a page that the relay writes, then the ring itself. The reader's file: a page that the analyser
/// writes. A record is its head of 32 bytes and its bytes, padded to a multiple of 8; it never wraps, as the ring is
/// mapped twice, one behind the other.
enum RingLayout {
    static var page: Int { 4096 }
    static var magic: UInt64 { 0x7067_7765_6972_3032 }
    static var head: Int { 32 }
    /// The payload of `opened`: three ends of 18 bytes, padded, and two positions.
    static var ends: Int { 72 }
    /// The payload of `closed`: two positions.
    static var totals: Int { 16 }

    // The relay's page.
    static var magicOffset: Int { 0 }
    static var capacityOffset: Int { 8 }
    /// Bytes ever written, modulo 2^64; the one word that both sides touch often has a cache line of its own.
    static var headOffset: Int { 64 }
    /// The position that lies at the ring's beginning; it changes only while the ring is empty.
    static var originOffset: Int { 72 }
    /// What found no room: bytes, and records.
    static var droppedBytesOffset: Int { 128 }
    static var droppedRecordsOffset: Int { 136 }
    // The analyser's page.
    /// Bytes ever read.
    static var tailOffset: Int { 0 }
    /// Whether the analyser sleeps.
    static var asleepOffset: Int { 64 }

    /// Bytes of a record with so many bytes of payload.
    @inline(__always)
    static func size(_ payload: Int) -> Int { (head &+ payload &+ 7) & ~7 }
}
