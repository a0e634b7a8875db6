// SPDX-License-Identifier: Apache-2.0
import Domain
import Quotas
import Synchronization
import TestKit
import Testing

/// Keepers at one store, second by second.
private struct World {
    let store: MemoryLedgerStore

    init() {
        let holder = Clock()
        clock = holder
        store = MemoryLedgerStore { holder.now.withLock { $0 } }
    }

    final class Clock: Sendable { let now = Mutex(Int64(1_800_000_000)) }
    let clock: Clock
    func tick(_ seconds: Int64 = 1) {
        clock.now.withLock { $0 += seconds }
    }
    var at: Timestamp { Timestamp(nanoseconds: clock.now.withLock { $0 } * 1_000_000_000) }
    var seconds: Int64 { clock.now.withLock { $0 } }
}

struct KeeperTests {
    private func policy(_ mode: EnforcementMode, most: Double = 1) -> QuotaPolicy {
        var policy = QuotaPolicy(
            tiers: [Tier(name: "t", hourly: CostUnits(units: 100), daily: CostUnits(units: 10_000))],
            fallback: "t"
        )
        policy.mode = mode
        policy.mostLimited = most
        return policy
    }

    private func user(_ number: UInt64) -> ActiveUser {
        ActiveUser(UserKey(Fingerprint(high: 3, low: number)), tier: "t")
    }

    private func spend(
        _ units: Double,
        _ box: Box,
        _ active: ActiveUser,
        _ world: World,
        high: Double? = nil
    ) {
        let usage = Usage(low: CostUnits(units: units).micro, high: CostUnits(units: high ?? units).micro)
        box.keeper.add([SlotUsage(start: world.seconds / 10 * 10, usage: usage)], of: active, at: world.at)
    }

    private func limit(_ box: Box, _ active: ActiveUser) -> Int? {
        box.wanted?.entries.first { $0.user == active.user }?.connections
    }

    @Test func `who overdraws is limited at once, and let go when the next hour begins`() {
        let world = World()
        let keeper = Box(QuotaKeeper(world.store, node: "a", incarnation: "1", policy: policy(.enforce)))
        _ = keeper.turn(at: world.at)
        spend(99, keeper, user(1), world)
        #expect(keeper.turn(at: world.at).map(\.to) == [.warning])
        #expect(limit(keeper, user(1)) == nil)
        world.tick()
        spend(1, keeper, user(1), world)
        let crossing = keeper.turn(at: world.at)
        #expect(crossing.map(\.to) == [.limited] && crossing.first?.cause == .crossed && crossing.first?.after == 5)
        #expect(limit(keeper, user(1)) == 5)
        spend(50, keeper, user(1), world)
        world.tick()
        #expect(keeper.turn(at: world.at).map(\.after) == [1])
        var release: [Transition] = []
        while release.isEmpty, world.seconds < 1_800_003_610 {
            world.tick()
            release = keeper.turn(at: world.at)
        }
        #expect(world.seconds == 1_800_003_600, "as soon as the hour ends")
        #expect(release.map(\.to) == [.ok] && release.first?.cause == .reset && release.first?.after == nil)
        #expect(limit(keeper, user(1)) == nil)
    }

    @Test(arguments: [EnforcementMode.off, .monitor, .warn])
    func `nobody is limited unless that is switched on`(mode: EnforcementMode) {
        let world = World()
        let keeper = Box(QuotaKeeper(world.store, node: "a", incarnation: "1", policy: policy(mode)))
        spend(900, keeper, user(1), world)
        let transitions = keeper.turn(at: world.at)
        #expect(transitions.map(\.to) == (mode == .off ? [] : [.severe]))
        #expect(limit(keeper, user(1)) == nil)
    }

    @Test func `what is only possible punishes nobody, and is told`() {
        let world = World()
        let keeper = Box(QuotaKeeper(world.store, node: "a", incarnation: "1", policy: policy(.enforce)))
        spend(10, keeper, user(1), world, high: 500)
        #expect(keeper.turn(at: world.at).map(\.cause) == [.possible])
        #expect(limit(keeper, user(1)) == nil)
        world.tick(5)
        #expect(keeper.turn(at: world.at).isEmpty, "told once")
    }

    @Test func `one of two nodes decides, by what both saw, and the other goes on when it dies`() {
        let world = World()
        let first = Box(QuotaKeeper(world.store, node: "a", incarnation: "1", policy: policy(.enforce)))
        let second = Box(QuotaKeeper(world.store, node: "b", incarnation: "1", policy: policy(.enforce)))
        for _ in 0..<6 {
            world.tick()
            _ = first.turn(at: world.at)
            _ = second.turn(at: world.at)
        }
        #expect(first.isLeader && !second.isLeader)
        // Half of it at each: neither alone would be enough.
        spend(60, first, user(1), world)
        spend(60, second, user(1), world)
        // One user is seen by the other node alone.
        spend(200, second, user(2), world)
        for _ in 0..<3 {
            world.tick()
            _ = second.turn(at: world.at)
            _ = first.turn(at: world.at)
        }
        _ = second.turn(at: world.at)
        #expect(limit(first, user(1)) == 5 && limit(first, user(2)) == 1)
        world.tick()
        _ = second.turn(at: world.at)
        #expect(second.wanted == first.wanted)
        // The first is gone without a word.
        let generation = first.wanted?.generation ?? 0
        for _ in 0..<15 {
            world.tick()
            _ = second.turn(at: world.at)
        }
        #expect(second.isLeader)
        #expect(limit(second, user(1)) == 5 && limit(second, user(2)) == 1, "limits go on without a gap")
        #expect((second.wanted?.generation ?? 0) > generation)
    }

    @Test func `a node that was paused while another one decided overwrites nothing, and decides no more`() throws {
        let world = World()
        let first = Box(QuotaKeeper(world.store, node: "a", incarnation: "1", policy: policy(.enforce)))
        let second = Box(QuotaKeeper(world.store, node: "b", incarnation: "1", policy: policy(.enforce)))
        func stored() throws -> PublishedLimits? { try world.store.get("limits").flatMap { PublishedLimits(text: $0) } }
        _ = first.turn(at: world.at)
        spend(200, first, user(1), world)
        _ = first.turn(at: world.at)
        #expect(first.isLeader && limit(first, user(1)) == 1)
        // The first one is paused for longer than it may decide; the second one lets the user go.
        for _ in 0..<9 {
            world.tick()
            _ = second.turn(at: world.at)
        }
        let pause = Override(.exempt, until: world.seconds + 600, by: "x", reason: "y")
        try second.keeper.override(user(1).user, pause)
        world.tick()
        _ = second.turn(at: world.at)
        #expect(second.isLeader && limit(second, user(1)) == nil)
        let decided = second.wanted
        // The pause ended in the middle of a turn: it had just been told that it decides.
        let late = PublishedLimits(
            generation: (first.wanted?.generation ?? 0) + 1,
            expires: world.seconds + 60,
            entries: first.wanted?.entries ?? []
        )
        #expect(try !world.store.publish(late, seconds: 60))
        spend(50, first, user(2), world)
        #expect(first.turn(at: world.at).isEmpty, "it tells of no decision, either")
        #expect(try stored() == decided)
        world.tick()
        _ = first.turn(at: world.at)
        #expect(!first.isLeader && first.wanted == decided, "it carries out what the other one decided")
    }

    @Test func `limits of an earlier policy end within ten seconds unless the present one confirms them`() {
        let world = World()
        func keeper(_ incarnation: String, _ name: String) -> Box {
            Box(
                QuotaKeeper(
                    world.store,
                    node: "a",
                    incarnation: incarnation,
                    policy: policy(.enforce),
                    policyName: name
                )
            )
        }
        func live(_ box: Box, _ seconds: Int64) {
            for _ in 0..<seconds {
                world.tick()
                _ = box.turn(at: world.at)
            }
        }
        let first = keeper("1", "old")
        _ = first.turn(at: world.at)
        for number in 1...3 { spend(200, first, user(UInt64(number)), world) }
        live(first, 2)
        #expect([1, 2, 3].map { limit(first, user($0)) } == [1, 1, 1])
        // The process dies. The next one has the same policy: limits go on.
        let same = keeper("2", "old")
        live(same, 20)
        #expect(same.isLeader && [1, 2, 3].map { limit(same, user($0)) } == [1, 1, 1])
        // Another policy, by which the first is in a tier without limits, the second where he was; nobody knows the third.
        let other = keeper("3", "new")
        var seconds: Int64 = 0
        while !other.isLeader, seconds < 10 {
            live(other, 1)
            seconds += 1
        }
        #expect(other.unconfirmed == Set([1, 2, 3].map { user($0).user }))
        other.keeper.assign([ActiveUser(user(1).user, tier: "none"), user(2)])
        live(other, 10 - seconds)
        #expect([1, 2, 3].map { limit(other, user($0)) } == [nil, 1, nil])
        #expect(other.unconfirmed.isEmpty)
        // Seen again, the third is judged as everybody.
        spend(1, other, user(3), world)
        live(other, 1)
        #expect(limit(other, user(3)) == 1)
        // A policy that is changed while the process lives.
        other.keeper.judge(by: policy(.enforce), named: "newest")
        other.keeper.assign([user(2)])
        live(other, 9)
        #expect([2, 3].map { limit(other, user($0)) } == [1, nil])
    }

    @Test func `a budget that is given back lets go within a second, and stays given back when the store is lost`()
        throws
    {
        let world = World()
        let keeper = Box(QuotaKeeper(world.store, node: "a", incarnation: "1", policy: policy(.enforce)))
        spend(500, keeper, user(1), world)
        _ = keeper.turn(at: world.at)
        #expect(limit(keeper, user(1)) == 1)
        try keeper.keeper.reset(user(1).user)
        world.tick()
        #expect(keeper.turn(at: world.at).map(\.cause) == [.reset])
        #expect(limit(keeper, user(1)) == nil)
        // It counts from there.
        spend(120, keeper, user(1), world)
        world.tick()
        #expect(keeper.turn(at: world.at).map(\.to) == [.limited])
        try keeper.keeper.reset(user(1).user)
        world.tick()
        _ = keeper.turn(at: world.at)
        #expect(limit(keeper, user(1)) == nil)
    }

    @Test func `a person's decision goes before the ladder, and ends by itself`() throws {
        let world = World()
        let keeper = Box(QuotaKeeper(world.store, node: "a", incarnation: "1", policy: policy(.enforce)))
        spend(500, keeper, user(1), world)
        spend(1, keeper, user(2), world)
        _ = keeper.turn(at: world.at)
        try keeper.keeper.override(
            user(1).user,
            Override(.exempt, until: world.seconds + 20, by: "ann", reason: "month end")
        )
        try keeper.keeper.override(
            user(2).user,
            Override(.limit(connections: 3), until: world.seconds + 20, by: "ann", reason: "test")
        )
        world.tick()
        #expect(Set(keeper.turn(at: world.at).map(\.cause)) == [.override])
        #expect(limit(keeper, user(1)) == nil && limit(keeper, user(2)) == 3)
        world.tick(20)
        _ = keeper.turn(at: world.at)
        #expect(limit(keeper, user(1)) == 1 && limit(keeper, user(2)) == nil)
    }

    @Test func `a pause lets everybody go, also who was limited by hand, and ends by itself`() throws {
        let world = World()
        let keeper = Box(QuotaKeeper(world.store, node: "a", incarnation: "1", policy: policy(.enforce)))
        spend(500, keeper, user(1), world)
        spend(1, keeper, user(2), world)
        _ = keeper.turn(at: world.at)
        let byHand = Override(.limit(connections: 3), until: world.seconds + 600, by: "ann", reason: "test")
        try keeper.keeper.override(user(2).user, byHand)
        world.tick()
        _ = keeper.turn(at: world.at)
        #expect(limit(keeper, user(1)) == 1 && limit(keeper, user(2)) == 3)
        try keeper.keeper.pause(Override(.exempt, until: world.seconds + 30, by: "ann", reason: "incident"))
        world.tick()
        _ = keeper.turn(at: world.at)
        #expect(limit(keeper, user(1)) == nil && limit(keeper, user(2)) == nil)
        world.tick(40)
        _ = keeper.turn(at: world.at)
        #expect(limit(keeper, user(1)) == 1 && limit(keeper, user(2)) == 3)
    }

    @Test func `a mode that is switched at run time holds at once`() throws {
        let world = World()
        let keeper = Box(QuotaKeeper(world.store, node: "a", incarnation: "1", policy: policy(.monitor)))
        spend(500, keeper, user(1), world)
        _ = keeper.turn(at: world.at)
        #expect(limit(keeper, user(1)) == nil)
        try keeper.keeper.switchMode(.enforce, of: "t")
        world.tick()
        _ = keeper.turn(at: world.at)
        #expect(limit(keeper, user(1)) == 1)
        try keeper.keeper.switchMode(.off, of: QuotaKeeper.everybody)
        try keeper.keeper.switchMode(nil, of: "t")
        world.tick()
        _ = keeper.turn(at: world.at)
        #expect(limit(keeper, user(1)) == nil)
    }

    @Test func `no more users are limited at once than allowed, until somebody consents`() throws {
        let world = World()
        let keeper = Box(QuotaKeeper(world.store, node: "a", incarnation: "1", policy: policy(.enforce, most: 0.2)))
        for number in 0..<20 { spend(number < 10 ? 200 : 1, keeper, user(UInt64(number)), world) }
        let first = keeper.turn(at: world.at)
        #expect(keeper.wanted?.entries.count { $0.connections != nil } == 4)
        #expect(first.count { $0.cause == .brake } == 6 && keeper.decider.heldCount == 6)
        try keeper.keeper.consent(Override(.exempt, until: world.seconds + 600, by: "ann", reason: "yes"))
        world.tick()
        #expect(keeper.turn(at: world.at).count { $0.cause == .consent } == 6)
        #expect(keeper.wanted?.entries.count { $0.connections != nil } == 10)
    }

    @Test func `stale totals renew nothing`() {
        let world = World()
        let broken = BrokenStore(world.store)
        let keeper = Box(QuotaKeeper(broken, node: "a", incarnation: "1", policy: policy(.enforce)))
        spend(500, keeper, user(1), world)
        _ = keeper.turn(at: world.at)
        let expires = keeper.wanted?.expires ?? 0
        broken.isBroken.store(true, ordering: .relaxed)
        for _ in 0..<100 {
            world.tick()
            spend(500, keeper, user(2), world)
            #expect(keeper.turn(at: world.at).isEmpty)
        }
        #expect(keeper.wanted?.expires == expires && expires < world.seconds)
        #expect(limit(keeper, user(2)) == nil && keeper.problem != nil)
        broken.isBroken.store(false, ordering: .relaxed)
        world.tick()
        _ = keeper.turn(at: world.at)
        #expect(limit(keeper, user(2)) == 1, "what was used meanwhile is not lost")
    }
}

/// A store that can be switched off.
private final class BrokenStore: LedgerStore {
    private let inner: MemoryLedgerStore
    let isBroken = Atomic(false)
    init(_ inner: MemoryLedgerStore) { self.inner = inner }
    private func check() throws(LedgerError) {
        if isBroken.load(ordering: .relaxed) { throw .unavailable(store: "broken", reason: "switched off") }
    }
    var name: String { "broken" }
    func time() throws(LedgerError) -> Timestamp? {
        try check()
        return nil
    }
    func epoch() throws(LedgerError) -> String {
        try check()
        return try inner.epoch()
    }
    func exchange(_ writes: [RegisterWrite], of node: String) throws(LedgerError) -> [RegisterReading] {
        try check()
        return try inner.exchange(writes, of: node)
    }
    func read(_ keys: [RegisterKey], of node: String) throws(LedgerError) -> [RegisterReading] {
        try check()
        return try inner.read(keys, of: node)
    }
    func correct(_ writes: [RegisterWrite]) throws(LedgerError) { try check() }
    func touch(_ users: [ActiveUser], at seconds: Int64) throws(LedgerError) {
        try check()
        try inner.touch(users, at: seconds)
    }
    func touched(since seconds: Int64) throws(LedgerError) -> [ActiveUser] {
        try check()
        return try inner.touched(since: seconds)
    }
    func lease(_ name: String, holder: String, seconds: Int64) throws(LedgerError) -> UInt64? {
        try check()
        return try inner.lease(name, holder: holder, seconds: seconds)
    }
    func giveBack(_ name: String, holder: String) throws(LedgerError) { try check() }
    func put(_ name: String, _ text: String?, seconds: Int64) throws(LedgerError) {
        try check()
        try inner.put(name, text, seconds: seconds)
    }
    func publish(_ limits: PublishedLimits, seconds: Int64) throws(LedgerError) -> Bool {
        try check()
        return try inner.publish(limits, seconds: seconds)
    }
    func get(_ name: String) throws(LedgerError) -> String? {
        try check()
        return try inner.get(name)
    }
    func keep(_ text: String?, in list: String, as name: String) throws(LedgerError) { try check() }
    func all(in list: String) throws(LedgerError) -> [String: String] {
        try check()
        return try inner.all(in: list)
    }
}
