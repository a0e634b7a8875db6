// SPDX-License-Identifier: Apache-2.0
import Domain
import Metering
import Packets
import Pipeline
import Platform
import PostgresWire
import Quotas
import RedisClient
import Reports
import Settings
import Synchronization
import Verification

/// All that can be asked of a running daemon: what the local socket, the page and the metrics have in common.
final class DaemonView: Sendable {
    let desk: LiveDesk
    let pricing: PricingService
    let quotas: QuotaService?
    let history: HistoryService?
    let privacy: Privacy
    /// Whether poolers were named whose connections to servers are passed over.
    let passesOver: Bool
    /// What servers counted against what was seen, where servers are asked for it.
    let verification = Mutex<[VerificationFacts]?>(nil)
    /// The control socket of the relay whose copies are read; `nil`: packets are.
    let relay: String?
    private let facts: Mutex<DaemonFacts>
    private let kept = Mutex(Kept())

    /// What pages share, so that workers are not asked for each of them.
    private struct Kept {
        var snapshot = Recent<LiveSnapshot>(), census = Recent<LiveCensus>(),
            counts = Recent<[String: PrincipalCounts]>(), sessions = Recent<SessionCounts>()
    }

    init(
        desk: LiveDesk,
        facts: DaemonFacts,
        pricing: PricingService,
        quotas: QuotaService?,
        history: HistoryService?,
        privacy: Privacy,
        passesOver: Bool,
        relay: String?
    ) {
        (self.desk, self.pricing, self.quotas, self.history) = (desk, pricing, quotas, history)
        (self.privacy, self.passesOver, self.relay) = (privacy, passesOver, relay)
        self.facts = Mutex(facts)
    }

    /// What the daemon is, as of now.
    var now: DaemonFacts {
        var found = facts.withLock { $0 }
        found.unknownSessions = desk.unknownCount
        found.pricing = pricing.status
        found.quotas = quotas?.facts
        found.stateProblems = StateHealth.problems
        found.memoryTaken = ProcessMemory.resident
        found.verification = verification.withLock { $0 }
        return found
    }

    func withFacts(_ body: (inout DaemonFacts) -> Void) { facts.withLock { body(&$0) } }

    /// What the workers saw of patterns, a moment ago at most; it takes long where there are many.
    func snapshot() -> LiveSnapshot { kept.withLock { $0.snapshot.value(desk.snapshot()) } }

    /// The workers' plain counts, a moment ago at most.
    func census() -> LiveCensus { kept.withLock { $0.census.value(desk.census()) } }

    /// How many sessions are open, a moment ago at most.
    func sessions() -> SessionCounts { kept.withLock { $0.sessions.value(desk.sessionCounts()) } }

    /// What each user did, a moment ago at most.
    func counts() -> [String: PrincipalCounts] { kept.withLock { $0.counts.value(desk.counts()) } }

    /// Hashes and names of users, a line each: for who may open the local socket.
    var names: [UInt8] {
        let known = quotas?.withState { $0.names } ?? [:]
        var lines = known.map { "\($0.key.description)\t\($0.value)\n" }
        if quotas == nil {
            lines = counts().keys.map { "\(userID($0))\t\($0)\n" }
        }
        return Array(lines.sorted().joined().utf8)
    }

    /// The hash of a user.
    func userID(_ name: String) -> String {
        quotas?.hasher.key(of: name).description ?? history?.userID(name) ?? "–"
    }

    /// The name of a user where names are shown, and it was seen.
    func name(ofUser id: String?) -> String? {
        guard privacy.keepsNames, let id, let key = UserKey(id) else { return nil }
        return quotas?.name(of: key)
    }

    /// What was seen up to now, to be compared with what a server counted; `nil` if a worker does not answer.
    func seen() -> SeenSnapshot? {
        let time = SystemClock.time()
        guard let calls = desk.seenCalls(), let connections = desk.seenConnections() else { return nil }
        let census = desk.census()
        guard census.missing == 0 else { return nil }
        let (capture, tcp, sessions) = (census.capture, census.reassembly, census.sessions)
        return SeenSnapshot(
            time: Double(time.nanoseconds) / 1e9,
            isRelay: relay != nil,
            passesOver: passesOver || desk.passesOver,
            calls: calls,
            connections: connections,
            losses: [
                .dropped: capture.kernelDropped &+ capture.interfaceDropped, .truncated: capture.truncatedPackets,
                .relay: capture.relayDroppedRecords, .shed: capture.shedSegments, .gaps: tcp.gaps,
                .lostSync: sessions.lostSync,
            ],
            encryptedSessions: sessions.encrypted
        )
    }

    /// For a scrape.
    var metrics: DaemonMetrics {
        var redis: [(store: String, status: RedisStatus)] = []
        if let status = pricing.redis { redis.append(("prices", status)) }
        if let status = quotas?.redis { redis.append(("ledger", status)) }
        return DaemonMetrics(
            census: desk.census(),
            facts: now,
            quotas: quotas?.census(),
            enforcement: quotas?.enforcementSummary,
            redis: redis,
            history: history?.facts,
            showsNames: privacy.tellsNames,
            relay: relay
        )
    }
}

/// A value that is as good as new for two seconds.
private struct Recent<Value> {
    private var known: (value: Value, taken: Double)?

    mutating func value(_ fresh: @autoclosure () -> Value) -> Value {
        let now = SystemClock.now()
        if let known, now - known.taken < 2 { return known.value }
        let value = fresh()
        known = (value, now)
        return value
    }
}
