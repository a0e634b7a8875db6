// SPDX-License-Identifier: Apache-2.0
import Domain
import PostgresWire

/// Which principals make room for others: those of users who have many, and those that were not used for the longest time.
///
/// Only what no session refers to is removed. What it had counted is added to the same user's principal without an address,
/// or is nobody's where nothing else of that user is left.
struct PrincipalShares {
    /// By the places of principals.
    var lists = OwnedLists()
    private let limit: Int
    private var condemned: [Fingerprint: PrincipalHandle] = [:]
    private(set) var isCrowded = false
    private var patience = 0
    /// Whether something was condemned since ``takeCondemned()``.
    private(set) var hasCondemned = false
    /// Principals that were added up with others of their user, and users who were forgotten.
    private(set) var evictions: UInt64 = 0
    var forgotten: UInt64 = 0

    private static var mostCondemned: Int { 8192 }
    private static var mostVisits: Int { 3 * 8192 }

    init(limit: Int) { self.limit = limit }

    /// Whether one more principal of a user finds room.
    mutating func hasRoom(for owner: Int32) -> Bool {
        let (own, all) = (lists.weight(of: owner) + 1, lists.weight + 1)
        patience -= 1
        if all > Self.full(limit) || own > Self.full(Self.most(limit)) { isCrowded = true }
        guard own <= Self.most(limit), all <= limit else { return false }
        return all <= TableLimits.ease(limit) || own <= limit / (lists.owners + 1)
    }

    /// Whether what stands for all others of a user finds room: a few more than the rest.
    var hasReserve: Bool { lists.weight < limit + limit / 4 }

    private static func full(_ limit: Int) -> Int { limit - limit / 4 }
    /// One user's share: addresses beyond are counted together.
    private static func most(_ limit: Int) -> Int { limit / 4 }

    /// Takes out of reach what should make room; returns the keys by which it was found.
    mutating func condemn(_ principals: borrowing SlotTable<Principal>) -> [Fingerprint] {
        guard isCrowded, patience <= 0, condemned.isEmpty else { return [] }
        isCrowded = false
        let isFull = lists.weight > Self.full(limit)
        let most = Self.full(Self.most(limit))
        let share = isFull ? min(most, lists.share(of: Self.full(limit))) : most
        var visits = 0
        // Where there are more users than room, each has no more than a few: those not used for long, whoever they are.
        for owner in share > 0 ? lists.owners(above: share) : [] {
            let left = share - share / 8
            while lists.weight(of: owner) > left, condemned.count < Self.mostCondemned, visits < Self.mostVisits,
                let principal = lists.first(of: owner).flatMap({ principals.occupant(at: Int($0)) })
            {
                visits += 1
                let uses = principal.value.counts.sent
                if principal.value.seenUses != uses || principal.value.isRest {
                    principal.value.seenUses = uses
                    lists.turn(owner)
                } else {
                    condemn(principal)
                }
                if principal.value.isRest, lists.weight(of: owner) <= 1 { break }
            }
            if lists.weight(of: owner) > left { isCrowded = true }
        }
        if isFull, condemned.isEmpty { condemnAny(principals) }
        hasCondemned = !condemned.isEmpty
        return Array(condemned.keys)
    }

    /// Whatever was not used since it was looked at last.
    private mutating func condemnAny(_ principals: borrowing SlotTable<Principal>) {
        let end = Int32(clamping: principals.highWater)
        guard end > 1 else { return }
        var visits = 0
        while condemned.count < Self.mostCondemned, visits < min(Self.mostVisits, Int(end)) {
            visits += 1
            hand = hand + 1 < end ? hand + 1 : 1
            guard lists.owner(of: hand) != nil, let principal = principals.occupant(at: Int(hand)) else { continue }
            let uses = principal.value.counts.sent
            if principal.value.seenUses != uses {
                principal.value.seenUses = uses
            } else {
                condemn(principal)
            }
        }
        isCrowded = true
    }

    private var hand: Int32 = 0

    private mutating func condemn(_ principal: Slot<Principal>) {
        lists.remove(principal.place)
        principal.value.isCondemned = true
        condemned[principal.value.key] = principal.handle
    }

    /// A principal that was condemned is used again, by its key.
    mutating func spare(_ key: Fingerprint, _ principals: borrowing SlotTable<Principal>) -> PrincipalHandle? {
        guard let handle = condemned.removeValue(forKey: key) else { return nil }
        principals[handle].isCondemned = false
        lists.append(principals.place(of: handle), to: principals[handle].owner)
        return handle
    }

    /// What is condemned still, to be removed now.
    mutating func takeCondemned() -> [PrincipalHandle] {
        defer { condemned = [:] }
        evictions &+= UInt64(condemned.count)
        // Where everything is in use, looking again at once would find the same.
        if hasCondemned, condemned.isEmpty { patience = limit / 16 }
        hasCondemned = false
        return Array(condemned.values)
    }
}
