// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Keeps one node's ledger and the store that all nodes share in step.
///
/// Whatever the store does, usage stands here until it is stored: a store that is away loses nothing and delays nobody.
public struct LedgerSync: Sendable {
    /// What is known.
    public internal(set) var ledger = NodeLedger()
    /// How far the store's clock is ahead of this machine's, in seconds; small differences count as none.
    public private(set) var clockOffset: Int64 = 0
    /// Whether another live process writes under this node's name: nothing is stored while it does.
    public private(set) var isContested = false
    /// Whether other nodes share the store.
    public private(set) var hasPeers = false
    /// How often the store lost everything and was given the totals again.
    public private(set) var losses: UInt64 = 0

    let store: any LedgerStore
    let node: String
    /// This process: another one with the same name is told from it.
    let incarnation: String
    private var epoch: String?
    /// What this node gave back to users, to be said again to a store that lost it.
    private var corrections: [RegisterKey: Usage] = [:]
    private var nextVisit: Int64 = .min / 2
    private var isHeld = false
    /// Of the lease on the name: another one means that the name was free for a while.
    private var nameToken: UInt64?

    /// How long a name stays taken after its process died, in seconds.
    static let nameLease: Int64 = 5
    /// Registers that are exchanged at once.
    private static let batch = 4000

    init(_ store: any LedgerStore, node: String, incarnation: String) {
        (self.store, self.node, self.incarnation) = (store, node, incarnation)
    }

    /// The time that windows go by, in seconds since the epoch, when this machine's clock shows `local`.
    public func time(_ local: Timestamp) -> Int64 {
        WindowKind.floor(local.nanoseconds, 1_000_000_000) / 1_000_000_000 + clockOffset
    }

    mutating func add(_ slots: [SlotUsage], of user: UserKey, to windows: [WindowKind], _ zone: ZoneTable, now: Int64) {
        let offset = clockOffset
        let shifted = offset == 0 ? slots : slots.map { SlotUsage(start: $0.start + offset, usage: $0.usage) }
        ledger.add(shifted, of: user, to: windows, zone, now: now)
    }

    /// What is to be done now and then: the name, the clock, whether the store is still the same.
    mutating func visit(_ local: Timestamp) throws(LedgerError) {
        let seconds = local.nanoseconds / 1_000_000_000
        // A clock that was set back must not put it off.
        guard seconds >= nextVisit || seconds < nextVisit - 60 || !isHeld else { return }
        nextVisit = seconds + 2
        let token = try store.lease("node-" + node, holder: incarnation, seconds: Self.nameLease)
        isHeld = token != nil
        isContested = !isHeld
        guard let token else { return }
        if let time = try store.time() {
            let offset = (time.nanoseconds - local.nanoseconds) / 1_000_000_000
            clockOffset = abs(offset) < 2 ? 0 : offset
        }
        let name = try store.epoch()
        let wasAway = nameToken.map { $0 != token } ?? false
        nameToken = token
        if epoch == name, wasAway { ledger.doubtAll() }
        if let epoch, epoch != name {
            losses &+= 1
            ledger.rewriteAll()
            corrections = corrections.filter { $0.key.forgotten > seconds }
            try store.correct(corrections.map { RegisterWrite($0.key, $0.value) })
        }
        if epoch != name { try store.keep(String(seconds), in: "nodes", as: node) }
        epoch = name
        hasPeers = try store.all(in: "nodes").count > 1
    }

    /// Stores what is dirty and reads what others have there; returns the users whose sums may have changed.
    mutating func flush(now: Int64) throws(LedgerError) -> Set<UserKey> {
        var changed: Set<UserKey> = []
        guard isHeld else { return changed }
        // What is new is read first, and written in the next round.
        for _ in 0..<1000 {
            let (reads, writes) = ledger.takeDirty(most: Self.batch)
            guard !reads.isEmpty || !writes.isEmpty else { break }
            do throws(LedgerError) {
                if !reads.isEmpty {
                    for (key, reading) in zip(reads, try store.read(reads, of: node)) {
                        ledger.learn(key, reading, now: now)
                        changed.insert(key.user)
                    }
                }
                if !writes.isEmpty {
                    for (write, reading) in zip(writes, try store.exchange(writes, of: node)) {
                        ledger.confirm(write, reading, now: now)
                        changed.insert(write.key.user)
                    }
                }
            } catch {
                ledger.giveBack(reads + writes.map(\.key))
                throw error
            }
        }
        return changed
    }

    /// Reads registers of users who are active on other nodes, unless they were read since `since`.
    mutating func refresh(
        _ users: [(user: UserKey, windows: [WindowKind])],
        _ zone: ZoneTable,
        now: Int64,
        since: Int64
    ) throws(LedgerError) {
        var keys: [RegisterKey] = []
        for (user, windows) in users {
            ledger.watch(user, windows, zone, now: now)
            keys += ledger.stale(user, windows, zone, now: now, since: since)
        }
        for start in stride(from: 0, to: keys.count, by: Self.batch) {
            let part = Array(keys[start..<min(start + Self.batch, keys.count)])
            for (key, reading) in zip(part, try store.read(part, of: node)) { ledger.learn(key, reading, now: now) }
        }
    }

    /// Gives users' budgets back: what they used of their current windows counts as 0 from now on.
    mutating func reset(
        _ users: [(user: UserKey, windows: [WindowKind])],
        _ zone: ZoneTable,
        now: Int64
    ) throws(LedgerError) {
        for (user, windows) in users {
            var keys: [RegisterKey] = []
            for window in windows {
                for start in window.spans(at: now, zone) { keys.append(RegisterKey(user, window, at: start, zone)) }
            }
            let readings = try store.read(keys, of: MemoryLedgerStore.correction)
            var corrections: [RegisterWrite] = []
            for (key, reading) in zip(keys, readings) where reading.others != .zero {
                corrections.append(RegisterWrite(key, .zero - reading.others))
            }
            try store.correct(corrections)
            for correction in corrections { self.corrections[correction.key] = correction.total }
            for (key, reading) in zip(keys, try store.read(keys, of: node)) { ledger.learn(key, reading, now: now) }
        }
    }

    /// Gives the name back, so that a successor need not wait.
    mutating func close() throws(LedgerError) {
        guard isHeld else { return }
        isHeld = false
        try store.giveBack("node-" + node, holder: incarnation)
    }
}
