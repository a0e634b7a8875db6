// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
public import Metering
public import Packets
public import PostgresWire

/// The plain counts of all workers: what a scrape needs, without users and patterns one by one, so that it costs the
/// workers next to nothing.
public struct CountersSnapshot: Sendable {
    /// The packets.
    public var capture = CaptureSummary()
    /// The segments.
    public var reassembly = ReassemblyCounters()
    /// The sessions.
    public var sessions = SessionCounters()
    /// Statements by protocol.
    public var byProtocol: [StatementProtocol: UInt64] = [:]
    /// Counts of all, and of those whose user is not known.
    public var totals = PrincipalCounts(), unattributed = PrincipalCounts()
    /// Connections that are followed now.
    public var openFlows: UInt64 = 0
    /// Connections with servers that were not named.
    public var otherServers: UInt64 = 0
    /// Patterns and principals that are known.
    public var patterns: UInt64 = 0, principals: UInt64 = 0
    /// Statements whose pattern found no room in the table, and that the history has no room for.
    public var patternOverflow: UInt64 = 0, activityLost: UInt64 = 0
    /// Long statements whose time stays possible, as too many waited for settlement; what time would have told, and found no room.
    public var unsettled: UInt64 = 0, lostEvidence: UInt64 = 0
    /// Prices and owners of sessions that made room for later ones before a worker took them: they are asked for again.
    public var droppedCommands: UInt64 = 0
    /// Patterns, texts of samples and principals that made room for others.
    public var patternEvictions: UInt64 = 0, sampleEvictions: UInt64 = 0, principalEvictions: UInt64 = 0
    /// Bytes of texts that are kept to be priced.
    public var sampleBytes: UInt64 = 0
    /// What each table takes and may take, all workers' together; always the same tables in the same order.
    public var memory: [TableMemory] = []
    /// Prices that stood with their pattern or in the first level, and that did not.
    public var priceHits: UInt64 = 0, priceMisses: UInt64 = 0
    /// Finished statements by the binary exponent of their nanoseconds: those below 2^n ns, at n.
    public var octaves: [UInt64] = Array(repeating: 0, count: 64)
    /// The greatest delay between a packet's time and its turn, of late, in seconds.
    public var lag = 0.0
    /// CPU seconds and packets of each worker that answered, by its number.
    public var workers: [(number: Int, cpu: Double, packets: UInt64)] = []
    /// Workers that did not answer in time.
    public var missing = 0

    mutating func add(_ other: CountersSnapshot) {
        capture.add(other.capture)
        reassembly.add(other.reassembly)
        sessions.add(other.sessions)
        byProtocol.merge(other.byProtocol, uniquingKeysWith: +)
        totals.add(other.totals)
        unattributed.add(other.unattributed)
        openFlows += other.openFlows
        otherServers += other.otherServers
        patterns += other.patterns
        principals += other.principals
        patternOverflow += other.patternOverflow
        patternEvictions += other.patternEvictions
        sampleEvictions += other.sampleEvictions
        principalEvictions += other.principalEvictions
        sampleBytes += other.sampleBytes
        memory = TableMemory.sum([memory, other.memory])
        activityLost += other.activityLost
        unsettled += other.unsettled
        priceHits += other.priceHits
        priceMisses += other.priceMisses
        for index in octaves.indices { octaves[index] &+= other.octaves[index] }
        lag = max(lag, other.lag)
        workers += other.workers
    }

    mutating func count(_ shard: inout Shard<some StatementRecorder & ~Copyable>) {
        openFlows = UInt64(max(0, shard.reassembler.openFlowCount))
        reassembly = shard.reassembler.counters
        sessions = shard.analyser.sessions.counters
        otherServers = shard.analyser.metering.otherServers
        for wire in StatementProtocol.allCases {
            byProtocol[wire] = shard.analyser.metering.byProtocol[Int(wire.rawValue)]
        }
        for place in 0..<shard.analyser.metering.principals.highWater {
            guard let principal = shard.analyser.metering.principals.occupant(at: place)?.value else { continue }
            totals.add(principal.counts)
            if principal.user == nil { unattributed.add(principal.counts) } else { principals += 1 }
        }
        let (found, asked) = (shard.analyser.metering.prices.hits, shard.analyser.metering.pricesAsked)
        priceHits = shard.analyser.metering.priceHits + found
        priceMisses = asked - found
        patterns = UInt64(shard.analyser.metering.patterns.count)
        patternEvictions = shard.analyser.metering.patterns.evictions
        sampleEvictions = shard.analyser.metering.samples.evictions
        principalEvictions = shard.analyser.metering.principals.evictions
        sampleBytes = UInt64(shard.analyser.metering.samples.bytes)
        patternOverflow = shard.analyser.metering.patterns.overflow
        activityLost = shard.analyser.metering.activity.lost
        unsettled = shard.analyser.metering.usage.time.unsettled
        memory = shard.memory
        let counts = shard.analyser.metering.octaves
        for index in octaves.indices { octaves[index] = counts[index] }
    }
}
