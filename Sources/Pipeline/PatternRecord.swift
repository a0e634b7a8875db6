// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import PostgresWire

/// What is known of one statement pattern in one database.
struct PatternRecord: BitwiseCopyable {
    // First what every statement touches, so that it lies in few cache lines.
    var fingerprint = Fingerprint.unknown
    /// The scope's code, perhaps with ``wantsSample``: compared with every statement.
    var scopeCode: UInt64 = 0
    /// What it costs, micro-units, and until when that is good, ns since 1970.
    var price: Int64 = 0
    var priceExpires: Int64 = .min
    var calls: UInt64 = 0
    var rows: UInt64 = 0
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
    var isAssumed: Bool { planned == 0 && !isFixed }
    /// Micro-units: proven, and proven or possible.
    var costLow: Int64 = 0
    var cost: Int64 = 0
    var durations = DurationHistogram()
    var errors: UInt64 = 0
    /// Where it runs, and in which variant it is priced.
    var scope = PatternScope()
    /// Index into the table of database names; 0: unknown.
    var database: Int32 { scope.database }
    /// What its price is known by.
    var key = Fingerprint.unknown
    /// What it costs where nobody prices it, micro-units; -1: what anything costs that is not known.
    var assumed: Int64 = -1
    /// When its price was asked for last, ns since 1970.
    var asked: Int64 = .min
    /// The packet it was first seen in.
    var firstSeen: UInt64 = .max
    /// Durations of one user that nobody has learned from yet, whose they are, and whose the last ones were while others ran
    /// it too; -1: nobody's.
    var recent = RecentDurations()
    var recentOwner: Int32 = -1
    var lastOwner: Int32 = -1
    /// Others than ``recentOwner`` ran it meanwhile.
    var hasOthers = false
    /// The number of the user who ran it first.
    var owner: Int32 = 0
    /// How often it had run when room was sought last, and how often it is passed over then without having run.
    var seenUses: UInt64 = 1
    var chances: UInt8 = 0
    /// It is to make room, unless something refers to it.
    var isCondemned = false
    /// It stands for all other patterns of its user in its database.
    var isOther = false

    /// Beyond what a scope's code may hold: a pattern with this is not found at once, so that its text is seen.
    static let wantsSample: UInt64 = 1 << 63
}

/// Tells apart what has one pattern's text but several plans.
struct PatternScope: BitwiseCopyable, Hashable {
    /// Index into the table of database names; 0: unknown.
    var database: Int32 = 0
    /// Index into the table of search paths; 0: that of the login.
    var path: UInt16 = 0
    /// Index into the table of roles where prices are each role's own; else 1 where row-level security is passed over.
    var role: Int32 = 0
    var limit = Decade.absent
    var offset = Decade.absent

    /// As one number: databases, roles and paths have 16 bits each, decades four.
    @inline(__always)
    var code: UInt64 {
        UInt64(UInt32(bitPattern: database)) | UInt64(UInt32(bitPattern: role)) &<< 16 | UInt64(path) &<< 32
            | UInt64(limit.rawValue) &<< 48 | UInt64(offset.rawValue) &<< 52
    }
}
