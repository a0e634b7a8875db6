// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Where statements come from and go to: a client's address, without its port, and a server.
///
/// The grain by which nodes that may see the same packets divide what they book.
public struct Origin: Hashable, Sendable {
    /// The client, with port 0.
    public let client: Endpoint
    /// The server.
    public let server: Endpoint

    /// An origin; the client's port does not count.
    public init(client: Endpoint, server: Endpoint) {
        (self.client, self.server) = (Endpoint(high: client.high, low: client.low, port: 0), server)
    }

    /// A text that is the same at every node.
    public var description: String { "\(client) > \(server)" }
}

/// Which usage this node books, where mirrors overlap and several nodes may see the same packets.
///
/// Each origin is claimed in the store that nodes share, by a lease that its holder renews. Usage of an origin waits until
/// the claim is answered; then it is booked as a whole, or dropped as a whole because another node books it, or did so
/// before. A holder stops at the end of its lease by its own clock, which is before the store ends it, so nothing is ever
/// booked twice; what falls between two holders is booked by nobody, and counted here.
public struct OriginClaims: Sendable {
    /// How long a claim holds, in ms.
    public static let lease: Int64 = 15_000
    /// Before a claim that is over goes to another node, its holder may come back for so many ms.
    public static let grace: Int64 = 10_000
    /// A claim is renewed, and one of another node asked for again, after so many ms; one that was not answered sooner.
    static let renewal: Int64 = 5000
    static let retry: Int64 = 500
    /// An origin without usage is forgotten after so many ms.
    static let idle: Int64 = 60_000
    /// Slots of users that wait at most; more are dropped.
    static let mostWaiting = 100_000

    private enum Standing {
        case unknown
        /// Ours, or another's, until then.
        case own(until: Int64)
        case foreign(until: Int64)
    }

    private struct Entry {
        var standing = Standing.unknown
        /// Whether another node held it at some time: a store that forgot everything does not know that.
        var wasForeign = false
        var asked = Int64.min / 2
        var seen: Int64
        var waiting: [String: [Int64: Usage]] = [:]
    }

    private var entries: [Origin: Entry] = [:]
    /// Slots of users that wait for an answer.
    public private(set) var waitingCount = 0
    /// What other nodes book, and what found no room while it waited.
    public private(set) var elsewhere = Usage.zero, lost = Usage.zero
    /// Origins that this node books, and that others do.
    public var counts: (own: Int, foreign: Int) {
        entries.values.reduce(into: (0, 0)) { counts, entry in
            switch entry.standing {
            case .own: counts.0 += 1
            case .foreign: counts.1 += 1
            case .unknown: break
            }
        }
    }

    /// No claims.
    public init() {}

    /// Takes usage at `now` (ms of a clock that goes on while the machine sleeps); true: it is to be booked at once.
    public mutating func admit(_ usage: UserUsage, at now: Int64) -> Bool {
        guard let origin = usage.origin else { return true }
        entries[origin, default: Entry(seen: now)].seen = now
        switch entries[origin]?.standing {
        case .own(let until)? where now < until: return true
        case .foreign(let until)? where now < until: elsewhere += Self.sum(usage.slots)
        default: wait(usage, origin)
        }
        return false
    }

    private mutating func wait(_ usage: UserUsage, _ origin: Origin) {
        for slot in usage.slots {
            if entries[origin]?.waiting[usage.user]?[slot.start] == nil {
                guard waitingCount < Self.mostWaiting else {
                    lost += slot.usage
                    continue
                }
                waitingCount += 1
            }
            // In place: a copy would be of all that waits.
            entries[origin]?.waiting[usage.user, default: [:]][slot.start, default: .zero] += slot.usage
        }
    }

    /// Origins to be claimed or renewed at `now`; they count as asked.
    public mutating func due(at now: Int64) -> [Origin] {
        var found: [Origin] = []
        var idle: [Origin] = []
        for (origin, entry) in entries {
            if now - entry.seen >= Self.idle, entry.waiting.isEmpty {
                idle.append(origin)
                continue
            }
            let pause =
                switch entry.standing {
                case .own(let until), .foreign(let until): now < until ? Self.renewal : Self.retry
                case .unknown: Self.retry
                }
            guard now - entry.asked >= pause else { continue }
            found.append(origin)
        }
        for origin in idle { entries[origin] = nil }
        for origin in found { entries[origin]?.asked = now }
        return found
    }

    /// Takes the answers to questions that were put at `asked`; returns what is to be booked now.
    public mutating func settle(_ answers: [(origin: Origin, answer: ClaimAnswer)], asked: Int64) -> [UserUsage] {
        var booked: [UserUsage] = []
        for (origin, answer) in answers {
            guard var entry = entries[origin] else { continue }
            let waiting = entry.waiting.map { user, slots in
                UserUsage(user: user, slots: slots.map { SlotUsage(start: $0.key, usage: $0.value) }, origin: origin)
            }
            waitingCount -= waiting.reduce(0) { $0 + $1.slots.count }
            entry.waiting = [:]
            // What waited while another one may have booked it is not booked again.
            if answer == .own, !entry.wasForeign {
                booked += waiting
            } else {
                for usage in waiting { elsewhere += Self.sum(usage.slots) }
            }
            let until = asked + Self.lease
            entry.standing = answer == .denied ? .foreign(until: until) : .own(until: until)
            entry.wasForeign = answer == .denied
            entries[origin] = entry
        }
        return booked
    }

    /// Nobody will answer any more: what waits is lost.
    public mutating func close() {
        for (_, entry) in entries {
            for slots in entry.waiting.values { for usage in slots.values { lost += usage } }
        }
        (entries, waitingCount) = ([:], 0)
    }

    private static func sum(_ slots: [SlotUsage]) -> Usage { slots.reduce(.zero) { $0 + $1.usage } }
}
