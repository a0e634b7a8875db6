// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc
import Metering
import Pipeline
import Platform
import Quotas
import SQLiteStore
import ServiceLifecycle
import Settings
import Synchronization

/// How the history fares.
struct HistoryFacts: Sendable {
    /// Bytes in use.
    var bytes: Int64 = 0
    /// Lines written, and minutes that could not be.
    var rows: UInt64 = 0, failures: UInt64 = 0
    /// Why not, the last time.
    var problem: String?
}

/// The daemon's thread that keeps minutes: it asks the workers every few seconds who ran what, and writes each minute when
/// it is over, so that a crash loses a minute at most.
final class HistoryService: Service {
    let store: any HistoryStore
    private let desk: LiveDesk
    private let limits: (seconds: Int64, bytes: Int64)
    /// The hash of a user, and whether names and texts are kept.
    private let hash: @Sendable (String) -> String
    private let privacy: Privacy
    private let runner: Runner
    private var clock: any ServiceClock { runner.clock }
    private let state = Mutex(HistoryFacts())

    /// Seconds between two questions.
    private static let pause: Int64 = 5
    /// Pairs kept of one minute, and of one user; what is beyond that is added to one line of the same user.
    private static let mostPairs = 50_000
    private static let mostOfOne = 1000

    private struct Key: Hashable {
        var user: String?
        var database: String?
        var fingerprint: Fingerprint
    }

    init(
        _ desk: LiveDesk,
        store: any HistoryStore,
        limits: (seconds: Int64, bytes: Int64),
        privacy: Privacy,
        clock: any ServiceClock = SystemClock(),
        hash: @escaping @Sendable (String) -> String
    ) {
        runner = Runner(clock)
        (self.desk, self.store, self.limits, self.privacy, self.hash) = (desk, store, limits, privacy, hash)
    }

    /// The service that options ask for; `nil`: none, or there is no place to keep it.
    convenience init?(
        _ desk: LiveDesk,
        _ operation: OperationConfiguration,
        _ keeping: StoreConfiguration,
        _ quotas: QuotaService?,
        key: [UInt8]?
    ) {
        guard !operation.noHistory, let folder = keeping.usableFolder else { return nil }
        let secret = key ?? QuotaState.secret(in: folder) ?? UserHasher.newSecret()
        let hasher = quotas?.hasher ?? UserHasher(secret: secret, cluster: keeping.cluster)
        let store: MinuteHistory
        do throws(HistoryError) {
            store = try MinuteHistory(
                path: folder + "/" + HistoryReport.fileName,
                isPatient: true,
                report: StateHealth.report
            )
        } catch {
            Log.warning("history.not_kept", error.description)
            return nil
        }
        self.init(
            desk,
            store: store,
            limits: operation.historyLimits,
            privacy: operation.privacy,
            hash: { hasher.key(of: $0).description }
        )
    }

    var facts: HistoryFacts { state.withLock { $0 } }

    /// The hash of a user.
    func userID(_ name: String) -> String { hash(name) }

    /// Keeps minutes until the end; what is there then is written.
    func run() async {
        await runner.run("no thread for the history: nothing is kept") { [self] in serve() }
    }

    private func serve() {
        var minute = seconds() / 60
        var pairs: [Key: (text: [UInt8], counts: ActivityCounts)] = [:]
        var held: [String: Int] = [:]
        var (asked, pruned) = (seconds(), Int64.min)
        while true {
            let isLast = runner.isFinished
            let now = seconds()
            // Just after the minute is over, so that what is asked then is all of it.
            if now - asked >= Self.pause || now / 60 != asked / 60 || now < asked || isLast {
                asked = now
                collect(&pairs, &held)
                if seconds() / 60 != minute || isLast {
                    write(pairs, minute)
                    (pairs, held) = ([:], [:])
                    minute = seconds() / 60
                }
                if now / 3600 != pruned {
                    pruned = now / 3600
                    prune()
                } else if minute % 5 == 0, now % 60 < Self.pause {
                    prune()
                }
            }
            if isLast { return }
            // To the beginning of the next second: minutes are to be whole.
            runner.rest(1 - Double(clock.time().nanoseconds % 1_000_000_000) / 1e9 + 0.002)
        }
    }

    private func collect(
        _ pairs: inout [Key: (text: [UInt8], counts: ActivityCounts)],
        _ held: inout [String: Int]
    ) {
        for record in desk.takeActivity() {
            var key = Key(user: record.user, database: record.database, fingerprint: record.fingerprint)
            var text = record.text
            let user = record.user ?? ""
            if pairs[key] == nil {
                if pairs.count >= Self.mostPairs || held[user, default: 0] >= Self.mostOfOne {
                    key.fingerprint = Self.otherPattern
                    text = Array("(other patterns)".utf8)
                } else {
                    held[user, default: 0] += 1
                }
            }
            pairs[key, default: (text, ActivityCounts())].counts.add(record.counts)
        }
    }

    private static let otherPattern = Fingerprint(high: 0, low: 0)

    private func write(_ pairs: [Key: (text: [UInt8], counts: ActivityCounts)], _ minute: Int64) {
        let rows = pairs.map { key, entry in
            var sums = HistorySums()
            let counts = entry.counts
            sums.calls = Int64(clamping: counts.calls)
            sums.errors = Int64(clamping: counts.errors)
            sums.uncertain = Int64(clamping: counts.uncertain)
            sums.rows = Int64(clamping: counts.rows)
            sums.bytes = Int64(clamping: counts.bytes)
            (sums.low, sums.high) = (counts.costLow, counts.cost)
            sums.time = Int64(clamping: counts.durations.sum)
            sums.longest = Int64(clamping: counts.durations.longest)
            return HistoryRow(
                minute: minute,
                user: key.user.map(hash),
                name: privacy.keepsNames ? key.user : nil,
                database: key.database,
                fingerprint: key.fingerprint,
                text: privacy.keepsTexts ? String(decoding: entry.text, as: UTF8.self) : nil,
                sums: sums,
                durations: counts.durations.text
            )
        }
        do throws(HistoryError) {
            try store.append(rows)
            state.withLock { state in
                state.rows += UInt64(rows.count)
                state.problem = nil
            }
        } catch {
            let reason = error.description
            state.withLock { state in
                state.failures += 1
                state.problem = reason
            }
            Log.warning("history.not_written", "a minute is lost: \(reason)")
        }
    }

    private func prune() {
        do throws(HistoryError) {
            let bytes = try store.prune(before: (seconds() - limits.seconds) / 60, limit: limits.bytes)
            state.withLock { $0.bytes = bytes }
        } catch {
            let reason = error.description
            state.withLock { $0.problem = reason }
        }
    }

    private func seconds() -> Int64 { clock.time().nanoseconds / 1_000_000_000 }

    static func minute() -> Int64 { SystemClock.time().nanoseconds / 60_000_000_000 }
}
