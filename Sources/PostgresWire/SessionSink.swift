// SPDX-License-Identifier: Apache-2.0
public import Domain

/// A user of a database, as the sink numbers them; 0 stands for "unattributed".
public typealias PrincipalHandle = Int32
/// A statement pattern in a database, as the sink numbers them; 0 stands for "text unknown".
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
    /// The price that ``SessionSink/started(_:_:at:)`` gave for it, in micro-units.
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

/// A login that the server accepted.
public struct Login: ~Escapable {
    /// The role that logged in.
    public let user: RawSpan
    /// Its database.
    public let database: RawSpan
    /// The application's name, perhaps empty.
    public let application: RawSpan

    /// A login by its parts.
    @_lifetime(copy user, copy database, copy application)
    public init(user: RawSpan, database: RawSpan, application: RawSpan) {
        self.user = user
        self.database = database
        self.application = application
    }
}

/// Receives what sessions do; the pipeline implements it.
public protocol SessionSink: ~Copyable {
    /// The statement at or after byte `start` of `text`, or `nil` when there is none left.
    mutating func sketch(_ text: RawSpan, from start: Int, backslashEscapes: Bool) -> StatementSketch?
    /// The pattern of a sketched statement; `path`: the session's search_path, as ``searchPath(_:)`` numbers it.
    mutating func pattern(
        _ sketch: StatementSketch,
        of text: RawSpan,
        for principal: PrincipalHandle,
        under path: UInt16,
        at moment: Moment
    ) -> PatternHandle
    /// The pattern of a function that is called by its OID.
    mutating func functionPattern(_ oid: UInt32, for principal: PrincipalHandle, at moment: Moment) -> PatternHandle
    /// A Parse message told types of parameters: OIDs of four bytes each.
    mutating func parameterTypes(_ types: RawSpan, of pattern: PatternHandle)
    /// The number of a search_path that a principal's session takes, from 1; 0 stands for that of the login.
    mutating func searchPath(_ value: RawSpan, for principal: PrincipalHandle) -> UInt16
    /// Who pays for a session from now on.
    mutating func attribute(_ flow: FlowHandle, _ login: borrowing Login, at moment: Moment) -> PrincipalHandle
    /// A session that began before the capture can be read; returns who pays until its owner is known.
    mutating func joined(_ flow: FlowHandle, at moment: Moment) -> PrincipalHandle
    /// A statement was sent; returns its price in micro-units.
    mutating func started(_ principal: PrincipalHandle, _ pattern: PatternHandle, at time: Timestamp) -> Int64
    /// A statement that was charged to nobody is found to be a principal's; returns its pattern in that database.
    mutating func reattribute(
        _ pattern: PatternHandle,
        _ price: Int64,
        sentAt time: Timestamp,
        to principal: PrincipalHandle
    ) -> PatternHandle
    /// A statement that was sent turns out to be of another pattern than was thought; returns its price, in micro-units.
    mutating func repriced(
        _ principal: PrincipalHandle,
        _ price: Int64,
        sentAt time: Timestamp,
        as pattern: PatternHandle
    ) -> Int64
    /// The same pattern where names mean what they do under this search_path.
    mutating func pattern(
        _ pattern: PatternHandle,
        for principal: PrincipalHandle,
        under path: UInt16
    ) -> PatternHandle
    /// A PROXY protocol header in front of the session names this client: for show only, nobody has proven it.
    mutating func proxied(_ flow: FlowHandle, _ client: Endpoint)
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
    /// A number that is the same for connections from one address to one server and database.
    mutating func route(of flow: FlowHandle, _ principal: PrincipalHandle) -> UInt64
    /// A pooler's connection serves this client from now on, an application of this name; returns who pays.
    mutating func serves(
        _ flow: FlowHandle,
        _ client: Endpoint,
        _ application: RawSpan,
        _ principal: PrincipalHandle,
        at moment: Moment
    ) -> PrincipalHandle
    /// A session refers to this pattern from now on, to which perhaps none did before.
    mutating func revived(_ pattern: PatternHandle)
    /// Whether something waits for ``transactionEnded(_:committed:)``.
    var awaitsTransactions: Bool { get }
    /// A session's transaction ended; `committed`: and nothing of it was taken back.
    mutating func transactionEnded(_ flow: FlowHandle, committed: Bool)
}

extension SessionSink where Self: ~Copyable {
    /// All have one price.
    public mutating func repriced(
        _ principal: PrincipalHandle,
        _ price: Int64,
        sentAt time: Timestamp,
        as pattern: PatternHandle
    ) -> Int64 { price }
    /// Names mean the same everywhere.
    public mutating func pattern(
        _ pattern: PatternHandle,
        for principal: PrincipalHandle,
        under path: UInt16
    ) -> PatternHandle { pattern }
    /// It does not matter.
    public mutating func proxied(_ flow: FlowHandle, _ client: Endpoint) {}
    /// All connections are one.
    public mutating func route(of flow: FlowHandle, _ principal: PrincipalHandle) -> UInt64 { 0 }
    /// The same one pays.
    public mutating func serves(
        _ flow: FlowHandle,
        _ client: Endpoint,
        _ application: RawSpan,
        _ principal: PrincipalHandle,
        at moment: Moment
    ) -> PrincipalHandle { principal }
    /// It costs nothing.
    public mutating func idled(_ principal: PrincipalHandle, for duration: Int64, at time: Timestamp) {}
    /// Patterns stay.
    public mutating func revived(_ pattern: PatternHandle) {}
    /// Nothing does.
    public var awaitsTransactions: Bool { false }
    /// It does not matter.
    public mutating func transactionEnded(_ flow: FlowHandle, committed: Bool) {}
}
