// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import PostgresWire

/// How the prices of a live capture are asked for.
public struct PricingScheme: Sendable {
    /// The cluster's name, which prices are kept under.
    public var cluster: String
    /// Prices are asked as the role that runs a statement, and are that role's.
    public var asTenant: Bool

    /// How long a worker holds a price before it looks for a newer one, ns; the old one holds until that is there.
    public var lifetime: Int64
    /// Who tells prices.
    public var source: Source

    /// Who tells the prices of statements that are not listed.
    public enum Source: Sendable {
        /// A server's planner, or a store that others fill.
        case planner
        /// Durations alone, unless a person set what all cost.
        case durations
    }

    /// A scheme; prices are held for ten minutes.
    public init(cluster: String, asTenant: Bool, lifetime: Int64 = 600_000_000_000, source: Source = .planner) {
        (self.cluster, self.asTenant, self.lifetime, self.source) = (cluster, asTenant, lifetime, source)
    }
}

/// What one worker asks about patterns, and what it has to tell: handed over once a turn, never waited for.
struct PatternPricing {
    let asTenant: Bool
    /// Settings of roles.
    var roles = RoleFacts()
    private let cluster: Fingerprint
    private var waiting = Waiting()
    private var handles: [Fingerprint: PatternHandle] = [:]
    /// Changes of open transactions, and how many there are.
    private var held: [FlowHandle: [PlanChange]] = [:]
    private var heldCount = 0
    private var paths: [String] = [""]
    private var pathIndex: [Fingerprint: UInt16] = [:]
    private var pathCounts: [Int32: Int] = [:]
    private var pathBytes = 0
    private let hash: KeyedHash

    /// What waits to be handed over.
    struct Waiting {
        /// Patterns to be priced.
        var wanted: [PatternHandle] = []
        /// Changes of tables that passed by.
        var changes: [PlanChange] = []
        /// What found no room.
        var overflow: UInt64 = 0
        /// How many patterns each user wants.
        var shares: [Int32: Int] = [:]
    }

    /// More are left out until the service has taken these.
    private static let mostWanted = 4096
    private static let mostChanges = 1024
    private static let mostPaths = 65_536
    private static let mostPathBytes = 8 << 20
    /// One user's share of them.
    private static let mostPathsOfOne = 4096
    /// A longer search_path is not followed, in bytes.
    private static let longestPath = 1024

    init(_ scheme: PricingScheme, _ hash: KeyedHash) {
        asTenant = scheme.asTenant
        self.hash = hash
        cluster = hash.hash(Array(scheme.cluster.utf8).rawSpan)
    }

    func key(
        _ pattern: Fingerprint,
        _ scope: PatternScope,
        database: String,
        role: String?,
        _ hash: KeyedHash
    ) -> Fingerprint {
        var key = PriceKey(cluster: cluster, database: name(database), pattern: pattern)
        if let path = path(scope.path) { key.path = name(path) }
        if let role { key.role = name(role) }
        (key.limit, key.offset) = (scope.limit, scope.offset)
        return key.digest(hash)
    }

    /// What a price's key says of the role: its name where prices are each role's, or that it sees all rows.
    func role(of user: String?, _ number: Int32) -> String? {
        // No role can be named so: PostgreSQL reserves the prefix.
        asTenant ? user : number == 1 ? "pg_bypasses_row_security" : nil
    }

    private func name(_ text: String) -> Fingerprint { hash.hash(Array(text.utf8).rawSpan) }

    /// A search_path by its number; `nil`: that of the login.
    func path(_ number: UInt16) -> String? {
        number > 0 && Int(number) < paths.count ? paths[Int(number)] : nil
    }

    mutating func number(ofPath value: RawSpan, for owner: Int32) -> UInt16 {
        guard value.byteCount <= Self.longestPath else { return 0 }
        let key = hash.hash(value)
        if let known = pathIndex[key] { return known }
        // Before the login is accepted, nobody pays yet.
        let most = owner == 0 ? Self.mostPaths / 2 : Self.mostPathsOfOne
        guard paths.count < Self.mostPaths, pathBytes + value.byteCount <= Self.mostPathBytes,
            pathCounts[owner, default: 0] < most
        else { return 0 }
        pathBytes += value.byteCount
        pathCounts[owner, default: 0] += 1
        paths.append(String(decoding: (0..<value.byteCount).map { value.byte(at: $0) }, as: UTF8.self))
        pathIndex[key] = UInt16(paths.count - 1)
        return UInt16(paths.count - 1)
    }

    /// A pattern by its price's key, if it ever asked for one.
    func handle(of key: Fingerprint) -> PatternHandle? { handles[key] }

    mutating func want(_ pattern: PatternHandle, _ key: Fingerprint, for owner: Int32) {
        // 0 has no text that could be priced.
        guard pattern > 0 else { return }
        handles[key] = pattern
        guard waiting.wanted.count < Self.mostWanted, waiting.shares[owner, default: 0] < Self.mostWanted / 8 else {
            waiting.overflow &+= 1
            return
        }
        waiting.shares[owner, default: 0] += 1
        waiting.wanted.append(pattern)
    }

    /// Patterns are gone, and what stands for them has no price of its own.
    mutating func forget(_ gone: [PatternHandle: PatternHandle]) {
        for (key, handle) in handles where gone[handle] != nil { handles[key] = nil }
        waiting.wanted.removeAll { gone[$0] != nil }
    }

    /// The number of this user may be another's soon, who has a share of their own.
    mutating func forget(_ owner: Int32) {
        pathCounts[owner] = nil
        waiting.shares[owner] = nil
    }

    /// A change that counts once its transaction commits; where too many wait for that, it counts at once.
    mutating func hold(_ change: PlanChange, of flow: FlowHandle) {
        guard heldCount < Self.mostChanges else { return note(change) }
        heldCount += 1
        held[flow, default: []].append(change)
    }

    /// Whether changes wait for the end of a transaction.
    var holdsChanges: Bool { heldCount > 0 }

    /// The transaction of a flow ended, or the flow did.
    mutating func release(_ flow: FlowHandle, committed: Bool) {
        guard let changes = held.removeValue(forKey: flow) else { return }
        heldCount -= changes.count
        if committed { for change in changes { note(change) } }
    }

    mutating func note(_ change: PlanChange) {
        guard waiting.changes.count < Self.mostChanges else {
            waiting.overflow &+= 1
            return
        }
        waiting.changes.append(change)
    }

    var isEmpty: Bool { waiting.wanted.isEmpty && waiting.changes.isEmpty }

    mutating func take() -> Waiting {
        defer { waiting = Waiting() }
        return waiting
    }
}

extension Books where Recorder: ~Copyable {
    /// What a completed statement teaches, where prices are learned.
    @inline(never)
    mutating func learn(_ event: StatementEvent, _ pattern: Slot<PatternRecord>, of owner: Int32) {
        if event.kind != .copy { record(event.duration, pattern, of: owner) }
        let isChange: Bool
        switch event.kind {
        case .utility: isChange = true
        case .copy, .insert, .update, .delete, .merge: isChange = event.rows >= Self.manyRows
        default: isChange = false
        }
        guard isChange, isPlanning, event.pattern > 0 else { return }
        let database = databases[Int(pattern.value.database)]
        let change = PlanChange(database: database, pattern: patterns.text(of: event.pattern))
        pricing?.hold(change, of: event.flow)
        awaitsTransactions = pricing?.holdsChanges ?? false
    }

    /// Durations are those of one user at a time, and another one's the next time: so nobody teaches for others.
    private func record(_ duration: Int64, _ pattern: Slot<PatternRecord>, of owner: Int32) {
        if pattern.value.recentOwner < 0, owner != pattern.value.lastOwner { pattern.value.recentOwner = owner }
        guard owner == pattern.value.recentOwner else {
            if pattern.value.recentOwner >= 0 { pattern.value.hasOthers = true }
            return
        }
        pattern.value.recent.record(duration)
    }

    /// What a transaction changed counts when it commits.
    @inline(__always)
    mutating func transactionEnded(_ flow: FlowHandle, committed: Bool) {
        if awaitsTransactions { releaseChanges(flow, committed: committed) }
    }

    @inline(never)
    private mutating func releaseChanges(_ flow: FlowHandle, committed: Bool) {
        pricing?.release(flow, committed: committed)
        awaitsTransactions = pricing?.holdsChanges ?? false
    }

    /// So many rows at once may change a table's plans.
    private static var manyRows: UInt64 { 10_000 }

    /// What waits to be asked and told.
    mutating func takeQuestions() -> PricingTray? {
        guard let waiting = takePricing() else { return nil }
        return PricingTray(
            questions: waiting.wanted.compactMap { question($0) },
            changes: waiting.changes,
            overflow: waiting.overflow
        )
    }

    /// One of every pattern that ran.
    func allQuestions() -> [PriceQuestion] {
        (1..<max(1, patterns.records.highWater)).compactMap { place in
            guard let record = patterns.records.occupant(at: place), record.value.calls > 0 else { return nil }
            return question(record.handle)
        }
    }

    private func question(_ handle: PatternHandle) -> PriceQuestion? {
        let record = patterns.records[handle]
        guard !record.isOther, let sample = samples[patterns.place(of: handle)] ?? withoutText(record) else {
            return nil
        }
        return PriceQuestion(
            key: record.key,
            fingerprint: record.fingerprint,
            pattern: patterns.text(of: handle),
            sample: sample,
            database: databases[Int(record.database)],
            limit: record.scope.limit,
            offset: record.scope.offset,
            calls: max(1, record.calls)
        )
    }

    /// What is known of a statement that no planner is asked about: whose it is, as a hash.
    private func withoutText(_ record: PatternRecord) -> PatternSample? {
        guard !isPlanning else { return nil }
        var sample = PatternSample(text: [])
        sample.user = "\(owners.key(of: record.owner))"
        return sample
    }

    /// What a user's own price of a pattern is known by.
    @inline(__always)
    static func ownKey(_ key: Fingerprint, _ payer: Fingerprint) -> Fingerprint {
        Fingerprint(high: key.high ^ payer.low, low: key.low ^ payer.high)
    }

    /// A user's own price of a pattern that has such prices; `nil`: the common one holds.
    @inline(never)
    mutating func ownPrice(_ pattern: Slot<PatternRecord>, _ payer: Slot<Principal>, at time: Timestamp) -> KnownPrice?
    {
        ownPrices.find(Self.ownKey(pattern.value.key, owners.key(of: payer.value.owner)), at: time)?.known
    }

    /// Prices that the service found.
    mutating func take(_ answers: [PriceAnswer], at time: Timestamp) {
        for answer in answers {
            guard answer.payer == .unknown else {
                ownPrices.store(answer.known, for: Self.ownKey(answer.key, answer.payer), at: time)
                if let pattern = pricing?.handle(of: answer.key) { patterns.records[pattern].hasOwnPrices = true }
                continue
            }
            prices.store(answer.known, for: answer.key, at: time)
            // The pattern's own copy is looked up again when it runs next.
            if let pattern = pricing?.handle(of: answer.key) { patterns.records[pattern].priceExpires = .min }
        }
    }

    /// Durations since the last time, of `count` patterns from `start` on; returns where to go on.
    mutating func observations(from start: Int32, count: Int) -> (found: [PriceObservation], next: Int32) {
        let end = Int32(clamping: patterns.records.highWater)
        guard end > 1 else { return ([], 1) }
        let first = start >= end ? 1 : max(1, start)
        let last = min(Int(end), Int(first) + count)
        var found: [PriceObservation] = []
        for place in Int(first)..<last {
            guard let record = patterns.records.occupant(at: place) else { continue }
            let owner = record.value.recentOwner
            if owner >= 0 {
                let payer = owners.key(of: owner)
                found.append(PriceObservation(key: record.value.key, payer: payer, durations: record.value.recent))
                record.value.recent = RecentDurations()
            }
            // Whoever was left out comes first the next time; if nobody comes, the same one again.
            record.value.lastOwner = record.value.hasOthers ? owner : -1
            (record.value.recentOwner, record.value.hasOthers) = (-1, false)
        }
        return (found, Int32(last))
    }
}
