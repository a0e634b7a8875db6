// SPDX-License-Identifier: Apache-2.0
public import Costs
public import Domain
public import PostgresWire

/// Statement → charge: what one worker knows of who pays, what ran, what it costs and what was used, each in a part of its own.
///
/// Sessions tell it events (``SessionEvents``) and ask it (``StatementResolver``); it calls none of them. What workers, services and
/// reports want of it they ask between packets.
public struct Metering<Recorder: StatementRecorder & ~Copyable>: ~Copyable, SessionSink {
    /// What is known of each connection.
    public internal(set) var flows: FlowNotes
    /// Who pays.
    public internal(set) var principals: PrincipalRegistry
    /// What ran.
    public internal(set) var patterns: PatternRegistry
    /// What it costs.
    public internal(set) var prices: PriceLookup
    /// How much was used.
    public internal(set) var usage: UsageMeter
    /// Who ran what.
    public internal(set) var activity = ActivityLog()
    /// Texts for those who price by example.
    public internal(set) var samples: SampleStore
    /// Takes note of every single statement.
    public var recorder: Recorder
    /// How much these tables may hold.
    public let limits: TableLimits
    let hash: KeyedHash
    /// The place of the flow that is visited next by who makes room; `nil`: nothing is to make room.
    public var nextVisit: Int?

    /// All that a worker needs behind its sessions.
    ///
    /// - Parameter flows: how many connections there may be.
    public init(
        hash: KeyedHash,
        priceList: PriceList,
        flows limit: Int,
        tables: TableLimits,
        recorder: consuming Recorder
    ) {
        flows = FlowNotes(limit: limit)
        principals = PrincipalRegistry(limit: tables.principals, hash: hash)
        patterns = PatternRegistry(limit: tables.patterns, hash: hash)
        prices = PriceLookup(priceList, capacity: tables.prices)
        usage = UsageMeter(unsettled: tables.unsettled)
        samples = SampleStore(limit: tables.samples)
        limits = tables
        self.hash = hash
        self.recorder = recorder
    }

    // MARK: What is wanted of it, to be said before the first packet

    /// Patterns are priced by a service.
    public mutating func askForPrices(_ scheme: PricingScheme) { prices.ask(scheme, hash) }

    /// What is used is handed on, by ``takeUsage()``.
    ///
    /// - Parameter byOrigin: with the server that it was used at.
    public mutating func meter(byOrigin: Bool = false) {
        usage.meter()
        activity.keepSpend()
        (principals.isMetered, principals.servers.isDivided) = (true, byOrigin)
        if byOrigin { principals.servers.tellsApart = true }
    }

    /// A daemon asks.
    public mutating func serve() { activity.watch() }

    /// Who ran what is kept, for ``takeActivity()``.
    public mutating func keepActivity() { activity.keep(limit: limits.activity) }

    /// Sessions that began before the capture, where somebody is asked whose they are: until then each has a principal of its own.
    public var unknown: UnknownSessions? {
        get { principals.unknown }
        set { principals.unknown = newValue }
    }

    /// Who did what is told apart by the server, too.
    public var tellsServers: Bool {
        get { principals.servers.tellsApart }
        set { principals.servers.tellsApart = newValue }
    }

    /// Who did what is told apart by the application's name, too.
    public var tellsApplications: Bool {
        get { principals.tellsApplications }
        set { principals.tellsApplications = newValue }
    }

    /// Whose connections to servers are passed over.
    public var poolers: PoolerAddresses {
        get { principals.servers.poolers }
        set { principals.servers.poolers = newValue }
    }
}
