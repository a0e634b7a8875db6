// SPDX-License-Identifier: Apache-2.0
import Domain
import Pipeline
import Quotas
import RedisClient
import Reports
import Settings
import Synchronization

/// All that can be asked of a running daemon: what the local socket, the page and the metrics have in common.
final class DaemonView: Sendable {
    let desk: LiveDesk
    let pricing: PricingService?
    let quotas: QuotaService?
    let history: HistoryService?
    let privacy: Privacy
    private let facts: Mutex<DaemonFacts>
    private let cached = Mutex<(snapshot: LiveSnapshot, taken: Double)?>(nil)

    /// Pages share a snapshot of this age, in seconds: workers are not asked for each of them.
    private static let freshness = 2.0

    init(
        desk: LiveDesk,
        facts: DaemonFacts,
        pricing: PricingService?,
        quotas: QuotaService?,
        history: HistoryService?,
        privacy: Privacy
    ) {
        (self.desk, self.pricing, self.quotas, self.history) = (desk, pricing, quotas, history)
        self.privacy = privacy
        self.facts = Mutex(facts)
    }

    /// What the daemon is, as of now.
    var now: DaemonFacts {
        var found = facts.withLock { $0 }
        found.unknownSessions = desk.unknownCount
        found.pricing = pricing?.status
        found.quotas = quotas?.facts
        return found
    }

    func withFacts(_ body: (inout DaemonFacts) -> Void) { facts.withLock { body(&$0) } }

    /// What the workers saw, a moment ago at most.
    func snapshot() -> LiveSnapshot {
        let now = Supervisor.now()
        if let known = cached.withLock({ $0 }), now - known.taken < Self.freshness { return known.snapshot }
        let fresh = desk.snapshot()
        cached.withLock { $0 = (fresh, now) }
        return fresh
    }

    /// Hashes and names of users, a line each: for who may open the local socket.
    var names: [UInt8] {
        let known = quotas?.withState { $0.names } ?? [:]
        var lines = known.map { "\($0.key.description)\t\($0.value)\n" }
        if quotas == nil {
            lines = snapshot().result.standings.keys.map { "\(userID($0))\t\($0)\n" }
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

    /// For a scrape.
    var metrics: DaemonMetrics {
        var redis: [(store: String, status: RedisStatus)] = []
        if let status = pricing?.redis { redis.append(("prices", status)) }
        if let status = quotas?.redis { redis.append(("ledger", status)) }
        return DaemonMetrics(
            census: desk.census(),
            facts: now,
            quotas: quotas?.census(),
            enforcement: quotas?.enforcementSummary,
            redis: redis,
            history: history?.facts,
            showsNames: privacy.tellsNames
        )
    }
}
