// SPDX-License-Identifier: Apache-2.0
import Analytics
import Costs
import Domain
import Quotas
import Synchronization

@testable import Daemon
@testable import SQLiteStore

/// Whether a fake store works, fails, or does not answer.
final class Health: Sendable {
    let gate = Gate()
    private let failing = Atomic<Bool>(false)
    private let count = Atomic<Int>(0)

    var isFailing: Bool {
        get { failing.load(ordering: .relaxed) }
        set { failing.store(newValue, ordering: .relaxed) }
    }

    /// How often it was asked.
    var calls: Int { count.load(ordering: .relaxed) }

    func check<Failure: Error>(_ failure: @autoclosure () -> Failure) throws(Failure) {
        count.add(1, ordering: .relaxed)
        gate.pass()
        if isFailing { throw failure() }
    }
}

/// A ledger in memory that may fail or hang.
final class FakeLedgerStore: LedgerStore {
    let health = Health()
    let memory: MemoryLedgerStore

    init(_ clock: FakeClock) { memory = MemoryLedgerStore { clock.time().nanoseconds / 1_000_000_000 } }

    private func check() throws(LedgerError) {
        try health.check(LedgerError.unavailable(store: "fake", reason: "it was told to"))
    }

    var name: String { "fake" }
    func time() throws(LedgerError) -> Timestamp? { nil }
    func epoch() throws(LedgerError) -> String {
        try check()
        return try memory.epoch()
    }
    func exchange(_ writes: [RegisterWrite], of node: String) throws(LedgerError) -> [RegisterReading] {
        try check()
        return try memory.exchange(writes, of: node)
    }
    func read(_ keys: [RegisterKey], of node: String) throws(LedgerError) -> [RegisterReading] {
        try check()
        return try memory.read(keys, of: node)
    }
    func correct(_ writes: [RegisterWrite]) throws(LedgerError) {
        try check()
        try memory.correct(writes)
    }
    func touch(_ users: [ActiveUser], at seconds: Int64) throws(LedgerError) {
        try check()
        try memory.touch(users, at: seconds)
    }
    func touched(since seconds: Int64) throws(LedgerError) -> [ActiveUser] {
        try check()
        return try memory.touched(since: seconds)
    }
    func lease(_ name: String, holder: String, seconds: Int64) throws(LedgerError) -> UInt64? {
        try check()
        return try memory.lease(name, holder: holder, seconds: seconds)
    }
    func giveBack(_ name: String, holder: String) throws(LedgerError) {
        try check()
        try memory.giveBack(name, holder: holder)
    }
    func publish(_ limits: PublishedLimits, seconds: Int64) throws(LedgerError) -> Bool {
        try check()
        return try memory.publish(limits, seconds: seconds)
    }
    func put(_ name: String, _ text: String?, seconds: Int64) throws(LedgerError) {
        try check()
        try memory.put(name, text, seconds: seconds)
    }
    func get(_ name: String) throws(LedgerError) -> String? {
        try check()
        return try memory.get(name)
    }
    func keep(_ text: String?, in list: String, as name: String) throws(LedgerError) {
        try check()
        try memory.keep(text, in: list, as: name)
    }
    func all(in list: String) throws(LedgerError) -> [String: String] {
        try check()
        return try memory.all(in: list)
    }
}

/// A history that remembers what was written, and may fail or hang.
final class FakeHistoryStore: HistoryStore {
    let health = Health()
    let rows = Shared<[HistoryRow]>([])
    let prunes = Shared<[(before: Int64, limit: Int64)]>([])

    private func check() throws(HistoryError) {
        try health.check(HistoryError(path: "fake", reason: "it was told to"))
    }

    func append(_ rows: [HistoryRow]) throws(HistoryError) {
        try check()
        self.rows.change { $0 += rows }
    }
    func prune(before minute: Int64, limit: Int64) throws(HistoryError) -> Int64 {
        try check()
        prunes.change { $0.append((minute, limit)) }
        return 4096
    }
    func groups(
        _ question: HistoryQuestion
    ) throws(HistoryError) -> (groups: [HistoryGroup], total: HistorySums, count: Int) { ([], HistorySums(), 0) }
    func trend(
        _ question: HistoryQuestion,
        step: Int64
    ) throws(HistoryError) -> [(minute: Int64, sums: HistorySums)] { [] }
    func trends(
        of patterns: [Fingerprint],
        from: Int64,
        to: Int64,
        step: Int64
    ) throws(HistoryError) -> [Fingerprint: [Int64: HistorySums]] { [:] }
    func span() throws(HistoryError) -> (first: Int64, last: Int64)? { nil }
}

/// Prices in memory that may fail or hang.
final class FakeCostStore: CostStore {
    let health = Health()
    let memory = MemoryCostStore()

    private func check() throws(CostStoreError) {
        try health.check(CostStoreError.unavailable(store: "fake", reason: "it was told to"))
    }

    var name: String { "fake" }
    func epoch() throws(CostStoreError) -> String { "fake" }
    func prices(of keys: [Fingerprint]) throws(CostStoreError) -> [StoredPrice] {
        try check()
        return memory.prices(of: keys)
    }
    func store(_ prices: [StoredPrice]) throws(CostStoreError) {
        try check()
        memory.store(prices)
    }
    func remove(_ keys: [Fingerprint]) throws(CostStoreError) {
        try check()
        memory.remove(keys)
    }
    func scan(_ take: (StoredPrice) -> Bool) throws(CostStoreError) {
        try check()
        memory.scan(take)
    }
    func claim(_ key: Fingerprint, seconds: Int) throws(CostStoreError) -> Bool {
        try check()
        return true
    }
}
