// SPDX-License-Identifier: Apache-2.0

/// Who sent a byte.
public enum Direction: UInt8, Sendable, BitwiseCopyable {
    /// The PostgreSQL client, which opened the connection.
    case client
    /// The PostgreSQL server.
    case server

    /// The other side.
    public var opposite: Direction { self == .client ? .server : .client }
}

/// The slot of one TCP connection in its worker's tables; reused after the connection's end.
public typealias FlowHandle = Int32
