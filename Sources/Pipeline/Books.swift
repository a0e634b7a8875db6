// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Fingerprints
import PostgresWire
import Quotas

/// Statement → charge: one worker's patterns, prices and accounts.
struct Books<Recorder: StatementRecorder & ~Copyable>: ~Copyable, SessionSink {
    var normalizer: Normalizer
    var patterns: PatternTable
    var prices: PriceCache
    /// Those of users who run a pattern that others run too.
    var ownPrices: PriceCache
    /// Prices that stood with their pattern.
    private(set) var priceHits: UInt64 = 0
    /// Prices that were looked up anew.
    private(set) var pricesAsked: UInt64 = 0
    private(set) var priceList: PriceList
    let hash: KeyedHash
    let limits: TableLimits
    /// Handle 0 is everybody who is not known.
    var principals = SlotTable<Principal>(limit: 1 << 18, blank: Principal(), checksHandles: true)
    var principalShares: PrincipalShares
    var owners = Owners()
    var sweep = TableSweep()
    /// Whether ``Analyser/sweepTables(most:)`` has something to do.
    var wantsSweep = false
    /// Usage of principals that were removed, until it is taken.
    var leftUsage: [UserUsage] = []
    /// Whether somebody takes what is used, and of whom there is something to take.
    private(set) var isMetered = false
    /// Whether principals are told apart by their server, too.
    var isDivided = false
    /// Who did what is told apart by the server, too: it can be compared with what a server counted, and some servers may turn
    /// out to be proven; to be set before the first packet.
    var tellsServers = false
    /// Which servers are proven; none: all count as such.
    var provenServers = NamedServers()
    var active: [PrincipalHandle] = []
    var spend = SpendTable(places: 2)
    /// Who ran what, for the history; `nil`: nobody asks.
    var activity: ActivityTable?
    private var isKept = false
    /// Whether a daemon asks for any of that.
    private(set) var isWatched = false
    /// Finished statements by the binary exponent of their nanoseconds.
    private(set) var octaves: [64 of UInt64] = .init(repeating: 0)
    /// What is asked about patterns, where somebody answers; `nil`: prices are those of the list.
    var pricing: PatternPricing?
    /// The same, at hand for every statement.
    private var isPricing = false
    /// Whether a planner may have told prices, here or at another node: then texts are kept for it, and plans told apart.
    private(set) var isPlanning = false
    /// Whether changes of tables wait for their transactions to commit.
    var awaitsTransactions = false
    /// Whose connections to servers are passed over, and at which clients may wait for one.
    var poolers = PoolerAddresses()
    /// What is known about time since it was last taken, and statements that wait to be settled by it.
    var evidence = TimeEvidence()
    var paced: [PrincipalHandle] = []
    /// Principals of unknown sessions whose counts are their owners' by now.
    var moved: [PrincipalHandle: PrincipalHandle] = [:]
    var longStatements: [LongStatement] = []
    /// How long statements took, where only the end tells what is usual: in a replay.
    var paces: PaceLog?
    /// The same, at hand for every statement.
    private(set) var logsPaces = false
    /// Long statements that found no room: what their time is worth stays possible.
    var unsettledStatements: UInt64 = 0
    /// Connections that carried something, with servers that were not named.
    var otherServers: UInt64 = 0
    var samples: SampleStore
    var flows: SlotTable<FlowNote>
    var byProtocol: [3 of UInt64] = .init(repeating: 0)
    var recorder: Recorder
    var knownLogins: [Fingerprint: KnownLogin] = [:]
    var principalIndex: [Fingerprint: PrincipalHandle] = [:]
    var names: [Fingerprint: String] = [:]
    var databaseIndex: [String: Int32] = [:]
    var databases: [String] = [""]
    var roleIndex: [String: Int32] = [:]
    var applicationIndex: [String: Int32] = ["": 0]
    var applications: [String] = [""]
    var freeApplications: [Int32] = []

    /// Sessions that began before the capture, each with a principal of its own until it is known whose it is.
    ///
    /// `nil`: nobody is asked; such sessions are nobody's at once.
    var unknown: UnknownSessions?

    struct KnownLogin {
        var principal: PrincipalHandle
        var application: Int32
    }

    /// A longer text is not kept as a sample, in bytes: cut in two, it would be another statement.
    private static var longestSample: Int { 64 << 10 }
    /// More names of databases than this have one number, and names of roles.
    static var mostNames: Int { 65_535 }
    /// More names of applications than this at once are not told.
    static var mostApplications: Int { 1 << 14 }

    init(
        hash: KeyedHash,
        priceList: PriceList,
        flows limit: Int,
        tables: TableLimits = .usual,
        recorder: consuming Recorder
    ) {
        limits = tables
        patterns = PatternTable(limit: tables.patterns)
        principalShares = PrincipalShares(limit: tables.principals)
        samples = SampleStore(limit: tables.samples)
        normalizer = Normalizer(hash: hash)
        prices = PriceCache(capacity: 8)
        ownPrices = PriceCache(capacity: 8)
        self.hash = hash
        self.priceList = priceList
        flows = SlotTable(limit: limit, blank: FlowNote(), checksHandles: true)
        self.recorder = recorder
        _ = principals.include(0)
    }

    /// Patterns are priced by a service from now on: to be called before the first packet.
    mutating func askForPrices(_ scheme: PricingScheme) {
        pricing = PatternPricing(scheme, hash)
        (isPricing, isPlanning) = (true, scheme.source != .durations)
        prices = PriceCache(lifetime: scheme.lifetime)
        ownPrices = PriceCache(capacity: 1 << 15, lifetime: scheme.lifetime)
    }

    /// What is used is handed on from now on, by ``takeUsage()``: to be called before the first packet.
    ///
    /// - Parameter byOrigin: with the server that it was used at.
    mutating func meter(byOrigin: Bool = false) {
        (isMetered, isDivided) = (true, byOrigin)
        if byOrigin { tellsServers = true }
        spend = SpendTable()
    }

    /// A daemon asks: to be called before the first packet.
    mutating func serve() { isWatched = true }

    /// Who ran what is kept from now on, for ``takeActivity()``: to be called before the first packet.
    mutating func keepActivity() { (activity, isKept) = (ActivityTable(limit: limits.activity), true) }

    /// Who ran what since the last time.
    mutating func takeActivity() -> [ActivityRecord] {
        finishMoves()
        guard let taken = activity?.take() else { return [] }
        return taken.map { entry in
            let (principal, record) = (principals[entry.principal], patterns.records[entry.pattern])
            return ActivityRecord(
                user: principal.user,
                database: principal.database,
                fingerprint: record.fingerprint,
                text: patterns.text(of: entry.pattern),
                counts: entry.counts
            )
        }
    }

    /// What a user spent most on in the current hour.
    func evidence(against user: String, at time: Timestamp, most count: Int) -> [PatternSpend] {
        spend.spent(by: { principals[$0].user == user }, at: time, most: count).map { found in
            PatternSpend(
                fingerprint: patterns.records[found.pattern].fingerprint,
                text: patterns.text(of: found.pattern),
                database: databases[Int(patterns.records[found.pattern].database)],
                cost: found.cost,
                calls: found.calls
            )
        }
    }

    /// Whether there is something for ``takeUsage()``.
    var hasUsage: Bool { !active.isEmpty || !leftUsage.isEmpty }

    /// What users used since the last time; sessions whose user is not known keep theirs until it is.
    mutating func takeUsage() -> [UserUsage] {
        var taken = leftUsage
        leftUsage = []
        for handle in active {
            if let usage = usage(of: handle) { taken.append(usage) }
        }
        active.removeAll(keepingCapacity: true)
        return taken
    }

    /// What a principal used since the last time; `nil`: nothing, or its user is not known.
    mutating func usage(of handle: PrincipalHandle) -> UserUsage? {
        guard let user = principals[handle].user else { return nil }
        var slots = principals[handle].account.drain()
        // PgBouncer's console is no database: what is asked there is nobody's cost.
        guard !slots.isEmpty, principals[handle].database != "pgbouncer" else { return nil }
        var origin: Origin?
        if isDivided, let client = principals[handle].address, let server = principals[handle].server {
            origin = Origin(client: client, server: server)
        }
        if principals[handle].isPossible || (isDivided && origin == nil) {
            // From where is no longer known, so another node may book it; or its server may be anybody's.
            for index in slots.indices { slots[index].usage.low = min(0, slots[index].usage.low) }
        }
        return UserUsage(user: user, slots: slots, origin: origin)
    }

    /// There is something to take of a principal.
    @inline(never)
    mutating func woke(_ principal: PrincipalHandle) { if isMetered { active.append(principal) } }

    /// What waits to be asked and told, if prices are asked for; taken once.
    mutating func takePricing() -> PatternPricing.Waiting? { pricing?.take() }

    /// For some roles row-level security is passed over (PostgreSQL documentation, 5.9 "Row Security Policies"), and some
    /// begin with a search_path of their own: what they run has prices of its own from now on.
    mutating func take(_ roles: RoleFacts) {
        guard pricing?.roles != roles else { return }
        pricing?.roles = roles
        for place in 1..<max(1, principals.highWater) { principals.handle(at: place).map { applyRole(of: $0) } }
    }

    /// Other prices hold from now on; what was charged stays as it is.
    mutating func price(by list: PriceList) {
        priceList = list
        for place in 0..<patterns.records.highWater {
            patterns.records.occupant(at: place)?.value.priceExpires = .min
        }
    }

    /// The name of an application by its number.
    func application(_ number: Int32) -> String { applications[Int(number)] }

    mutating func opened(_ flow: FlowHandle, client: Endpoint, server: Endpoint, at moment: Moment) {
        guard flows.include(flow) else { return }
        flows[flow] = FlowNote(client: client, server: server, session: moment.ordinal)
    }

    mutating func sketch(_ text: RawSpan, from start: Int, backslashEscapes: Bool) -> StatementSketch? {
        normalizer.sketch(text, from: start, backslashEscapes: backslashEscapes)
    }

    mutating func pattern(
        _ sketch: StatementSketch,
        of text: RawSpan,
        for principal: PrincipalHandle,
        under path: UInt16,
        at moment: Moment
    ) -> PatternHandle {
        guard isPlanning else {
            let database = principals[principal].databaseIndex
            // Without further parts a scope's code is its database.
            if let known = patterns.find(sketch.fingerprint, UInt64(UInt32(bitPattern: database))) { return known }
            return newPattern(sketch, text, PatternScope(database: database), principal, moment)
        }
        var scope = scope(of: principal)
        scope.path = path > 0 ? path : principals[principal].path
        (scope.limit, scope.offset) = (sketch.limit, sketch.offset)
        if let known = patterns.find(sketch.fingerprint, scope.code) { return known }
        return newPattern(sketch, text, scope, principal, moment)
    }

    /// Where a principal's statements run.
    private mutating func scope(of principal: PrincipalHandle) -> PatternScope {
        PatternScope(database: principals[principal].databaseIndex, role: principals[principal].roleIndex)
    }

    @inline(never)
    private mutating func newPattern(
        _ sketch: StatementSketch,
        _ text: RawSpan,
        _ scope: PatternScope,
        _ principal: PrincipalHandle,
        _ moment: Moment
    ) -> PatternHandle {
        let owner = principals[principal].owner
        if let known = patterns.findAnew(sketch.fingerprint, scope.code) {
            if isPlanning, samples[patterns.place(of: known)] == nil {
                samples.keep(sample(sketch, text, principal, scope.path), of: patterns.place(of: known), for: owner)
            }
            return known
        }
        let pattern = normalizer.patternText(text, sketch)
        let handle = addPattern(sketch.fingerprint, scope, pattern, firstSeen: moment.ordinal, for: principal)
        classify(handle, sketch.kind, pattern)
        if takesSample(handle) {
            samples.keep(sample(sketch, text, principal, scope.path), of: patterns.place(of: handle), for: owner)
        }
        return handle
    }

    /// What a pattern costs where nobody prices it, and whether it only waits.
    private mutating func classify(_ handle: PatternHandle, _ kind: StatementKind, _ pattern: [UInt8]) {
        guard handle > 0, !patterns.records[handle].isOther else { return }
        // pg_catalog is searched first unless a search_path names it: then somebody's function may come before it.
        let path = pricing?.path(patterns.records[handle].scope.path)
        let isFirst = path.map { !$0.contains("pg_catalog") } ?? true
        patterns.records[handle].isWaiting = isFirst && Waiting.isWaiting(kind, pattern: pattern)
        // What has a plan has no class, and is most of what a flood of new patterns consists of.
        guard !kind.isPlannable else { return }
        let leading = LeadingWords(pattern, LexicalTokens.scan(pattern))
        if let known = UtilityClass(words: leading.words, hasOptions: leading.hasOptions) {
            patterns.records[handle].assumed = CostUnits(units: known.units).micro
        }
    }

    /// Adds a pattern that was not found; where there is no room for it, the one that stands for its user's others.
    mutating func addPattern(
        _ fingerprint: Fingerprint,
        _ scope: PatternScope,
        _ text: [UInt8],
        firstSeen ordinal: UInt64,
        for principal: PrincipalHandle
    ) -> PatternHandle {
        let owner = principals[principal].owner
        let handle = patterns.add(
            fingerprint,
            scope,
            key: priceKey(fingerprint, scope, principal),
            text: text,
            ordinal: ordinal,
            owner: owner,
            Self.otherFingerprint(owners.key(of: owner), hash)
        )
        if patterns.isCrowded { wantsSweep = true }
        return handle
    }

    /// Whether a pattern's first text is kept for pricing.
    private func takesSample(_ handle: PatternHandle) -> Bool {
        isPlanning && handle > 0 && !patterns.records[handle].isOther
    }

    private mutating func sample(
        _ sketch: StatementSketch,
        _ text: RawSpan,
        _ principal: PrincipalHandle,
        _ path: UInt16
    ) -> PatternSample {
        let range = sketch.range.clamped(to: 0..<text.byteCount)
        var sample = PatternSample(text: [])
        if range.count <= Self.longestSample { sample.text = range.map { text.byte(at: $0) } }
        sample.backslashEscapes = sketch.backslashEscapes
        sample.user = principals[principal].user
        sample.searchPath = pricing?.path(path)
        return sample
    }

    /// What the price of a pattern is known by: without a service of prices, all databases have one list.
    private func priceKey(_ pattern: Fingerprint, _ scope: PatternScope, _ principal: PrincipalHandle) -> Fingerprint {
        guard let pricing else { return pattern }
        let role = pricing.role(of: principals[principal].user, scope.role)
        return pricing.key(pattern, scope, database: databases[Int(scope.database)], role: role, hash)
    }

    mutating func parameterTypes(_ types: RawSpan, of pattern: PatternHandle) {
        if isPlanning { samples.keep(types: types, of: patterns.place(of: pattern)) }
    }

    mutating func searchPath(_ value: RawSpan, for principal: PrincipalHandle) -> UInt16 {
        isPlanning ? pricing?.number(ofPath: value, for: principals[principal].owner) ?? 0 : 0
    }

    mutating func functionPattern(_ oid: UInt32, for principal: PrincipalHandle, at moment: Moment) -> PatternHandle {
        let scope = scope(of: principal)
        let pattern = Fingerprint(high: hash.hash(UInt64(oid), 0x4650), low: hash.hash(0x4650, UInt64(oid)))
        if let known = patterns.find(pattern, scope.code) { return known }
        let text = Array("function call \(oid)".utf8)
        let handle = addPattern(pattern, scope, text, firstSeen: moment.ordinal, for: principal)
        if takesSample(handle) {
            samples.keep(
                PatternSample(text: text),
                of: patterns.place(of: handle),
                for: principals[principal].owner
            )
        }
        return handle
    }

    mutating func started(_ principal: PrincipalHandle, _ pattern: PatternHandle, at time: Timestamp) -> Int64 {
        let record = patterns.records.slot(pattern)
        let isPriced = record.value.priceExpires > time.nanoseconds
        var price = isPriced ? record.value.price : findPrice(record, at: time)
        if isPriced { priceHits &+= 1 }
        let payer = principals.slot(principal)
        if record.value.hasOwnPrices, let own = ownPrice(record, payer, at: time) { price = own.price }
        if payer.value.account.charge(price, at: time) { woke(principal) }
        payer.value.counts.sent &+= 1
        payer.value.counts.cost &+= price
        return price
    }

    /// Asks the price of a pattern again, and keeps it with the pattern for as long as it is good.
    @inline(never)
    private mutating func findPrice(_ record: Slot<PatternRecord>, at time: Timestamp) -> Int64 {
        let key = record.value.key
        pricesAsked &+= 1
        if let listed = priceList.price(of: record.value.fingerprint) {
            // A price that a person listed holds for all databases, and needs no asking.
            keep(
                record,
                CachedPrice(KnownPrice(price: listed.micro, isFixed: true), expires: .max, isStale: false),
                at: time
            )
            return listed.micro
        }
        // What its class costs comes with rows and bytes; what anything may cost includes them.
        let isClassed = record.value.assumed >= 0
        let assumed = KnownPrice(
            price: isClassed ? record.value.assumed : priceList.fallback.micro,
            isMeasured: isClassed
        )
        guard isPlanning || isPricing && !priceList.isFallbackSet else {
            // Nobody will ever tell another one, or a person said what they all cost.
            keep(record, CachedPrice(assumed, expires: .max, isStale: false), at: time)
            return assumed.price
        }
        if let known = prices.find(key, spent: record.value.cost, at: time) {
            if known.isStale { want(record, at: time) }
            keep(record, known, at: time)
            return known.known.price
        }
        want(record, at: time)
        keep(record, CachedPrice(assumed, expires: 0, isStale: true), at: time)
        return assumed.price
    }

    /// Asks for a price, unless that was done a moment ago.
    private mutating func want(_ record: Slot<PatternRecord>, at time: Timestamp) {
        let (since, overflow) = time.nanoseconds.subtractingReportingOverflow(record.value.asked)
        guard overflow || since < 0 || since > 2_000_000_000, pricing != nil, !record.value.isOther else { return }
        record.value.asked = time.nanoseconds
        guard !isPlanning || samples[record.place] != nil else {
            // It gave way to others: the next text is kept, and asked for.
            patterns.wantSample(record.handle)
            return
        }
        pricing?.want(record.handle, record.value.key, for: record.value.owner)
    }

    /// A price that is too old, or assumed, is looked up again soon.
    private func keep(_ record: Slot<PatternRecord>, _ cached: CachedPrice, at time: Timestamp) {
        record.value.price = cached.known.price
        record.value.isMeasured = cached.known.isMeasured
        record.value.planned = cached.known.planned
        record.value.isFixed = cached.known.isFixed
        record.value.usual = cached.known.usual > 0 ? Int32(Pace.logarithm(cached.known.usual)) : 0
        record.value.priceExpires = cached.isStale ? time.nanoseconds &+ 100_000_000 : cached.expires
    }

    mutating func reattribute(
        _ pattern: PatternHandle,
        _ price: Int64,
        sentAt time: Timestamp,
        to principal: PrincipalHandle
    ) -> PatternHandle {
        principals[0].counts.sent &-= 1
        principals[0].counts.cost &-= price
        _ = principals[0].account.refund(price, at: time)
        principals[principal].counts.sent &+= 1
        principals[principal].counts.cost &+= price
        if principals[principal].account.charge(price, at: time) { woke(principal) }
        guard pattern > 0 else { return 0 }
        let record = patterns.records[pattern]
        var scope = scope(of: principal)
        (scope.path, scope.limit, scope.offset) = (record.scope.path, record.scope.limit, record.scope.offset)
        return patterns.find(record.fingerprint, scope.code) ?? copyPattern(pattern, scope, for: principal)
    }

    mutating func repriced(
        _ principal: PrincipalHandle,
        _ price: Int64,
        sentAt time: Timestamp,
        as pattern: PatternHandle
    ) -> Int64 {
        let record = patterns.records.slot(pattern)
        let isPriced = record.value.priceExpires > time.nanoseconds
        let right = isPriced ? record.value.price : findPrice(record, at: time)
        let payer = principals.slot(principal)
        if payer.value.account.charge(right &- price, at: time) { woke(principal) }
        payer.value.counts.cost &+= right &- price
        return right
    }

    mutating func pattern(
        _ pattern: PatternHandle,
        for principal: PrincipalHandle,
        under path: UInt16
    ) -> PatternHandle {
        guard isPlanning, pattern > 0, !patterns.records[pattern].isOther else { return pattern }
        let record = patterns.records[pattern]
        var scope = record.scope
        scope.path = path
        return patterns.find(record.fingerprint, scope.code) ?? copyPattern(pattern, scope, for: principal)
    }

    /// The same pattern in another scope.
    private mutating func copyPattern(
        _ pattern: PatternHandle,
        _ scope: PatternScope,
        for principal: PrincipalHandle
    ) -> PatternHandle {
        let record = patterns.records[pattern]
        let text = patterns.text(of: pattern)
        let handle = addPattern(record.fingerprint, scope, text, firstSeen: record.firstSeen, for: principal)
        if takesSample(handle), var sample = samples[patterns.place(of: pattern)] {
            sample.user = principals[principal].user
            sample.searchPath = pricing?.path(scope.path)
            samples.keep(sample, of: patterns.place(of: handle), for: principals[principal].owner)
        }
        return handle
    }

    mutating func ended(_ event: StatementEvent) {
        let payer = principals.slot(event.principal)
        let pattern = patterns.records.slot(event.pattern)
        var price = event.price
        switch event.outcome {
        case .completed:
            payer.value.counts.completed &+= 1
            payer.value.counts.rows &+= event.rows
            payer.value.counts.duration &+= UInt64(event.duration)
            if event.kind.isPlannable {
                payer.value.counts.plannable &+= 1
            } else {
                payer.value.counts.note(unplanned: event.kind, event.wire)
            }
            pattern.value.calls &+= 1
            pattern.value.rows &+= event.rows
            pattern.value.durations.record(event.duration)
            if isPricing { learn(event, pattern, of: payer.value.owner) }
            price = prove(event, payer, pattern)
        case .failed:
            payer.value.counts.failed &+= 1
            pattern.value.errors &+= 1
            price = prove(event, payer, pattern)
        case .uncertain:
            payer.value.counts.uncertain &+= 1
            pattern.value.cost &+= event.price
            if isKept { note(event, low: 0, high: event.price) }
        case .skipped:
            payer.value.counts.skipped &+= 1
            payer.value.counts.cost &-= event.price
            if payer.value.account.refund(event.price, at: event.started) { woke(event.principal) }
            if event.errorCode != 0 {
                pattern.value.errors &+= 1
                if isKept { note(event, low: 0, high: 0) }
            }
        }
        if event.outcome != .skipped { byProtocol[Int(event.wire.rawValue)] &+= 1 }
        if event.kind.holdsLocks(longerThan: TimeEvidence.shortestWait, event.duration) { noteTransaction(event) }
        if Recorder.isActive { record(event, price) }
    }

    /// Settles what was charged when the statement was sent: by the price that is known by now, and by what came of it.
    @inline(__always)
    private mutating func prove(
        _ event: StatementEvent,
        _ payer: Slot<Principal>,
        _ pattern: Slot<PatternRecord>
    ) -> Int64 {
        var (price, listed) = (event.price, pattern.value.price)
        let planned = pattern.value.planned
        if pattern.value.hasOwnPrices, let own = ownPrice(pattern, payer, at: event.started) { listed = own.price }
        if planned > 0 {
            // Others' runs, which taught the price too, do not make this one dearer than twice its own time.
            price = min(listed, BusyTime.ceiling(event.duration, planned: planned))
        }
        if pattern.value.isMeasured {
            if planned == 0 { price = listed }
            price = price &+ Self.weights.extra(event.kind, rows: event.rows, bytes: event.bytesReceived)
        }
        if event.outcome == .completed {
            if pattern.value.usual > 0 {
                notePace(event, payer, pattern)
            } else if logsPaces {
                logPace(event)
            }
        }
        // Without an error's code nobody saw the end, nor how long it took. What was refused did not run, whatever the price.
        if event.outcome == .failed, event.isRefused || event.errorCode != 0 && !pattern.value.isFixed {
            price = min(price, BusyTime.ceilingOfFailed(event.duration))
        }
        if event.duration >= BusyTime.shortest, !pattern.value.isFixed { noteLong(event, payer, pattern, &price) }
        if price != event.price {
            if payer.value.account.charge(price &- event.price, at: event.started) { woke(event.principal) }
            payer.value.counts.cost &+= price &- event.price
        }
        payer.value.counts.costLow &+= price
        if payer.value.account.settle(price, at: event.started) { woke(event.principal) }
        pattern.value.cost &+= price
        pattern.value.costLow &+= price
        if isWatched { watch(event, price) }
        return price
    }

    /// Keeps how long statements took, to compare them at the end.
    mutating func logPaces() { (paces, logsPaces) = (PaceLog(), true) }

    /// What only a daemon keeps: a replay pays one look at a flag for all of it.
    @inline(never)
    private mutating func watch(_ event: StatementEvent, _ price: Int64) {
        if event.outcome == .completed { octaves[63 &- (event.duration | 1).leadingZeroBitCount] &+= 1 }
        let isProven = !principals[event.principal].isPossible
        if isMetered, isProven { spend.add(event.principal, event.pattern, price, at: event.started) }
        if isKept { note(event, low: isProven ? price : 0, high: price) }
    }

    /// For the history: a line of its own, or one with the user's other patterns.
    @inline(never)
    private mutating func note(_ event: StatementEvent, low: Int64, high: Int64) {
        guard activity?.add(event, low: low, high: high) == false else { return }
        let owner = principals[event.principal].owner
        let other = Self.otherFingerprint(owners.key(of: owner), hash)
        let pattern = patterns.other(owner, patterns.records[event.pattern].database, other)
        activity?.add(event, as: pattern, low: low, high: high)
    }

    /// For evidence and the history: what was charged beside the end of a statement.
    mutating func noteSettled(
        _ principal: PrincipalHandle,
        _ pattern: PatternHandle,
        low: Int64,
        high: Int64,
        at time: Timestamp
    ) {
        let isProven = !principals[principal].isPossible
        if isMetered, isProven { spend.add(principal, pattern, low, calls: 0, at: time) }
        if isKept { activity?.add(principal, pattern, low: isProven ? low : 0, high: high) }
    }

    private static var weights: UnitWeights { UnitWeights() }

    mutating func vanished(_ principal: PrincipalHandle, _ pattern: PatternHandle, _ kind: StatementKind) {
        if kind.isPlannable { principals[principal].counts.plannable &-= 1 }
        patterns.records[pattern].calls &-= 1
    }

    /// Bytes of requests that could not be read widen the interval of what their sender used: they may have held a
    /// statement for every 64 bytes, each at the sender's own average price.
    mutating func missed(_ principal: PrincipalHandle, count: Int, at time: Timestamp) {
        let payer = principals.slot(principal)
        let counts = payer.value.counts
        // Of what was read only: else each loss made the next one dearer.
        let average =
            counts.sent > 0
            ? max(0, counts.cost &- counts.hiddenCost) / Int64(clamping: counts.sent) : priceList.fallback.micro
        // A jump of unknown size counts as a mebibyte.
        let bytes = min(count, 1 << 20)
        let (possible, isTooMuch) = average.multipliedReportingOverflow(by: Int64(bytes / 64 + 1))
        guard !isTooMuch else { return }
        payer.value.counts.hidden &+= UInt64(bytes)
        payer.value.counts.hiddenCost &+= possible
        payer.value.counts.cost &+= possible
        if payer.value.account.charge(possible, at: time) { woke(principal) }
    }

    mutating func acknowledged(_ what: Acknowledgment, _ principal: PrincipalHandle) {
        switch what {
        case .query: principals[principal].counts.simpleOK &+= 1
        case .portal: principals[principal].counts.portalsOK &+= 1
        case .functionCall: principals[principal].counts.functionCallsOK &+= 1
        }
    }

    mutating func reported(_ principal: PrincipalHandle) {
        principals[principal].counts.errors &+= 1
    }

    private mutating func record(_ event: StatementEvent, _ price: Int64) {
        var event = event
        event.price = price
        let note = flows.contains(event.flow) ? flows[event.flow] : FlowNote()
        let principal = principals[event.principal]
        recorder.record(
            StatementDetails(
                event: event,
                session: note.session,
                client: note.client,
                server: note.server,
                user: principal.user,
                database: principal.database,
                application: application(note.application),
                fingerprint: patterns.records[event.pattern].fingerprint,
                text: patterns.text(of: event.pattern)
            )
        )
    }
}
