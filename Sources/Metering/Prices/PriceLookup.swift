// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import PostgresWire

/// What a statement costs: from a person's list, from the planner's answers that are remembered here, or assumed meanwhile.
public struct PriceLookup: ~Copyable {
    /// What is asked about patterns, where somebody answers; `nil`: prices are those of the list.
    public internal(set) var requests: PriceRequests?
    /// What persons set.
    private(set) var list: PriceList
    private var common = PriceCache(capacity: 8)
    /// Those of users who run a pattern that others run too.
    private var own = PriceCache(capacity: 8)
    /// Prices that stood with their pattern.
    public internal(set) var kept: UInt64 = 0
    /// Prices that were looked up anew.
    public private(set) var asked: UInt64 = 0
    /// Whether there are ``requests``: at hand for every statement.
    private(set) var isPricing = false
    /// Whether a planner may have told prices, here or at another node: then texts are kept for it, and plans told apart.
    private(set) var isPlanning = false
    /// Whether changes of tables wait for their transactions to commit.
    var awaitsTransactions = false
    /// Where prices are each role's own.
    private var roles = NumberedNames(limit: 65_536)

    /// Prices at hand, at most: of 100,000 patterns the popular ones, and of their roles' own a quarter of that.
    public static var mostPrices: Int { PriceCache.liveCapacity / 4 * 5 }
    /// Bytes of one price.
    public static var bytesOfEntry: Int { PriceCache.bytesOfEntry }
    /// How many prices are at hand where a service tells them.
    private let capacity: Int

    init(_ list: PriceList, capacity: Int = mostPrices) { (self.list, self.capacity) = (list, capacity) }

    /// What prices take of the budget.
    func memory(_ limits: TableLimits) -> TableMemory {
        TableMemory("prices", bytes: common.bytes + own.bytes, most: limits.prices * Self.bytesOfEntry)
    }

    /// Patterns are priced by a service from now on.
    mutating func ask(_ scheme: PricingScheme, _ hash: KeyedHash) {
        requests = PriceRequests(scheme, hash)
        (isPricing, isPlanning) = (true, scheme.source != .durations)
        // A cache has a power of two of sets: the largest that fit.
        var places = 8
        while places < PriceCache.liveCapacity, places * 2 / 4 * 5 <= capacity { places *= 2 }
        common = PriceCache(capacity: places, lifetime: scheme.lifetime)
        own = PriceCache(capacity: places / 4, lifetime: scheme.lifetime)
    }

    /// Another list holds from now on.
    mutating func take(_ list: PriceList) { self.list = list }

    /// Prices of those looked up anew that were remembered.
    public var hits: UInt64 { common.hits }

    // MARK: The price of a pattern

    /// Looks up the price of a pattern, and keeps it with the pattern for as long as it is good.
    ///
    /// - Parameter hasSample: whether its first text is there, which the planner is asked about.
    @inline(never)
    mutating func find(_ record: Slot<PatternRecord>, hasSample: Bool, at time: Timestamp) -> Int64 {
        asked &+= 1
        if let listed = list.price(of: record.value.fingerprint) {
            // A price that a person listed holds for all databases, and needs no asking.
            let known = KnownPrice(price: listed.micro, isFixed: true)
            keep(record, CachedPrice(known, expires: .max, isStale: false), at: time)
            return listed.micro
        }
        // What its class costs comes with rows and bytes; what anything may cost includes them.
        let isClassed = record.value.assumed >= 0
        let assumed = KnownPrice(
            price: isClassed ? record.value.assumed : list.fallback.micro,
            isMeasured: isClassed
        )
        guard isPlanning || isPricing && !list.isFallbackSet else {
            // Nobody will ever tell another one, or a person said what they all cost.
            keep(record, CachedPrice(assumed, expires: .max, isStale: false), at: time)
            return assumed.price
        }
        if let known = common.find(record.value.key, spent: record.value.cost, at: time) {
            if known.isStale { want(record, hasSample, at: time) }
            keep(record, known, at: time)
            return known.known.price
        }
        want(record, hasSample, at: time)
        keep(record, CachedPrice(assumed, expires: 0, isStale: true), at: time)
        return assumed.price
    }

    /// Asks for a price, unless that was done a moment ago.
    private mutating func want(_ record: Slot<PatternRecord>, _ hasSample: Bool, at time: Timestamp) {
        let (since, overflow) = time.nanoseconds.subtractingReportingOverflow(record.value.asked)
        guard overflow || since < 0 || since > 2_000_000_000, requests != nil, !record.value.isOther else { return }
        record.value.asked = time.nanoseconds
        guard !isPlanning || hasSample else {
            // It gave way to others: the next text is kept, and asked for.
            if record.handle > 0 { record.value.scopeCode |= PatternRecord.wantsSample }
            return
        }
        requests?.want(record.handle, record.value.key, for: record.value.owner)
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

    /// A user's own price of a pattern that has such prices; `nil`: the common one holds.
    @inline(never)
    mutating func ownPrice(_ record: Slot<PatternRecord>, _ payer: Fingerprint, at time: Timestamp) -> Int64? {
        own.find(Self.ownKey(record.value.key, payer), at: time)?.known.price
    }

    /// What a user's own price of a pattern is known by.
    private static func ownKey(_ key: Fingerprint, _ payer: Fingerprint) -> Fingerprint {
        Fingerprint(high: key.high ^ payer.low, low: key.low ^ payer.high)
    }

    /// Prices that the service found.
    mutating func take(_ answers: [PriceAnswer], at time: Timestamp, _ patterns: borrowing PatternRegistry) {
        for answer in answers {
            guard answer.payer == .unknown else {
                own.store(answer.known, for: Self.ownKey(answer.key, answer.payer), at: time)
                if let pattern = requests?.handle(of: answer.key) { patterns.slot(pattern).value.hasOwnPrices = true }
                continue
            }
            common.store(answer.known, for: answer.key, at: time)
            // The pattern's own copy is looked up again when it runs next.
            if let pattern = requests?.handle(of: answer.key) { patterns.slot(pattern).value.priceExpires = .min }
        }
    }

    // MARK: What prices depend on

    /// What the price of a pattern is known by: without a service of prices, all databases have one list.
    func key(_ pattern: Fingerprint, _ scope: PatternScope, user: String?, database: String) -> Fingerprint {
        guard let requests else { return pattern }
        return requests.key(pattern, scope, database: database, role: requests.role(of: user, scope.role))
    }

    /// For some roles row-level security is passed over (PostgreSQL documentation, 5.9 "Row Security Policies"), and some
    /// begin with a search_path of their own: what they run has prices of its own; false: that is known.
    mutating func take(_ facts: RoleFacts) -> Bool {
        guard requests?.roles != facts else { return false }
        requests?.roles = facts
        return true
    }

    /// A principal's class of role, and the search_path that its logins begin with.
    mutating func applyRole(to payer: Slot<Principal>) {
        guard requests != nil, let user = payer.value.user else { return }
        payer.value.roleIndex = roleNumber(user)
        // Where prices are asked as the tenant, its own login has that path.
        guard requests?.asTenant == false else { return }
        let path = requests?.roles.path(of: user, in: payer.value.database ?? "")
        guard let bytes = path.map({ Array($0.utf8) }), !bytes.isEmpty else {
            payer.value.path = 0
            return
        }
        payer.value.path = requests?.number(ofPath: bytes.rawSpan, for: payer.value.owner) ?? 0
    }

    /// The class of a role for prices: its own number where they are each role's, else whether row-level security is passed
    /// over for it; 0 where nobody prices.
    private mutating func roleNumber(_ name: String) -> Int32 {
        guard let requests else { return 0 }
        guard requests.asTenant else { return requests.roles.bypassing.contains(name) ? 1 : 0 }
        return roles.number(of: name)
    }

    // MARK: Transactions

    /// Something that may change plans, once the transaction of its flow commits.
    mutating func hold(_ change: PlanChange, of flow: FlowHandle) {
        requests?.hold(change, of: flow)
        awaitsTransactions = requests?.holdsChanges ?? false
    }

    /// The transaction of a flow ended, or the flow did.
    @inline(__always)
    mutating func transactionEnded(_ flow: FlowHandle, committed: Bool) {
        if awaitsTransactions { release(flow, committed: committed) }
    }

    @inline(never)
    private mutating func release(_ flow: FlowHandle, committed: Bool) {
        requests?.release(flow, committed: committed)
        awaitsTransactions = requests?.holdsChanges ?? false
    }
}
