// SPDX-License-Identifier: Apache-2.0
public import Domain

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

/// Is asked by sessions what a statement is, who pays for it, and its price: numbers that they keep and give back with events.
///
/// All answers are there at once: whatever takes longer, such as a price, is assumed meanwhile.
public protocol StatementResolver: ~Copyable {
    // MARK: What it is

    /// The statement at or after byte `start` of `text`, or `nil` when there is none left.
    mutating func sketch(_ text: RawSpan, from start: Int, backslashEscapes: Bool) -> StatementSketch?
    /// The pattern of a sketched statement; `path`: the session's search_path, as ``searchPath(_:for:)`` numbers it.
    mutating func pattern(
        _ sketch: StatementSketch,
        of text: RawSpan,
        for principal: PrincipalHandle,
        under path: UInt16,
        at moment: Moment
    ) -> PatternHandle
    /// The same pattern where names mean what they do under this search_path.
    mutating func pattern(
        _ pattern: PatternHandle,
        for principal: PrincipalHandle,
        under path: UInt16
    ) -> PatternHandle
    /// The pattern of a function that is called by its OID.
    mutating func functionPattern(_ oid: UInt32, for principal: PrincipalHandle, at moment: Moment) -> PatternHandle
    /// The number of a search_path that a principal's session takes, from 1; 0 stands for that of the login.
    mutating func searchPath(_ value: RawSpan, for principal: PrincipalHandle) -> UInt16

    // MARK: Who pays

    /// Who pays for a session from now on.
    mutating func attribute(_ flow: FlowHandle, _ login: borrowing Login, at moment: Moment) -> PrincipalHandle
    /// A session that began before the capture can be read; returns who pays until its owner is known.
    mutating func joined(_ flow: FlowHandle, at moment: Moment) -> PrincipalHandle
    /// A pooler's connection serves this client from now on, an application of this name; returns who pays.
    mutating func serves(
        _ flow: FlowHandle,
        _ client: Endpoint,
        _ application: RawSpan,
        _ principal: PrincipalHandle,
        at moment: Moment
    ) -> PrincipalHandle
    /// A number that is the same for connections from one address to one server and database.
    mutating func route(of flow: FlowHandle, _ principal: PrincipalHandle) -> UInt64

    // MARK: What it costs

    /// A statement was sent; returns its price in micro-units.
    mutating func started(_ principal: PrincipalHandle, _ pattern: PatternHandle, at time: Timestamp) -> Int64
    /// A statement that was sent turns out to be of another pattern than was thought; returns its price, in micro-units.
    mutating func repriced(
        _ principal: PrincipalHandle,
        _ price: Int64,
        sentAt time: Timestamp,
        as pattern: PatternHandle
    ) -> Int64
    /// A statement that was charged to nobody is found to be a principal's; returns its pattern in that database.
    mutating func reattribute(
        _ pattern: PatternHandle,
        _ price: Int64,
        sentAt time: Timestamp,
        to principal: PrincipalHandle
    ) -> PatternHandle
}

extension StatementResolver where Self: ~Copyable {
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
}
