// SPDX-License-Identifier: Apache-2.0
import Domain

/// One end of a span: what the server had counted, and what the tap had seen before and after that was asked.
struct Reading {
    var before: SeenSnapshot, server: ServerSnapshot, after: SeenSnapshot
    /// Sessions of each user that ran something or were in a transaction.
    var busy: [Account: UInt64] = [:]
}

/// What the tap saw of one user in one database between two readings.
struct SeenDifference {
    var queries = Comparison.Part(), utilities = Comparison.Part()
    var logins: UInt64 = 0
    /// Utility statements by the extended protocol, at most.
    var extendedUtilities: UInt64 = 0
}

/// What the tap saw between two readings, by whom and where.
struct SeenDifferences {
    struct Place: Hashable {
        var account: Account?
        var server: String?
    }

    private(set) var found: [Place: SeenDifference] = [:]
    /// Statements that were nobody's and became somebody's.
    private(set) var attributedLate: UInt64 = 0

    init(_ start: Reading, _ end: Reading, countsDeallocate: Bool) {
        let (firstLow, firstHigh) = (Self.sums(start.after), Self.sums(start.before))
        let (lastLow, lastHigh) = (Self.sums(end.before), Self.sums(end.after))
        for place in Set(lastHigh.keys).union(lastLow.keys) {
            // Low: from after the first question to before the last; high: the other way round.
            func low(_ count: (SeenSnapshot.Calls) -> UInt64) -> UInt64 {
                Self.difference(lastLow[place].map(count), firstLow[place].map(count))
            }
            func high(_ count: (SeenSnapshot.Calls) -> UInt64) -> UInt64 {
                Self.difference(lastHigh[place].map(count), firstHigh[place].map(count))
            }
            func utilities(_ calls: SeenSnapshot.Calls) -> UInt64 {
                calls.utilities &+ (countsDeallocate ? calls.deallocations : 0)
            }
            var difference = SeenDifference()
            let open = high { $0.unclassified } &+ high { $0.uncertain }
            (difference.queries.seenLow, difference.queries.seenHigh) = (
                low { $0.plannable }, high { $0.plannable } &+ open
            )
            (difference.utilities.seenLow, difference.utilities.seenHigh) = (low(utilities), high(utilities) &+ open)
            difference.logins = high { $0.logins }
            difference.extendedUtilities = high { $0.extendedUtilities }
            found[place] = difference
        }
        func nobodys(_ sums: [Place: SeenSnapshot.Calls]) -> UInt64 {
            sums.filter { $0.key.account == nil }.values.reduce(0) {
                $0 &+ $1.plannable &+ $1.utilities &+ $1.unclassified
            }
        }
        attributedLate = Self.difference(nobodys(firstHigh), nobodys(lastHigh))
    }

    private static func difference(_ last: UInt64?, _ first: UInt64?) -> UInt64 {
        let (last, first) = (last ?? 0, first ?? 0)
        return last > first ? last - first : 0
    }

    private static func sums(_ snapshot: SeenSnapshot) -> [Place: SeenSnapshot.Calls] {
        var sums: [Place: SeenSnapshot.Calls] = [:]
        for calls in snapshot.calls {
            let account = calls.user.map { Account(user: $0, database: calls.database ?? "") }
            let place = Place(account: account, server: account == nil ? nil : calls.server)
            guard var sum = sums[place] else {
                sums[place] = calls
                continue
            }
            sum.plannable &+= calls.plannable
            sum.utilities &+= calls.utilities
            sum.deallocations &+= calls.deallocations
            sum.unclassified &+= calls.unclassified
            sum.uncertain &+= calls.uncertain
            sum.logins &+= calls.logins
            sum.extendedUtilities &+= calls.extendedUtilities
            sums[place] = sum
        }
        return sums
    }
}

/// What the server counted of one user in one database between two readings.
struct ServerDifference {
    var queries: UInt64 = 0, utilities: UInt64 = 0, nested: UInt64 = 0, foreignKeys: UInt64 = 0
}

/// What the server counted between two readings.
struct ServerDifferences {
    private(set) var found: [Account: ServerDifference] = [:]
    /// Entries that vanished in between: what they counted is not known.
    private(set) var evicted: UInt64 = 0
    private(set) var isReset = false

    init(_ start: ServerSnapshot, _ end: ServerSnapshot, _ classes: [String: StatementClass]) {
        isReset = start.reset != end.reset
        evicted = end.deallocated > start.deallocated ? end.deallocated - start.deallocated : 0
        for (entry, calls) in start.entries where calls > end.entries[entry] ?? 0 {
            // Without pg_stat_statements_info; and entries that came again count from 0.
            if evicted == 0, !isReset { evicted = 1 }
        }
        for (entry, calls) in end.entries {
            let first = start.entries[entry] ?? 0
            let count = calls >= first ? calls - first : calls
            guard count > 0 else { continue }
            let what = classes[entry.query] ?? .utility
            if case .own = what { continue }
            var difference = found[entry.account] ?? ServerDifference()
            if !entry.isTopLevel {
                difference.nested &+= count
            } else {
                switch what {
                case .query: difference.queries &+= count
                case .foreignKey: difference.foreignKeys &+= count
                case .utility, .own: difference.utilities &+= count
                }
            }
            found[entry.account] = difference
        }
    }
}
