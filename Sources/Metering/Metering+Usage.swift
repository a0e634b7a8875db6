// SPDX-License-Identifier: Apache-2.0
import Costs
public import Domain
import PostgresWire
public import Quotas

/// What is handed to the ledger, to the history and to who asks about a user; and what reports read.
extension Metering where Recorder: ~Copyable {
    /// Whether there is something for ``takeUsage()``.
    public var hasUsage: Bool { usage.hasUsage }

    /// What users used since the last time; sessions whose user is not known keep theirs until it is.
    public mutating func takeUsage() -> [UserUsage] { usage.take(principals) }

    /// Who ran what since the last time.
    public mutating func takeActivity() -> [ActivityRecord] {
        finishMoves()
        return activity.take().map { entry in
            let (payer, record) = (principals.slot(entry.principal), patterns.slot(entry.pattern))
            return ActivityRecord(
                user: payer.value.user,
                database: payer.value.database,
                fingerprint: record.value.fingerprint,
                text: patterns.text(of: entry.pattern),
                counts: entry.counts
            )
        }
    }

    /// What a user spent most on in the current hour.
    public func evidence(against user: String, at time: Timestamp, most count: Int) -> [PatternSpend] {
        activity.spend.spent(by: { principals.slot($0).value.user == user }, at: time, most: count).map { found in
            let record = patterns.slot(found.pattern)
            return PatternSpend(
                fingerprint: record.value.fingerprint,
                text: patterns.text(of: found.pattern),
                database: principals.database(record.value.database),
                cost: found.cost,
                calls: found.calls
            )
        }
    }

    // MARK: Counters

    /// Connections with servers that were not named: nothing on them was read, and nobody pays for it.
    public var otherServers: UInt64 { flows.otherServers }
    /// Statements that the server started, by protocol.
    public var byProtocol: [3 of UInt64] { usage.byProtocol }
    /// Finished statements by the binary exponent of their nanoseconds, where a daemon asks.
    public var octaves: [64 of UInt64] { activity.octaves }
    /// Prices that stood with their pattern.
    public var priceHits: UInt64 { prices.kept }
    /// Prices that were looked up anew.
    public var pricesAsked: UInt64 { prices.asked }

    /// What the tables take of the budget, and may take.
    public var memory: [TableMemory] {
        [
            patterns.memory(limits), samples.memory(limits), principals.memory(limits), activity.memory(limits),
            prices.memory(limits), usage.memory(limits),
        ]
    }
}
