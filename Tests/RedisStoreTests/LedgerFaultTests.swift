// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Quotas
import RedisClient
import RedisStore
import Synchronization
import Testing

/// A million charges from four nodes while `Tests/Integration/quota` kills, pauses and cuts off their Redis.
struct LedgerFaultTests {
    private static let url = ProcessInfo.processInfo.environment["PGWEIR_TEST_FAULTY_REDIS"] ?? ""
    /// The file that appears when Redis has been broken in every way and is whole for good.
    private static let whole = ProcessInfo.processInfo.environment["PGWEIR_TEST_REDIS_IS_WHOLE"] ?? ""
    private static let charges = 250_000
    private static let nodes = 4

    private static var policy: QuotaPolicy {
        QuotaPolicy(
            tiers: [Tier(name: "t", hourly: CostUnits(units: 9e12), daily: CostUnits(units: 9e12))],
            fallback: "t"
        )
    }

    private static func now() -> Timestamp {
        Timestamp(nanoseconds: Int64(Date().timeIntervalSince1970 * 1e9))
    }

    @Test(.enabled(if: !url.isEmpty && !whole.isEmpty, "no server: Tests/Integration/quota starts one, and breaks it"))
    func `the sum of a million charges is exact, whatever happens to Redis`() throws {
        let users = (0..<50).map { ActiveUser(UserKey(Fingerprint(high: 9, low: $0)), tier: "t") }
        let failures = Atomic<Int>(0)
        let threads = (0..<Self.nodes).map { number in
            Thread {
                do { try Self.charge(users, number, failures) } catch { Issue.record(error) }
                Self.ended.add(1, ordering: .releasing)
            }
        }
        for thread in threads { thread.start() }
        while Self.ended.load(ordering: .acquiring) < Self.nodes { usleep(20_000) }
        #expect(failures.load(ordering: .relaxed) > 10, "Redis was broken while this ran")
        let store = try RedisLedgerStore(RedisOptions(url: Self.url), cluster: "faults")
        let key = RegisterKey(users[0].user, .day, at: Self.now().nanoseconds / 1_000_000_000, .utc)
        var sum = Usage.zero
        for user in users {
            let own = RegisterKey(user.user, .day, start: key.start, end: key.end)
            sum += try store.read([own], of: "nobody").first?.others ?? .zero
        }
        let truth = Int64(Self.nodes) * (0..<Int64(Self.charges)).reduce(0) { $0 + $1 % 1000 }
        #expect(sum == Usage(low: truth, high: truth * 2))
    }

    private static let ended = Atomic<Int>(0)

    private static func charge(_ users: [ActiveUser], _ number: Int, _ failures: borrowing Atomic<Int>) throws {
        let store = try RedisLedgerStore(RedisOptions(url: url), cluster: "faults")
        var keeper = QuotaKeeper(store, node: "n\(number)", incarnation: "1", policy: policy)
        for step in 0..<charges {
            let now = now()
            let amount = Int64(step % 1000)
            let start = now.nanoseconds / 10_000_000_000 * 10
            keeper.add(
                [SlotUsage(start: start, usage: Usage(low: amount, high: amount * 2))],
                of: users[(step + number) % users.count],
                at: now
            )
            if step % 500 == 0 {
                _ = keeper.turn(at: now)
                usleep(20_000)
            }
        }
        // However fast the charges went: faults end when all of them have happened.
        while !FileManager.default.fileExists(atPath: whole) {
            _ = keeper.turn(at: now())
            usleep(20_000)
        }
        for _ in 0..<6000 where keeper.sync.ledger.dirtyCount > 0 || keeper.problem != nil {
            _ = keeper.turn(at: now())
            usleep(20_000)
        }
        // Once more a while later: a store that was lost meanwhile is given the totals again.
        for _ in 0..<150 {
            _ = keeper.turn(at: now())
            usleep(20_000)
        }
        failures.add(Int(keeper.failures), ordering: .relaxed)
        #expect(keeper.sync.ledger.dirtyCount == 0 && keeper.problem == nil)
        keeper.close(at: now())
    }
}
