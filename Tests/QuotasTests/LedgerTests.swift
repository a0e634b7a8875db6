// SPDX-License-Identifier: Apache-2.0
import Domain
import Quotas
import Synchronization
import TestKit
import Testing

/// A store that fails as networks do: before the write, or after it.
private final class FaultyStore: LedgerStore {
    private let inner: MemoryLedgerStore
    private let random: Mutex<SplitMix64>
    private let share: Double

    init(_ inner: MemoryLedgerStore, seed: UInt64, share: Double) {
        self.inner = inner
        self.share = share
        random = Mutex(SplitMix64(seed: seed))
    }

    private func hazard<Value>(_ body: () throws(LedgerError) -> Value) throws(LedgerError) -> Value {
        let number = random.withLock { Double.random(in: 0..<1, using: &$0) }
        let failure = LedgerError.unavailable(store: "faulty", reason: "no reply")
        if number < share { throw failure }
        let value = try body()
        if number > 1 - share { throw failure }
        return value
    }

    var name: String { "faulty" }
    func time() throws(LedgerError) -> Timestamp? { nil }
    func epoch() throws(LedgerError) -> String { try inner.epoch() }
    func exchange(_ writes: [RegisterWrite], of node: String) throws(LedgerError) -> [RegisterReading] {
        try hazard { () throws(LedgerError) in try inner.exchange(writes, of: node) }
    }
    func read(_ keys: [RegisterKey], of node: String) throws(LedgerError) -> [RegisterReading] {
        try hazard { () throws(LedgerError) in try inner.read(keys, of: node) }
    }
    func correct(_ writes: [RegisterWrite]) throws(LedgerError) { try inner.correct(writes) }
    func touch(_ users: [ActiveUser], at seconds: Int64) throws(LedgerError) { try inner.touch(users, at: seconds) }
    func touched(since seconds: Int64) throws(LedgerError) -> [ActiveUser] { try inner.touched(since: seconds) }
    func lease(_ name: String, holder: String, seconds: Int64) throws(LedgerError) -> UInt64? {
        try inner.lease(name, holder: holder, seconds: seconds)
    }
    func giveBack(_ name: String, holder: String) throws(LedgerError) { try inner.giveBack(name, holder: holder) }
    func put(_ name: String, _ text: String?, seconds: Int64) throws(LedgerError) {
        try hazard { () throws(LedgerError) in try inner.put(name, text, seconds: seconds) }
    }
    func publish(_ limits: PublishedLimits, seconds: Int64) throws(LedgerError) -> Bool {
        try hazard { () throws(LedgerError) in try inner.publish(limits, seconds: seconds) }
    }
    func get(_ name: String) throws(LedgerError) -> String? { try inner.get(name) }
    func keep(_ text: String?, in list: String, as name: String) throws(LedgerError) {
        try inner.keep(text, in: list, as: name)
    }
    func all(in list: String) throws(LedgerError) -> [String: String] { try inner.all(in: list) }
}

struct LedgerTests {
    private static let start: Int64 = 1_800_000_000
    private let policy = QuotaPolicy(
        tiers: [
            Tier(
                name: "t",
                limits: [QuotaLimit(.hour, CostUnits(units: 100)), QuotaLimit(.day, CostUnits(units: 1000))]
            )
        ],
        fallback: "t"
    )

    private func user(_ number: UInt64) -> ActiveUser {
        ActiveUser(UserKey(Fingerprint(high: 3, low: number)), tier: "t")
    }
    private func at(_ seconds: Int64) -> Timestamp { Timestamp(nanoseconds: seconds * 1_000_000_000) }

    @Test func `a memory store keeps the contract of stores`() throws {
        let time = Mutex<Int64>(4_000_000_000)
        let store = MemoryLedgerStore { time.withLock { $0 } }
        try LedgerStoreContract.check(store, sleep: { seconds in time.withLock { $0 += seconds } }, reopen: { store })
    }

    @Test func `sums of four nodes are exact whatever fails, restarts included`() throws {
        let time = Mutex(Self.start)
        let shared = MemoryLedgerStore { time.withLock { $0 } }
        var random = SplitMix64(seed: 4)
        func keeper(_ node: Int, _ life: Int) -> QuotaKeeper {
            QuotaKeeper(
                FaultyStore(shared, seed: UInt64(node * 1000 + life), share: 0.2),
                node: "n\(node)",
                incarnation: "i\(life)",
                policy: policy
            )
        }
        var nodes = (0..<4).map { keeper($0, 0) }
        var lives = [0, 0, 0, 0]
        var truth: [UserKey: Int64] = [:]
        for _ in 0..<3000 {
            let now = time.withLock { $0 }
            let node = Int.random(in: 0..<4, using: &random)
            let active = user(UInt64.random(in: 0..<20, using: &random))
            let amount = Int64.random(in: -50...1000, using: &random)
            nodes[node].add(
                [SlotUsage(start: now / 10 * 10, usage: Usage(low: amount, high: amount))],
                of: active,
                at: at(now)
            )
            truth[active.user, default: 0] += amount
            if Int.random(in: 0..<3, using: &random) == 0 { _ = nodes[node].turn(at: at(now)) }
            if Int.random(in: 0..<100, using: &random) == 0 {
                // A clean restart: what was used is stored first, however often that takes.
                for _ in 0..<200 where nodes[node].sync.ledger.dirtyCount > 0 { _ = nodes[node].turn(at: at(now)) }
                nodes[node].close(at: at(now))
                lives[node] += 1
                nodes[node] = keeper(node, lives[node])
            }
        }
        let now = time.withLock { $0 }
        for node in nodes.indices {
            for _ in 0..<500 { _ = nodes[node].turn(at: at(now)) }
            #expect(nodes[node].sync.ledger.dirtyCount == 0)
        }
        #expect(nodes.reduce(0) { $0 + $1.failures } > 40, "faults were injected")
        for (user, amount) in truth {
            for window in [WindowKind.hour, .day] {
                let key = RegisterKey(user, window, at: now, .utc)
                #expect(try shared.read([key], of: "nobody").first?.others == Usage(low: amount, high: amount))
            }
        }
    }

    @Test func `two processes with one name do not write over each other`() {
        let time = Mutex(Self.start)
        let shared = MemoryLedgerStore { time.withLock { $0 } }
        var first = QuotaKeeper(shared, node: "same", incarnation: "a", policy: policy)
        var second = QuotaKeeper(shared, node: "same", incarnation: "b", policy: policy)
        for step in 0..<30 {
            let now = Self.start + Int64(step)
            time.withLock { $0 = now }
            for amount in [1, 2] as [Int64] {
                let slot = SlotUsage(start: now / 10 * 10, usage: Usage(low: amount, high: amount))
                if amount == 1 {
                    first.add([slot], of: user(1), at: at(now))
                } else {
                    second.add([slot], of: user(1), at: at(now))
                }
            }
            _ = first.turn(at: at(now))
            _ = second.turn(at: at(now))
        }
        #expect(first.problem == nil)
        #expect(second.problem?.contains("name of its own") == true)
        #expect(first.sync.ledger.usage(of: user(1).user, .hour, .utc, now: Self.start + 29).low == 30)
        // Its name is free once the other has ended: nothing it counted is lost.
        first.close(at: at(Self.start + 30))
        for step in 31..<40 { _ = second.turn(at: at(Self.start + Int64(step))) }
        #expect(second.sync.ledger.usage(of: user(1).user, .hour, .utc, now: Self.start + 29).low == 90)
    }

    @Test func `a process that slept while another one had its name adds to what that one wrote`() {
        let time = Mutex(Self.start)
        let shared = MemoryLedgerStore { time.withLock { $0 } }
        var sleeper = QuotaKeeper(shared, node: "same", incarnation: "a", policy: policy)
        var other = QuotaKeeper(shared, node: "same", incarnation: "b", policy: policy)
        func spend(_ keeper: inout QuotaKeeper, at now: Int64) {
            time.withLock { $0 = now }
            keeper.add([SlotUsage(start: now / 10 * 10, usage: Usage(low: 100, high: 100))], of: user(1), at: at(now))
            _ = keeper.turn(at: at(now))
        }
        spend(&sleeper, at: Self.start)
        // It hangs; its name becomes free, and another one takes it and ends.
        for second in 20..<25 { spend(&other, at: Self.start + Int64(second)) }
        spend(&sleeper, at: Self.start + 26)
        #expect(sleeper.problem != nil)
        other.close(at: at(Self.start + 27))
        for second in 28..<34 {
            time.withLock { $0 = Self.start + Int64(second) }
            _ = sleeper.turn(at: at(Self.start + Int64(second)))
        }
        let key = RegisterKey(user(1).user, .hour, at: Self.start, .utc)
        #expect((try? shared.read([key], of: "nobody").first?.others.low) == 700)
        #expect(sleeper.sync.ledger.usage(of: user(1).user, .hour, .utc, now: Self.start + 33).low == 700)
    }

    @Test func `late usage goes to its own window, and very late usage is counted as such`() {
        var ledger = NodeLedger()
        let user = user(1).user
        let hour = Self.start / 3600 * 3600
        let late = SlotUsage(start: hour - 20, usage: Usage(low: 5, high: 5))
        ledger.add(
            [late, SlotUsage(start: hour + 10, usage: Usage(low: 1, high: 1))],
            of: user,
            to: [.hour],
            .utc,
            now: hour + 10
        )
        #expect(ledger.usage(of: user, .hour, .utc, now: hour + 10).low == 1)
        #expect(ledger.usage(of: user, .hour, .utc, now: hour - 1).low == 5)
        ledger.add([late], of: user, to: [.hour], .utc, now: hour + 2000)
        #expect(ledger.late == 1)
        #expect(ledger.usage(of: user, .hour, .utc, now: hour - 1).low == 5)
    }

    @Test func `a sliding window forgets bit by bit, and proves only what is wholly inside`() {
        var ledger = NodeLedger()
        let user = user(1).user
        let window = WindowKind.sliding(seconds: 600)
        for step in 0..<60 {
            ledger.add(
                [SlotUsage(start: Self.start + Int64(step) * 10, usage: Usage(low: 1, high: 1))],
                of: user,
                to: [window],
                .utc,
                now: Self.start
            )
        }
        let end = Self.start + 599
        #expect(ledger.usage(of: user, window, .utc, now: end) == Usage(low: 60, high: 60))
        #expect(ledger.usage(of: user, window, .utc, now: end + 5) == Usage(low: 59, high: 60))
        #expect(ledger.usage(of: user, window, .utc, now: end + 300) == Usage(low: 30, high: 30))
        #expect(ledger.usage(of: user, window, .utc, now: end + 600) == .zero)
    }

    @Test func `a burst may be spent at once, and debt is paid back or forgiven`() {
        let limit = QuotaLimit(.burst(seconds: 300), CostUnits(units: 100))
        let tier = Tier(name: "b", limits: [limit])
        let user = user(1).user
        func utilization(after seconds: Int64, spent: Double) -> Double {
            var ledger = NodeLedger()
            let amount = CostUnits(units: spent).micro
            ledger.add(
                [SlotUsage(start: Self.start, usage: Usage(low: amount, high: amount))],
                of: user,
                to: [limit.window],
                .utc,
                now: Self.start
            )
            return Evaluation(user, tier, in: ledger, .utc, now: Self.start + seconds).utilization
        }
        #expect(abs(utilization(after: 0, spent: 100) - 1) < 0.01)
        #expect(utilization(after: 0, spent: 60) < 0.61)
        #expect(abs(utilization(after: 150, spent: 100) - 0.5) < 0.05)
        #expect(utilization(after: 0, spent: 100_000) <= 2, "debt beyond one bucket is forgiven")
        #expect(utilization(after: 310, spent: 100_000) < 1.05)
        #expect(utilization(after: 620, spent: 100_000) < 0.05)
    }

    @Test func `an account gives every unit to the ledger once`() {
        var random = SplitMix64(seed: 12)
        var account = Account()
        account.isMetered = true
        var (truth, drained) = ([Int64: Usage](), [Int64: Usage]())
        func drain() { for slot in account.drain() { drained[slot.start, default: .zero] += slot.usage } }
        var isAwake = false
        for _ in 0..<5000 {
            let seconds = Int64.random(in: -40...200, using: &random)
            let amount = Int64.random(in: -9...9, using: &random)
            let woke: Bool
            if Bool.random(using: &random) {
                woke = account.charge(amount, at: at(seconds))
                truth[(seconds >= 0 ? seconds / 10 : (seconds - 9) / 10) * 10, default: .zero].high += amount
            } else {
                woke = account.settle(amount, at: at(seconds))
                truth[(seconds >= 0 ? seconds / 10 : (seconds - 9) / 10) * 10, default: .zero].low += amount
            }
            #expect(woke == !isAwake, "somebody is told exactly when there is something new to drain")
            isAwake = true
            if Int.random(in: 0..<10, using: &random) == 0 {
                drain()
                isAwake = false
            }
        }
        drain()
        #expect(drained.filter { $0.value != .zero } == truth.filter { $0.value != .zero })
        #expect(account.hours.reduce(0) { $0 + $1.high } == truth.values.reduce(0) { $0 + $1.high })
    }
}
