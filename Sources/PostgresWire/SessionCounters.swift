// SPDX-License-Identifier: Apache-2.0

/// Bytes that break the protocol, by what is wrong with them.
public enum Anomaly: UInt8, Sendable, BitwiseCopyable, CaseIterable {
    /// A message length below 4 or above 1 GiB, or one that its type cannot have.
    case impossibleLength
    /// A message type that does not exist.
    case unknownType
    /// A message whose inside does not fit its length.
    case malformedMessage
    /// An answer that nothing asked for.
    case unexpectedAnswer
    /// More unanswered requests, or names, than are kept for a session.
    case overBudget
    /// A statement text too long to keep; its pattern is that of its beginning.
    case textCut

    /// The name in reports: stable, lower case.
    public var name: String {
        switch self {
        case .impossibleLength: "impossible_length"
        case .unknownType: "unknown_type"
        case .malformedMessage: "malformed_message"
        case .unexpectedAnswer: "unexpected_answer"
        case .overBudget: "over_budget"
        case .textCut: "text_cut"
        }
    }
}

/// What sessions were met.
///
/// Plain numbers, added up over workers with ``add(_:)``.
public struct SessionCounters: Sendable, BitwiseCopyable {
    /// Connections that spoke PostgreSQL.
    public var total: UInt64 = 0
    /// Sessions whose user and database are proven.
    public var attributed: UInt64 = 0
    /// Sessions that began before the capture.
    public var midstream: UInt64 = 0
    /// Sessions that cannot be read: TLS or GSSAPI encryption.
    public var encrypted: UInt64 = 0
    /// Walsender sessions.
    public var replication: UInt64 = 0
    /// Connections that only asked to cancel a query.
    public var cancelRequests: UInt64 = 0
    /// Connections of poolers to servers, which are passed over: their statements are those of the poolers' clients.
    public var pooled: UInt64 = 0
    /// Logins that the server refused.
    public var authFailed: UInt64 = 0
    /// Times that a direction lost its message boundaries.
    public var lostSync: UInt64 = 0
    /// Times that it found them again.
    public var resynchronized: UInt64 = 0
    /// Protocol messages read.
    public var messages: UInt64 = 0
    /// Connections that spoke something else.
    public var notPostgreSQL: UInt64 = 0
    /// Statements whose end was seen although their request was not.
    public var orphanAnswers: UInt64 = 0
    private var anomalies: [6 of UInt64] = .init(repeating: 0)

    /// All zero.
    public init() {}

    /// How often an anomaly was met.
    public func count(_ anomaly: Anomaly) -> UInt64 { anomalies[Int(anomaly.rawValue)] }

    mutating func note(_ anomaly: Anomaly) { anomalies[Int(anomaly.rawValue)] &+= 1 }

    /// Adds another worker's counts.
    public mutating func add(_ other: SessionCounters) {
        total += other.total
        attributed += other.attributed
        midstream += other.midstream
        encrypted += other.encrypted
        replication += other.replication
        cancelRequests += other.cancelRequests
        pooled += other.pooled
        authFailed += other.authFailed
        lostSync += other.lostSync
        resynchronized += other.resynchronized
        messages += other.messages
        notPostgreSQL += other.notPostgreSQL
        orphanAnswers += other.orphanAnswers
        for index in anomalies.indices { anomalies[index] += other.anomalies[index] }
    }
}
