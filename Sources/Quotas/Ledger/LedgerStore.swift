// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Why a ledger did not answer.
public enum LedgerError: Error, Equatable, CustomStringConvertible {
    /// It cannot be reached, or asked not to be: its circuit is open.
    case unavailable(store: String, reason: String)

    /// What happened, and to which store.
    public var description: String {
        switch self {
        case .unavailable(let store, let reason): "\(store) does not answer: \(reason)"
        }
    }
}

/// Somebody who was active lately: what the node that saw the name tells those that did not.
public struct ActiveUser: Sendable, Hashable {
    /// The user.
    public var user: UserKey
    /// The name of the user's tier.
    public var tier: String

    /// A user of a tier.
    public init(_ user: UserKey, tier: String) { (self.user, self.tier) = (user, tier) }
}

/// Totals beyond one node's memory: memory, a file, or Redis.
///
/// Each node writes its own absolute totals, in fields that nobody else writes, and reads the sum of the others': so a
/// write that is done twice changes nothing, and a reply that is lost loses nothing. Calls may take a second and come
/// from one service's thread, never from a worker.
public protocol LedgerStore: Sendable {
    /// What it is, for people.
    var name: String { get }
    /// How it stands, for people, such as the state of a circuit breaker; empty where there is nothing to tell.
    var condition: String { get }
    /// The store's clock, which all nodes share; `nil`: it has none, and the machine's holds.
    func time() throws(LedgerError) -> Timestamp?
    /// What this store calls itself since it was made: another answer than before means that it lost everything.
    func epoch() throws(LedgerError) -> String

    /// Stores own totals and reads what is there, in one go: the answers are in the order of `writes`.
    func exchange(_ writes: [RegisterWrite], of node: String) throws(LedgerError) -> [RegisterReading]
    /// Reads registers, in their order.
    func read(_ keys: [RegisterKey], of node: String) throws(LedgerError) -> [RegisterReading]
    /// Sets what is added to everybody's totals of registers: how a budget is given back. 0 takes it away.
    func correct(_ writes: [RegisterWrite]) throws(LedgerError)
    /// Says that users were active at `seconds` since the epoch, and in which tier.
    func touch(_ users: [ActiveUser], at seconds: Int64) throws(LedgerError)
    /// Users who were active at `seconds` or later, each once, with the latest tier.
    func touched(since seconds: Int64) throws(LedgerError) -> [ActiveUser]

    /// Takes or renews a lease by name for `holder`; returns the fencing token, or `nil` while another one holds it.
    ///
    /// The token grows whenever the lease changes hands.
    func lease(_ name: String, holder: String, seconds: Int64) throws(LedgerError) -> UInt64?
    /// Takes or renews many leases without tokens, in one go; the answers are in their order.
    ///
    /// Where another one held it, it is given only to who asks again `grace` seconds after the first time that it was free:
    /// whoever could not reach the store, as nobody could, has that long to come back.
    func claim(_ names: [String], holder: String, seconds: Int64, grace: Int64) throws(LedgerError) -> [ClaimAnswer]
    /// Gives a lease back; one that another holds stays.
    func giveBack(_ name: String, holder: String) throws(LedgerError)

    /// Publishes the limits that were decided, for `seconds`; false, and nothing is stored, where newer ones stand.
    ///
    /// Comparing and storing are one step: a node that decided before, and was paused meanwhile, must not overwrite what
    /// its successor decided. They are read with ``get(_:)`` by ``PublishedLimits/name``.
    func publish(_ limits: PublishedLimits, seconds: Int64) throws(LedgerError) -> Bool
    /// Keeps a text by name, for `seconds`; `nil`: takes it away.
    func put(_ name: String, _ text: String?, seconds: Int64) throws(LedgerError)
    /// The text; `nil`: there is none, or its time is over.
    func get(_ name: String) throws(LedgerError) -> String?

    /// Keeps a text in a list of `list`, by name, until it is taken away with `nil`.
    func keep(_ text: String?, in list: String, as name: String) throws(LedgerError)
    /// All texts of a list by name.
    func all(in list: String) throws(LedgerError) -> [String: String]
}

extension LedgerStore {
    /// Nothing to tell.
    public var condition: String { "" }

    /// One lease after the other, from texts that end by themselves: for stores of one machine.
    public func claim(
        _ names: [String],
        holder: String,
        seconds: Int64,
        grace: Int64
    ) throws(LedgerError) -> [ClaimAnswer] {
        var answers: [ClaimAnswer] = []
        for name in names { answers.append(try claim(name, holder, seconds, grace)) }
        return answers
    }

    private func claim(
        _ name: String,
        _ holder: String,
        _ seconds: Int64,
        _ grace: Int64
    ) throws(LedgerError) -> ClaimAnswer {
        let last = try get("holder of " + name)
        let isOther = last != nil && last != holder
        if isOther {
            if try get("lease of " + name) != nil { return .denied }
            if try get("wish for " + name) == nil {
                try put("wish for " + name, holder, seconds: 3 * grace)
                try put("early for " + name, holder, seconds: grace)
            }
            if try get("early for " + name) != nil { return .denied }
        }
        try put("holder of " + name, holder, seconds: ClaimAnswer.memory)
        try put("lease of " + name, holder, seconds: seconds)
        return isOther ? .taken : .own
    }
}

/// Who holds a lease that was claimed.
public enum ClaimAnswer: Sendable, Hashable {
    /// Another one.
    case denied
    /// The one who asked, after another one.
    case taken
    /// The one who asked, and nobody else since ``memory`` seconds.
    case own

    /// How long a store remembers who held a lease last, in seconds.
    public static let memory: Int64 = 86_400
}
