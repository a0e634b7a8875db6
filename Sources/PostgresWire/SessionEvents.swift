// SPDX-License-Identifier: Apache-2.0
public import Domain

/// A user of a database, as a ``StatementResolver`` numbers them; 0 stands for "unattributed".
public typealias PrincipalHandle = Int32
/// A statement pattern in a database, as a ``StatementResolver`` numbers them; 0 stands for "text unknown".
public typealias PatternHandle = Int32

/// How a statement reached the server.
public enum StatementProtocol: UInt8, Sendable, BitwiseCopyable, CaseIterable {
    /// In a Query message.
    case simple
    /// By Parse, Bind and Execute.
    case extended
    /// By a FunctionCall message.
    case functionCall
}

/// How a statement ended.
public enum StatementOutcome: UInt8, Sendable, BitwiseCopyable {
    /// The server said so.
    case completed
    /// The server reported an error in it, or refused it.
    case failed
    /// The server never started it: it was skipped up to a Sync, stood behind an error, or came after the session's end.
    case skipped
    /// Packets with the answer are missing, or the session or the capture ended first.
    case uncertain
}

/// One statement that was sent to a server, at its end.
public struct StatementEvent: BitwiseCopyable, Sendable {
    /// The session that sent it.
    public var flow: FlowHandle = 0
    /// Who pays.
    public var principal: PrincipalHandle = 0
    /// What ran.
    public var pattern: PatternHandle = 0
    /// What it does.
    public var kind = StatementKind.unknown
    /// How it was sent.
    public var wire = StatementProtocol.simple
    /// How it ended.
    public var outcome = StatementOutcome.completed
    /// The price that ``StatementResolver/started(_:_:at:)`` gave for it, in micro-units.
    public var price: Int64 = 0
    /// When the request was seen.
    public var started = Timestamp.epoch
    /// The packet that ended it.
    public var ended = Moment(time: .epoch, ordinal: 0)
    /// How long the server took, ns: from the request, or the end of the statement before it, to the answer's end.
    public var duration: Int64 = 0
    /// Rows as the command tag counts them.
    public var rows: UInt64 = 0
    /// Bytes of the request's messages: Query, FunctionCall, or Parse, Bind and Execute.
    public var bytesSent: UInt32 = 0
    /// Bytes of the answer.
    public var bytesReceived: UInt64 = 0
    /// The five characters of the error code, one byte each from the most significant of the low 40 bits; 0: none.
    public var errorCode: UInt64 = 0
    /// The server refused it before it began to run: in Parse or Bind, or because its text is no SQL.
    public var isRefused = false

    /// An empty event.
    public init() {}
}

/// What the server acknowledged as done without error.
public enum Acknowledgment: UInt8, Sendable, BitwiseCopyable {
    /// A Query message.
    case query
    /// The first Execute of a portal.
    case portal
    /// A FunctionCall message.
    case functionCall
}

/// Is told what sessions do; it answers nothing, so that a session never waits for it.
public protocol SessionEvents: ~Copyable {
    /// A statement ended.
    mutating func ended(_ event: StatementEvent)
    /// A completed statement was lost with its session before its portal ended: it ran and is paid for, but
    /// PostgreSQL does not count it as finished.
    mutating func vanished(_ principal: PrincipalHandle, _ pattern: PatternHandle, _ kind: StatementKind)
    /// `count` bytes of a client could not be read: they are missing, or stand where no message boundary is known.
    ///
    /// What they asked for is not known, but may have run.
    mutating func missed(_ principal: PrincipalHandle, count: Int, at time: Timestamp)
    /// A session's transaction was open while the client asked for nothing, for so many ns.
    mutating func idled(_ principal: PrincipalHandle, for duration: Int64, at time: Timestamp)
    /// A message was done without error.
    mutating func acknowledged(_ what: Acknowledgment, _ principal: PrincipalHandle)
    /// The server reported an error to a session.
    mutating func reported(_ principal: PrincipalHandle)
    /// A Parse message told types of parameters: OIDs of four bytes each.
    mutating func parameterTypes(_ types: RawSpan, of pattern: PatternHandle)
    /// The server says that a session names its application so from now on.
    mutating func renamed(_ flow: FlowHandle, _ application: RawSpan)
    /// A PROXY protocol header in front of the session names this client: for show only, nobody has proven it.
    mutating func proxied(_ flow: FlowHandle, _ client: Endpoint)
    /// A session refers to this pattern from now on, to which perhaps none did before.
    mutating func revived(_ pattern: PatternHandle)
    /// A session is idle outside of a transaction; `committed`: and nothing of what it did last was taken back.
    mutating func transactionEnded(_ flow: FlowHandle, committed: Bool)
}

extension SessionEvents where Self: ~Copyable {
    /// It does not matter.
    public mutating func renamed(_ flow: FlowHandle, _ application: RawSpan) {}
    /// It does not matter.
    public mutating func proxied(_ flow: FlowHandle, _ client: Endpoint) {}
    /// It costs nothing.
    public mutating func idled(_ principal: PrincipalHandle, for duration: Int64, at time: Timestamp) {}
    /// Patterns stay.
    public mutating func revived(_ pattern: PatternHandle) {}
    /// It does not matter.
    public mutating func transactionEnded(_ flow: FlowHandle, committed: Bool) {}
}

/// What a session speaks to: it tells events and asks for numbers and prices, and nothing ever calls it back.
public typealias SessionSink = SessionEvents & StatementResolver
