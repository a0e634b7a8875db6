// SPDX-License-Identifier: Apache-2.0
public import Costs
public import Domain
public import Metering
public import Packets
public import PostgresWire
public import Quotas

/// What a pattern did in one database.
public struct PatternUsage: Sendable {
    /// The pattern's key.
    public var fingerprint: Fingerprint
    /// Its normalized text; empty where the statements' texts were not seen.
    public var text: [UInt8]
    /// The database; `nil`: unattributed.
    public var database: String?
    /// Executions finished, and failed.
    public var calls: UInt64, errors: UInt64
    /// Rows of finished executions.
    public var rows: UInt64
    /// What its executions cost: proven, and proven or possible.
    public var costLow: CostUnits, cost: CostUnits
    /// Server times of finished executions.
    public var durations: DurationHistogram
    /// The packet it was first seen in.
    public var firstSeen: UInt64
}

/// One user's standing over all databases.
public struct UserStanding: Sendable {
    /// The name.
    public var user: String
    /// The tier; `nil`: without limits.
    public var tier: Tier?
    /// How the user stands.
    public var standing: Standing
}

/// Everything a replay found.
public struct ReplayResult: Sendable {
    private let policy: QuotaPolicy
    /// The packets.
    public let capture: CaptureSummary
    /// Bytes of the files.
    public let consumed: UInt64
    /// The segments.
    public private(set) var reassembly = ReassemblyCounters()
    /// The sessions.
    public private(set) var sessions = SessionCounters()
    /// Connections with servers that were not named: nothing on them was read, and nobody pays for it.
    public private(set) var otherServers: UInt64 = 0
    /// The servers' ports of the connections that were looked at.
    public private(set) var ports = PortCensus()
    /// Statements by protocol, those that the server started.
    public private(set) var byProtocol: [StatementProtocol: UInt64] = [:]
    /// Who did what; the first one is everybody who is not known.
    ///
    /// Sorted by user, database and client.
    public private(set) var principals: [Principal] = [Principal()]
    /// Patterns, most costly first.
    public private(set) var patterns: [PatternUsage] = []
    /// Users' standings by name.
    public private(set) var standings: [String: UserStanding] = [:]
    /// Price lookups that hit the first level, and that missed.
    public private(set) var priceHits: UInt64 = 0, priceMisses: UInt64 = 0
    /// Statements whose pattern found no room in the table at once: they count with others of their user.
    public private(set) var patternOverflow: UInt64 = 0
    /// Patterns that were added up with others of their user, and users whose principals were removed.
    public private(set) var patternEvictions: UInt64 = 0, forgottenUsers: UInt64 = 0
    /// Statements whose price neither a planner, nor durations, nor a person told: that of their class, or what anything costs.
    public private(set) var assumedPrices: UInt64 = 0
    /// Patterns that are to be priced, where that was asked for.
    public private(set) var questions: [PriceQuestion] = []
    /// Statements whose time is settled once all workers are added up, by the places of who pays and what ran.
    private var longStatements: [(LongStatement, payer: Int, pattern: Int?, database: String)] = []
    private var evidence = TimeEvidence()
    /// Long statements that found no room to wait for settlement: what their time is worth stays possible.
    public private(set) var unsettled: UInt64 = 0
    /// What time would have told, and found no room: statements and transactions.
    public var lostEvidence: UInt64 { evidence.lost }
    /// How long statements took, and in which database.
    private var paces: [(key: PaceSums<String?>.Key, pace: Pace)] = []
    /// Of whose, which are kept: see ``PaceSums/level``.
    private var paceLevel: UInt64 = 0
    /// Wall-clock seconds.
    public internal(set) var elapsed = 0.0
    /// CPU seconds of each worker.
    public internal(set) var workerCPU: [Double] = []
    /// Whether it was stopped before the end.
    public internal(set) var isCancelled = false

    init(policy: QuotaPolicy, capture: CaptureSummary, consumed: UInt64) {
        self.policy = policy
        self.capture = capture
        self.consumed = consumed
    }

    /// All counts of all principals.
    public var totals: PrincipalCounts {
        var sum = PrincipalCounts()
        for principal in principals { sum.add(principal.counts) }
        return sum
    }

    /// Who used how much when, where that was kept; by user.
    public var timelines: [String: [SlotUsage]] {
        var found: [String: [Int64: Usage]] = [:]
        for principal in principals {
            guard let user = principal.user else { continue }
            for slot in principal.account.timeline {
                found[user, default: [:]][slot.start, default: .zero] += slot.usage
            }
        }
        return found.mapValues { slots in
            slots.map { SlotUsage(start: $0.key, usage: $0.value) }.sorted { $0.start < $1.start }
        }
    }

    /// Adds what a worker counted.
    ///
    /// - Parameter most: patterns that are told one by one, the most costly ones; all others are summed up in one. `nil`: all.
    mutating func add(_ shard: borrowing Shard<some StatementRecorder & ~Copyable>, most: Int? = nil) {
        reassembly.add(shard.reassembler.counters)
        add(shard.analyser, most: most)
    }

    mutating func add(_ analyser: borrowing Analyser<some StatementRecorder & ~Copyable>, most: Int? = nil) {
        sessions.add(analyser.sessions.counters)
        otherServers += analyser.metering.otherServers
        ports.add(analyser.metering.flows.ports)
        for wire in StatementProtocol.allCases {
            byProtocol[wire, default: 0] += analyser.metering.byProtocol[Int(wire.rawValue)]
        }
        var payers: [PrincipalHandle: Int] = [:]
        for place in 1..<max(1, analyser.metering.principals.highWater) {
            guard let handle = analyser.metering.principals.handle(at: place) else { continue }
            let principal = analyser.metering.reported(handle)
            if principal.user == nil {
                // A session whose owner is not known yet: nobody's so far.
                principals[0].counts.add(principal.counts)
                principals[0].account.add(principal.account)
            } else {
                payers[handle] = principals.count
                principals.append(principal)
            }
        }
        principals[0].counts.add(analyser.metering.principals[0].counts)
        principals[0].account.add(analyser.metering.principals[0].account)
        let (found, asked) = (analyser.metering.prices.hits, analyser.metering.pricesAsked)
        priceHits += analyser.metering.priceHits + found
        priceMisses += asked - found
        patternOverflow += analyser.metering.patterns.overflow
        patternEvictions += analyser.metering.patterns.evictions
        if analyser.metering.pricing != nil, most == nil { questions += analyser.metering.allQuestions() }
        forgottenUsers += analyser.metering.principals.forgotten
        let places = addPatterns(analyser, most)
        // A daemon's worker settles its own before long.
        guard most == nil else { return }
        let time = analyser.metering.usage.time
        evidence.add(time.evidence)
        unsettled += time.unsettled
        paceLevel = max(paceLevel, time.paces.level)
        for (key, pace) in time.paces.entries {
            let database = key.database == 0 ? nil : analyser.metering.principals.database(key.database)
            paces.append(
                (.init(second: key.second, tenant: key.tenant, pattern: key.pattern, database: database), pace)
            )
        }
        for long in time.long {
            let database = analyser.metering.principals.database(long.database)
            longStatements.append((long, payers[long.principal] ?? 0, places[long.pattern], database))
        }
    }

    /// Returns where the patterns that are told one by one stand.
    private mutating func addPatterns(
        _ analyser: borrowing Analyser<some StatementRecorder & ~Copyable>,
        _ most: Int?
    ) -> [PatternHandle: Int] {
        var places: [PatternHandle: Int] = [:]
        var entries: [CostliestPatterns.Entry] = []
        for place in 0..<analyser.metering.patterns.highWater {
            guard let record = analyser.metering.patterns.occupant(at: place),
                record.value.calls &+ record.value.errors > 0 || record.value.cost != 0
            else { continue }
            entries.append(.init(handle: record.handle, owner: record.value.owner, cost: record.value.cost))
            if record.value.isAssumed { assumedPrices &+= record.value.calls &+ record.value.errors }
        }
        var listed = entries.map(\.handle)
        if let most, entries.count > most {
            let choice = CostliestPatterns(entries, most: most)
            listed = choice.listed
            var rest = Self.rest
            for handle in choice.others {
                let record = analyser.metering.patterns.slot(handle)
                rest.calls &+= record.value.calls
                rest.errors &+= record.value.errors
                rest.rows &+= record.value.rows
                rest.costLow = CostUnits(micro: rest.costLow.micro &+ record.value.costLow)
                rest.cost = CostUnits(micro: rest.cost.micro &+ record.value.cost)
                rest.durations.add(record.value.durations)
            }
            patterns.append(rest)
        }
        patterns.reserveCapacity(patterns.count + listed.count)
        for handle in listed {
            let record = analyser.metering.patterns.slot(handle).value
            if most == nil { places[handle] = patterns.count }
            patterns.append(
                PatternUsage(
                    fingerprint: record.fingerprint,
                    text: analyser.metering.patterns.text(of: handle),
                    database: record.database == 0
                        ? nil : analyser.metering.principals.database(record.database),
                    calls: record.calls,
                    errors: record.errors,
                    rows: record.rows,
                    costLow: CostUnits(micro: record.costLow),
                    cost: CostUnits(micro: record.cost),
                    durations: record.durations,
                    firstSeen: record.firstSeen
                )
            )
        }
        return places
    }

    /// What stands for patterns that are not told one by one.
    private static var rest: PatternUsage {
        PatternUsage(
            fingerprint: Fingerprint(high: 0, low: 1),
            text: Array("(patterns that cost less)".utf8),
            database: nil,
            calls: 0,
            errors: 0,
            rows: 0,
            costLow: CostUnits(micro: 0),
            cost: CostUnits(micro: 0),
            durations: DurationHistogram(),
            firstSeen: .max
        )
    }

    mutating func add(_ other: ReplayResult) {
        reassembly.add(other.reassembly)
        sessions.add(other.sessions)
        otherServers += other.otherServers
        ports.add(other.ports)
        byProtocol.merge(other.byProtocol, uniquingKeysWith: +)
        principals += other.principals.dropFirst()
        principals[0].counts.add(other.principals[0].counts)
        principals[0].account.add(other.principals[0].account)
        priceHits += other.priceHits
        priceMisses += other.priceMisses
        patternOverflow += other.patternOverflow
        assumedPrices += other.assumedPrices
        patternEvictions += other.patternEvictions
        forgottenUsers += other.forgottenUsers
        let shift = (payers: principals.count - (other.principals.count - 1) - 1, patterns: patterns.count)
        longStatements += other.longStatements.map { entry in
            (
                entry.0, entry.payer > 0 ? entry.payer + shift.payers : 0, entry.pattern.map { $0 + shift.patterns },
                entry.database
            )
        }
        evidence.add(other.evidence)
        unsettled += other.unsettled
        paces += other.paces
        paceLevel = max(paceLevel, other.paceLevel)
        patterns += other.patterns
        questions += other.questions
    }

    /// Brings everything into an order that does not depend on the workers, and judges the users.
    mutating func settle() {
        settleLong()
        mergePrincipals()
        mergePatterns()
        var accounts: [String: Account] = [:]
        for principal in principals {
            if let user = principal.user { accounts[user, default: Account()].add(principal.account) }
        }
        let timelines = policy.needsTimeline ? timelines : [:]
        for (user, account) in accounts {
            let tier = policy.tier(of: user)
            standings[user] = UserStanding(
                user: user,
                tier: tier,
                standing: Standing(account, tier: tier, zone: policy.zone, timeline: timelines[user] ?? [])
            )
        }
    }

    /// Charges what the time of long statements is worth.
    private mutating func settleLong() {
        comparePaces()
        evidence.sort()
        for (long, payer, pattern, database) in longStatements {
            let added = long.settlement(evidence, database: database)
            let time = Timestamp(nanoseconds: long.started)
            principals[payer].counts.cost &+= added.high
            principals[payer].counts.costLow &+= added.low
            principals[payer].account.charge(added.high, at: time)
            principals[payer].account.settle(added.low, at: time)
            guard let pattern else { continue }
            patterns[pattern].cost = CostUnits(micro: patterns[pattern].cost.micro &+ added.high)
            patterns[pattern].costLow = CostUnits(micro: patterns[pattern].costLow.micro &+ added.low)
        }
        longStatements = []
    }

    /// Runs of a pattern before one of its durations is taken to be usual.
    private static var leastRuns: UInt64 { 8 }

    /// Tells how slowly tenants ran, by what was usual for their patterns in all of the capture.
    private mutating func comparePaces() {
        defer { paces = [] }
        guard !longStatements.isEmpty, !paces.isEmpty else { return }
        var sums = PaceSums<String?>(most: PaceLog.most)
        for (key, pace) in paces { sums.add(pace, to: key) }
        sums.thin(atLeast: paceLevel)
        var places: [PatternKey: [Int]] = [:]
        for key in sums.sums.keys { places[PatternKey(fingerprint: key.pattern, database: key.database)] = [] }
        for index in patterns.indices {
            places[PatternKey(fingerprint: patterns[index].fingerprint, database: patterns[index].database)]?.append(
                index
            )
        }
        let usual = places.compactMapValues(usualDuration)
        for (key, sum) in sums.sums {
            guard let usual = usual[PatternKey(fingerprint: key.pattern, database: key.database)] else { continue }
            var pace = sum
            pace.sum &-= pace.count &* usual
            evidence.add(pace, of: key.tenant, second: key.second)
        }
    }

    /// How long a pattern usually takes, that stands at these places; the logarithm as ``Pace`` has it.
    private func usualDuration(_ places: [Int]) -> Int64? {
        var durations = DurationHistogram()
        for place in places { durations.add(patterns[place].durations) }
        // As for a daemon: a stall now and then is not usual.
        return durations.count >= Self.leastRuns ? Pace.logarithm(Int64(clamping: durations.percentile(0.37))) : nil
    }

    private mutating func mergePrincipals() {
        var places: [PrincipalKey: Int] = [:]
        for index in principals.indices.dropFirst() {
            let key = PrincipalKey(principals[index])
            if let known = places[key] {
                principals[known].counts.add(principals[index].counts)
                principals[known].account.add(principals[index].account)
            } else {
                places[key] = index
            }
        }
        let order = places.sorted { $0.key < $1.key }
        principals = [principals[0]] + order.map { principals[$0.value] }
    }

    private mutating func mergePatterns() {
        // By index: a pattern's histogram makes it costly to move.
        var places: [PatternKey: Int] = [:]
        for index in patterns.indices {
            let key = PatternKey(fingerprint: patterns[index].fingerprint, database: patterns[index].database)
            if let known = places[key] { merge(index, into: known) } else { places[key] = index }
        }
        let ranks = places.map { key, index in
            PatternRank(cost: patterns[index].cost, calls: patterns[index].calls, key: key, index: index)
        }
        patterns = ranks.sorted(by: PatternRank.precedes).map { patterns[$0.index] }
    }

    private mutating func merge(_ index: Int, into known: Int) {
        let other = patterns[index]
        if other.firstSeen < patterns[known].firstSeen {
            patterns[known].text = other.text
            patterns[known].firstSeen = other.firstSeen
        }
        patterns[known].calls += other.calls
        patterns[known].errors += other.errors
        patterns[known].rows += other.rows
        patterns[known].cost = CostUnits(micro: patterns[known].cost.micro &+ other.cost.micro)
        patterns[known].costLow = CostUnits(micro: patterns[known].costLow.micro &+ other.costLow.micro)
        patterns[known].durations.add(other.durations)
    }
}

/// A principal by name and address.
private struct PrincipalKey: Hashable, Comparable {
    var user: String
    var database: String
    var high: UInt64
    var low: UInt64
    var application: String

    init(_ principal: Principal) {
        application = principal.application ?? ""
        user = principal.user ?? ""
        database = principal.database ?? ""
        high = principal.address?.high ?? 0
        low = principal.address?.low ?? 0
    }

    static func < (left: PrincipalKey, right: PrincipalKey) -> Bool {
        (left.user, left.database, left.high, left.low, left.application)
            < (right.user, right.database, right.high, right.low, right.application)
    }
}

private struct PatternKey: Hashable {
    var fingerprint: Fingerprint
    var database: String?
}

/// What orders a pattern among the others: the most costly first.
private struct PatternRank {
    var cost: CostUnits
    var calls: UInt64
    var key: PatternKey
    var index: Int

    static func precedes(_ left: PatternRank, _ right: PatternRank) -> Bool {
        if left.cost != right.cost { return left.cost > right.cost }
        if left.calls != right.calls { return left.calls > right.calls }
        if left.key.fingerprint != right.key.fingerprint { return left.key.fingerprint < right.key.fingerprint }
        return (left.key.database ?? "") < (right.key.database ?? "")
    }
}
