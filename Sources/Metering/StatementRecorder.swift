// SPDX-License-Identifier: Apache-2.0
public import Domain
public import PostgresWire

/// All that is known of one statement at its end.
public struct StatementDetails {
    /// The event itself.
    public let event: StatementEvent
    /// The session's number: that of its first packet in the capture.
    public let session: UInt64
    /// The client's end.
    public let client: Endpoint
    /// The server's end.
    public let server: Endpoint
    /// The login; `nil`: unattributed.
    public let user: String?
    /// The database; `nil`: unattributed.
    public let database: String?
    /// The application's name; empty when there is none.
    public let application: String
    /// The pattern's key.
    public let fingerprint: Fingerprint
    /// The pattern's text; empty when the statement's text was not seen.
    public let text: [UInt8]
}

/// Takes note of every single statement, such as by writing a line.
public protocol StatementRecorder: ~Copyable {
    /// Whether ``record(_:)`` is to be called at all; constant.
    static var isActive: Bool { get }
    /// A statement ended.
    mutating func record(_ details: StatementDetails)
    /// A batch of packets is done: what was recorded may be written out.
    mutating func flush()
}

/// Records nothing.
public struct NoRecorder: StatementRecorder {
    /// Never active.
    public static let isActive = false
    /// A recorder of nothing.
    public init() {}
    /// Does nothing.
    public mutating func record(_ details: StatementDetails) {}
    /// Does nothing.
    public mutating func flush() {}
}
