// SPDX-License-Identifier: Apache-2.0
public import Domain
import Synchronization

/// A ledger that ends with the process: for one node, and for tests of several within one process.
public final class MemoryLedgerStore: LedgerStore {
    private struct State {
        var registers: [RegisterKey: [String: Usage]] = [:]
        var touched: [UserKey: (seconds: Int64, tier: String)] = [:]
        var leases: [String: (holder: String, until: Int64, token: UInt64)] = [:]
        var texts: [String: (text: String, until: Int64)] = [:]
        var lists: [String: [String: String]] = [:]
    }

    private let state = Mutex(State())
    private let clock: @Sendable () -> Int64
    private let epochName: String

    /// The field of corrections: no node has this name.
    public static let correction = "!"

    /// An empty ledger; `clock` tells seconds since the epoch.
    public init(epoch: String = "memory", clock: @escaping @Sendable () -> Int64) {
        self.clock = clock
        epochName = epoch
    }

    /// `memory`.
    public var name: String { "memory" }
    /// None: it is on the same machine.
    public func time() throws(LedgerError) -> Timestamp? { nil }
    /// The same for as long as the process lives.
    public func epoch() throws(LedgerError) -> String { epochName }

    /// Stores own totals and reads what is there.
    public func exchange(_ writes: [RegisterWrite], of node: String) throws(LedgerError) -> [RegisterReading] {
        let now = clock()
        return state.withLock { state in
            if state.registers.count > Self.many { state.registers = state.registers.filter { $0.key.forgotten > now } }
            for write in writes { state.registers[write.key, default: [:]][node] = write.total }
            return writes.map { Self.reading(state, $0.key, node) }
        }
    }

    /// Registers or texts beyond this make it look for old ones.
    private static let many = 1 << 20

    /// Reads registers.
    public func read(_ keys: [RegisterKey], of node: String) throws(LedgerError) -> [RegisterReading] {
        state.withLock { state in keys.map { Self.reading(state, $0, node) } }
    }

    private static func reading(_ state: State, _ key: RegisterKey, _ node: String) -> RegisterReading {
        var reading = RegisterReading()
        for (name, total) in state.registers[key] ?? [:] {
            if name == node { reading.own = total } else { reading.others += total }
        }
        return reading
    }

    /// Sets what is added to everybody's totals.
    public func correct(_ writes: [RegisterWrite]) throws(LedgerError) {
        state.withLock { state in
            for write in writes { state.registers[write.key, default: [:]][Self.correction] = write.total }
        }
    }

    /// Says that users were active.
    public func touch(_ users: [ActiveUser], at seconds: Int64) throws(LedgerError) {
        state.withLock { state in for active in users { state.touched[active.user] = (seconds, active.tier) } }
    }

    /// Users who were active since.
    public func touched(since seconds: Int64) throws(LedgerError) -> [ActiveUser] {
        state.withLock { state in
            state.touched.filter { $0.value.seconds >= seconds }.map { ActiveUser($0.key, tier: $0.value.tier) }
        }
    }

    /// Takes or renews a lease.
    public func lease(_ name: String, holder: String, seconds: Int64) throws(LedgerError) -> UInt64? {
        let now = clock()
        return state.withLock { state in
            let known = state.leases[name]
            if let known, known.holder != holder, known.until > now { return nil }
            let isSame = known?.holder == holder && (known?.until ?? 0) > now
            let token = isSame ? known?.token ?? 1 : max((known?.token ?? 0) + 1, UInt64(clamping: now))
            state.leases[name] = (holder, now + seconds, token)
            return token
        }
    }

    /// Gives a lease back.
    public func giveBack(_ name: String, holder: String) throws(LedgerError) {
        state.withLock { state in
            if let known = state.leases[name], known.holder == holder {
                state.leases[name] = ("", 0, known.token)
            }
        }
    }

    /// Publishes limits unless newer ones stand.
    public func publish(_ limits: PublishedLimits, seconds: Int64) throws(LedgerError) -> Bool {
        let now = clock()
        return state.withLock { state in
            if let standing = state.texts[PublishedLimits.name], standing.until > now,
                limits.isOutdated(by: standing.text, seconds: seconds)
            {
                return false
            }
            state.texts[PublishedLimits.name] = (limits.text, now + seconds)
            return true
        }
    }

    /// Keeps a text for a time.
    public func put(_ name: String, _ text: String?, seconds: Int64) throws(LedgerError) {
        let now = clock()
        state.withLock { state in
            if state.texts.count > Self.many { state.texts = state.texts.filter { $0.value.until > now } }
            state.texts[name] = text.map { ($0, now + seconds) }
        }
    }

    /// The text, if its time is not over.
    public func get(_ name: String) throws(LedgerError) -> String? {
        let now = clock()
        return state.withLock { state in state.texts[name].flatMap { $0.until > now ? $0.text : nil } }
    }

    /// Keeps a text in a list.
    public func keep(_ text: String?, in list: String, as name: String) throws(LedgerError) {
        state.withLock { $0.lists[list, default: [:]][name] = text }
    }

    /// All texts of a list.
    public func all(in list: String) throws(LedgerError) -> [String: String] {
        state.withLock { $0.lists[list] ?? [:] }
    }
}
