// SPDX-License-Identifier: Apache-2.0
import Costs
public import Domain
import PostgresWire

/// What is known of one statement pattern in one database.
public struct PatternRecord: BitwiseCopyable {
    // First what every statement touches, so that it lies in few cache lines.
    /// Its key.
    public internal(set) var fingerprint = Fingerprint.unknown
    /// The scope's code, perhaps with ``wantsSample``: compared with every statement.
    var scopeCode: UInt64 = 0
    /// What it costs, micro-units, and until when that is good, ns since 1970.
    var price: Int64 = 0
    var priceExpires: Int64 = .min
    /// Executions finished, and their rows.
    public internal(set) var calls: UInt64 = 0, rows: UInt64 = 0
    /// It is the planner's: rows and bytes are charged on top.
    var isMeasured = false
    /// It does nothing but wait: its time is that of a held connection.
    var isWaiting = false
    /// A person set its price.
    var isFixed = false
    /// Some users have prices of their own.
    var hasOwnPrices = false
    /// The logarithm of how long it usually takes, as ``Pace`` has it; 0: not known.
    var usual: Int32 = 0
    /// What the planner said, micro-units; 0: nothing.
    var planned: Int64 = 0
    /// Nobody told its price.
    public var isAssumed: Bool { planned == 0 && !isFixed }
    /// Micro-units: proven, and proven or possible.
    public internal(set) var costLow: Int64 = 0, cost: Int64 = 0
    /// Server times of finished executions.
    public internal(set) var durations = DurationHistogram()
    /// Executions that failed.
    public internal(set) var errors: UInt64 = 0
    /// Where it runs, and in which variant it is priced.
    var scope = PatternScope()
    /// Index into the table of database names; 0: unknown.
    public var database: Int32 { scope.database }
    /// What its price is known by.
    var key = Fingerprint.unknown
    /// What it costs where nobody prices it, micro-units; -1: what anything costs that is not known.
    var assumed: Int64 = -1
    /// When its price was asked for last, ns since 1970.
    var asked: Int64 = .min
    /// The packet it was first seen in.
    public internal(set) var firstSeen: UInt64 = .max
    /// Durations of one user that nobody has learned from yet, whose they are, and whose the last ones were while others ran
    /// it too; -1: nobody's.
    var recent = RecentDurations()
    var recentOwner: Int32 = -1
    var lastOwner: Int32 = -1
    /// Others than ``recentOwner`` ran it meanwhile.
    var hasOthers = false
    /// The number of the user who ran it first.
    public internal(set) var owner: Int32 = 0
    /// How often it had run when room was sought last, and how often it is passed over then without having run.
    var seenUses: UInt64 = 1
    var chances: UInt8 = 0
    /// It is to make room, unless something refers to it.
    var isCondemned = false
    /// It stands for all other patterns of its user in its database.
    var isOther = false

    /// Beyond what a scope's code may hold: a pattern with this is not found at once, so that its text is seen.
    static let wantsSample: UInt64 = 1 << 63

    /// A statement finished.
    @inline(__always)
    mutating func noteCompleted(_ event: StatementEvent) {
        calls &+= 1
        rows &+= event.rows
        durations.record(event.duration)
    }

    /// Adds what another pattern counted.
    mutating func add(_ other: PatternRecord) {
        calls &+= other.calls
        errors &+= other.errors
        rows &+= other.rows
        costLow &+= other.costLow
        cost &+= other.cost
        durations.add(other.durations)
        firstSeen = min(firstSeen, other.firstSeen)
    }

    /// Durations are those of one user at a time, and another one's the next time: so nobody teaches for others.
    mutating func learn(_ duration: Int64, of user: Int32) {
        if recentOwner < 0, user != lastOwner { recentOwner = user }
        guard user == recentOwner else {
            if recentOwner >= 0 { hasOthers = true }
            return
        }
        recent.record(duration)
    }

    /// What was to be learned from, with the number of the user whose it is; `nil`: nothing.
    mutating func takeDurations() -> (user: Int32, durations: RecentDurations)? {
        let (user, durations) = (recentOwner, recent)
        if user >= 0 { recent = RecentDurations() }
        // Whoever was left out comes first the next time; if nobody comes, the same one again.
        lastOwner = hasOthers ? user : -1
        (recentOwner, hasOthers) = (-1, false)
        return user >= 0 ? (user, durations) : nil
    }

    /// The numbers of these users may be those of others soon: durations that wait to be learned from are nobody's.
    mutating func forget(_ users: Set<Int32>) {
        if users.contains(recentOwner) { (recent, recentOwner) = (RecentDurations(), -1) }
        if users.contains(lastOwner) { lastOwner = -1 }
    }
}
