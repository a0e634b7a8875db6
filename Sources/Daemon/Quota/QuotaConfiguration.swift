// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc
import Pipeline
import Platform
import Quotas
import RedisClient
import RedisStore
import SQLiteStore
import Settings

/// Whether and where quotas are kept.
public struct QuotaConfiguration: Sendable {
    /// Where limits are set.
    public var backends = BackendConfiguration()
    /// Keep no quotas: usage is reported, and nobody is judged or limited.
    public var noQuotas = false
    /// Book all that is seen, whatever other nodes see.
    public var noClaims = false
    /// How long limits outlive a daemon that died, in seconds.
    public var lease: Int64 = 60
    /// This node's name in the ledger; `nil`: made once, kept with the state.
    public var node: String?

    /// Quotas on this node, which nothing enforces.
    public init() {}

    /// The service, and what sets limits; `nil` where quotas are off.
    func services(
        _ pool: WorkerPool,
        _ judgement: PolicySettings,
        _ keeping: StoreConfiguration,
        taps: String,
        showsNames: Bool
    ) throws -> (QuotaService, EnforcementService?)? {
        guard !noQuotas else { return nil }
        let folder = keeping.usableFolder
        let secret = judgement.key ?? folder.flatMap { QuotaState.secret(in: $0) } ?? UserHasher.newSecret()
        let hasher = UserHasher(secret: secret, cluster: keeping.cluster)
        let name =
            node ?? folder.flatMap { QuotaState.node(in: $0) } ?? String(UInt64.random(in: .min ... .max), radix: 16)
        let store = try openLedger(keeping, folder, isShared: judgement.key != nil)
        let trail = AuditTrail(folder: folder)
        let service = QuotaService(
            pool,
            store: store,
            node: name + "/" + taps,
            policy: judgement.policy,
            hasher: hasher,
            trail: trail,
            lease: lease,
            claims: store is RedisLedgerStore && !noClaims,
            showsNames: showsNames
        )
        let backends = backends
        let enforcement =
            backends.isEmpty
            ? nil
            : EnforcementService(service, hasher: hasher, trail: trail, node: name, lease: lease) {
                backends.make(folder: folder)
            }
        if let enforcement { service.attach(enforcement) }
        if keeping.redis != nil, judgement.key == nil {
            service.note(problem: Self.noKey, of: "key")
            Log.warning("quota.no_key", Self.noKey)
        }
        return (service, enforcement)
    }

    private static let noKey =
        "quotas are kept on this node only: nodes that share --redis need one 'quota.key' in their configuration "
        + "('openssl rand -hex 16')"

    private func openLedger(_ keeping: StoreConfiguration, _ folder: String?, isShared: Bool) throws -> any LedgerStore
    {
        if let url = keeping.redis, isShared {
            do {
                let options = try RedisOptions(url: url, password: Output.environment("REDISCLI_AUTH"))
                return try RedisLedgerStore(options, cluster: keeping.cluster)
            } catch {
                throw LedgerError.unavailable(store: "Redis", reason: "\(error)")
            }
        }
        if let folder {
            do throws(LedgerError) {
                return try SQLiteLedgerStore(path: folder + "/ledger.sqlite", report: StateHealth.report)
            } catch {
                StateHealth.note(.unusable("quotas are kept in memory only: \(error)"), folder + "/ledger.sqlite")
            }
        }
        return MemoryLedgerStore { SystemClock.time().nanoseconds / 1_000_000_000 }
    }
}
