// SPDX-License-Identifier: Apache-2.0
// Times the keeping of quotas for many users, without packets; prints one JSON object.
//
//     pgweir-quota-bench USERS SQLITE-FILE [REDIS-URL]

import Domain
import Foundation
import Quotas
import RedisClient
import RedisStore
import SQLiteStore

let count = CommandLine.arguments.count > 1 ? Int(CommandLine.arguments[1]) ?? 100_000 : 100_000
let start: Int64 = 1_800_000_000
let clock = ContinuousClock()

func seconds(_ body: () throws -> Void) rethrows -> Double {
    let took = try clock.measure(body)
    return Double(took.components.seconds) + Double(took.components.attoseconds) * 1e-18
}

func at(_ seconds: Int64) -> Timestamp { Timestamp(nanoseconds: seconds * 1_000_000_000) }

/// A charge and its settlement, as a worker books them; ns for both.
func charge() -> Double {
    var account = Account()
    account.isMetered = true
    let steps = 20_000_000
    let took = seconds {
        for step in 0..<steps {
            // 100,000 statements a second of one user: the slot turns each ten seconds.
            let time = Timestamp(nanoseconds: start * 1_000_000_000 + Int64(step) * 10_000)
            account.charge(1000, at: time)
            account.settle(1000, at: time)
        }
    }
    precondition(account.hours.reduce(0) { $0 + $1.low } == Int64(steps) * 1000)
    return took / Double(steps) * 1e9
}

let policy: QuotaPolicy = {
    var policy = QuotaPolicy(
        tiers: [
            Tier(
                name: "t",
                limits: [
                    QuotaLimit(.hour, CostUnits(units: 1000)), QuotaLimit(.day, CostUnits(units: 10_000)),
                    QuotaLimit(.month, CostUnits(units: 100_000)),
                ]
            )
        ],
        fallback: "t"
    )
    policy.mode = .enforce
    return policy
}()
let users = (0..<count).map { index in
    ActiveUser(UserKey(Fingerprint(high: UInt64(index) &* 0x9E37_79B9_7F4A_7C15, low: UInt64(index))), tier: "t")
}

/// Everybody uses something: usage in, totals stored and read back, decided.
func flush(_ store: any LedgerStore) -> [Double] {
    var keeper = QuotaKeeper(store, node: "bench", incarnation: "1", policy: policy)
    _ = keeper.turn(at: at(start))
    return (0..<6).map { round in
        for (index, user) in users.enumerated() {
            // One in a hundred overdraws.
            let units = index % 100 == 0 ? 400.0 : 1.0
            let amount = CostUnits(units: units).micro
            keeper.add([SlotUsage(start: start, usage: Usage(low: amount, high: amount))], of: user, at: at(start))
        }
        let took = seconds { _ = keeper.turn(at: at(start + Int64(round) * 5)) }
        precondition(keeper.sync.ledger.dirtyCount == 0, keeper.problem ?? "not all was stored")
        return took
    }
}

/// One look at everybody, with registers in memory.
func decide() -> [Double] {
    var ledger = NodeLedger()
    for (index, user) in users.enumerated() {
        let amount = CostUnits(units: index % 100 == 0 ? 1200 : 1).micro
        let slot = SlotUsage(start: start, usage: Usage(low: amount, high: amount))
        ledger.add([slot], of: user.user, to: [.hour, .day, .month], .utc, now: start)
    }
    var decider = Decider()
    let terms = Decider.Terms(policy)
    return (0..<6).map { round in
        seconds { _ = decider.look(at: users, in: ledger, terms, now: start + Int64(round) * 5, isBatch: true) }
    }
}

func list(_ values: [Double]) -> String { "[" + values.map { String($0) }.joined(separator: ", ") + "]" }

var fields = ["\"users\": \(count)", "\"charge_ns\": \(list((0..<5).map { _ in charge() }))"]
fields.append("\"decide_seconds\": \(list(decide()))")
fields.append("\"memory_seconds\": \(list(flush(MemoryLedgerStore { start })))")
if CommandLine.arguments.count > 2 {
    fields.append("\"sqlite_seconds\": \(list(flush(try SQLiteLedgerStore(path: CommandLine.arguments[2]))))")
}
if CommandLine.arguments.count > 3 {
    let store = try RedisLedgerStore(RedisOptions(url: CommandLine.arguments[3]), cluster: "bench")
    fields.append("\"redis_seconds\": \(list(flush(store)))")
}
print("{" + fields.joined(separator: ", ") + "}")
