// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import PostgresWire

/// The patterns of one worker, by fingerprint and scope.
///
/// Handle 0 collects what has no pattern. The table is bounded; each pattern belongs to the user who ran it first. Where a
/// user holds too much, those of the user's patterns that did not run for the longest time are condemned: they are found no
/// longer, and once nothing refers to them (``PatternTable/removeCondemned(_:)``), what they counted is added to one record
/// that stands for all other patterns of that user in that database.
struct PatternTable: ~Copyable {
    var records: SlotTable<PatternRecord>
    /// Normalized texts, by place.
    private var texts: [[UInt8]] = [[]]
    private var textBytes = 0
    private var places: [Int32] = Array(repeating: -1, count: 4096)
    private var mask = 4095
    private var placed = 0
    /// By the places of patterns.
    private var lists = OwnedLists()
    private let limit: Int
    /// Records that stand for all other patterns of a user in a database.
    private var others: [Int32: [Int32: PatternHandle]] = [:]
    private var otherCount = 0
    private var condemned: [Identity: PatternHandle] = [:]
    /// Statements of patterns that found no room at once.
    private(set) var overflow: UInt64 = 0
    /// Patterns that gave way to others.
    private(set) var evictions: UInt64 = 0
    /// Whether patterns should be condemned before long.
    private(set) var isCrowded = false
    /// How many patterns are to be added before condemning is worth while again.
    private var patience = 0
    /// Records that were added up with others, and whose places nobody has yet: see ``giveBack()``.
    private var leaving: [PatternHandle] = []
    /// Whether something was condemned since ``removeCondemned(_:)``.
    private var hasCondemned = false

    private struct Identity: Hashable {
        var fingerprint: Fingerprint
        var code: UInt64
    }

    /// So many are condemned at once, at most, and looked at to find them.
    private static var mostCondemned: Int { 4096 }
    private static var mostVisits: Int { 3 * 4096 }
    /// Databases of one user that have a record for other patterns each, and such records of all users.
    private static var mostDatabases: Int { 64 }
    private static var mostOthers: Int { 1 << 16 }
    /// The text of those records.
    static var otherText: [UInt8] { Array("(other patterns)".utf8) }

    /// A table of at most `limit` patterns, those condemned and those that stand for others not counted.
    init(limit: Int = TableLimits.usual.patterns) {
        self.limit = limit
        records = SlotTable(
            limit: limit + 3 * Self.mostCondemned + Self.mostOthers,
            blank: PatternRecord(),
            checksHandles: true
        )
        _ = records.include(0)
    }

    /// Bytes that records, texts and the index take.
    var bytes: Int { records.highWater * (MemoryLayout<PatternRecord>.stride + 32) + textBytes + 4 * places.count }

    /// How many patterns are known.
    var count: Int { max(0, records.count - 1 - condemned.count) }

    /// What a user's patterns take of the table's room.
    func weight(of owner: Int32) -> Int { lists.weight(of: owner) }

    /// Where a pattern stands: what is kept beside the table is found by this.
    @inline(__always)
    func place(of handle: PatternHandle) -> Int32 { records.place(of: handle) }

    /// A pattern's normalized text.
    func text(of handle: PatternHandle) -> [UInt8] { texts[Int(place(of: handle))] }

    /// Who ran a pattern first.
    func owner(of handle: PatternHandle) -> Int32 { records[handle].owner }

    /// The pattern of a fingerprint in a scope, by the scope's code.
    mutating func find(_ fingerprint: Fingerprint, _ code: UInt64) -> PatternHandle? {
        var place = home(fingerprint, code)
        while true {
            let handle = places[place]
            if handle < 0 { return nil }
            if records[handle].fingerprint == fingerprint, records[handle].scopeCode == code { return handle }
            place = (place &+ 1) & mask
        }
    }

    /// A pattern that ``find(_:_:)`` did not find: one whose sample is wanted, or that was condemned.
    mutating func findAnew(_ fingerprint: Fingerprint, _ code: UInt64) -> PatternHandle? {
        var place = home(fingerprint, code)
        while places[place] >= 0 {
            let handle = places[place]
            if records[handle].fingerprint == fingerprint, records[handle].scope.code == code {
                records[handle].scopeCode = code
                return handle
            }
            place = (place &+ 1) & mask
        }
        guard let handle = condemned[Identity(fingerprint: fingerprint, code: code)] else { return nil }
        spare(handle)
        return handle
    }

    /// The next statement of this pattern has a text that is to be kept: until then it is found by ``findAnew(_:_:)`` only.
    mutating func wantSample(_ handle: PatternHandle) {
        guard handle > 0, !records[handle].isOther else { return }
        records[handle].scopeCode |= PatternRecord.wantsSample
    }

    /// Adds a pattern that a user ran; where there is no room for it, the record that stands for others.
    mutating func add(
        _ fingerprint: Fingerprint,
        _ scope: PatternScope,
        key: Fingerprint,
        text: [UInt8],
        ordinal: UInt64,
        owner: Int32 = 0,
        _ other: Fingerprint = .unknown
    ) -> PatternHandle {
        if let known = findAnew(fingerprint, scope.code) { return known }
        let weight = Self.weight(text)
        guard hasRoom(weight, for: owner), let handle = records.take() else {
            overflow &+= 1
            isCrowded = true
            patience -= 1
            return self.other(owner, scope.database, other)
        }
        records[handle].fingerprint = fingerprint
        (records[handle].scope, records[handle].scopeCode) = (scope, scope.code)
        records[handle].key = key
        records[handle].firstSeen = ordinal
        records[handle].owner = owner
        put(text, handle)
        lists.append(place(of: handle), to: owner, weight: weight)
        place(handle)
        patience -= 1
        if !isCrowded, lists.weight > Self.full(limit) || lists.weight(of: owner) > Self.full(Self.most(limit)) {
            isCrowded = true
        }
        return handle
    }

    /// What a pattern takes of the room.
    private static func weight(_ text: [UInt8]) -> Int { 1 + text.count / TableLimits.textUnit }
    private static func most(_ limit: Int) -> Int { TableLimits.most(of: limit) }
    private static func full(_ limit: Int) -> Int { limit - limit / 4 }

    private func hasRoom(_ weight: Int, for owner: Int32) -> Bool {
        let (own, all) = (lists.weight(of: owner) + weight, lists.weight + weight)
        guard own <= Self.most(limit), all <= limit else { return false }
        return all <= TableLimits.ease(limit) || own <= limit / (lists.owners + 1)
    }

    /// The record that stands for all other patterns of a user in a database, by their common fingerprint.
    mutating func other(_ owner: Int32, _ database: Int32, _ fingerprint: Fingerprint) -> PatternHandle {
        let known = others[owner] ?? [:]
        // Who has so many databases has one record for all others of them.
        let database = known.count < Self.mostDatabases || known[database] != nil ? database : 0
        if let handle = known[database] { return handle }
        guard otherCount < Self.mostOthers, let handle = records.take() else { return 0 }
        records[handle].fingerprint = fingerprint
        records[handle].scope = PatternScope(database: database)
        (records[handle].owner, records[handle].isOther) = (owner, true)
        put(Self.otherText, handle)
        others[owner, default: [:]][database] = handle
        otherCount += 1
        return handle
    }

    /// All patterns of a user who is forgotten are nobody's; returns what stands for the records of others now.
    mutating func disown(_ owner: Int32, _ fingerprint: Fingerprint) -> [PatternHandle: PatternHandle] {
        var heirs: [PatternHandle: PatternHandle] = [:]
        while let place = lists.first(of: owner) {
            records.occupant(at: Int(place))?.value.owner = 0
            lists.remove(place)
            lists.append(place, to: 0, weight: Self.weight(texts[Int(place)]))
        }
        for (database, handle) in others.removeValue(forKey: owner) ?? [:] {
            otherCount -= 1
            let heir = other(0, database, fingerprint)
            heirs[handle] = heir
            fold(handle, into: heir)
        }
        return heirs
    }

    /// The numbers of these users may be those of others soon: durations that wait to be learned from are nobody's.
    mutating func forget(_ users: Set<Int32>) {
        for place in 0..<records.highWater {
            guard let record = records.occupant(at: place) else { continue }
            if users.contains(record.value.recentOwner) {
                (record.value.recent, record.value.recentOwner) = (RecentDurations(), -1)
            }
            if users.contains(record.value.lastOwner) { record.value.lastOwner = -1 }
        }
    }

    // MARK: Making room

    /// Takes out of reach what should make room, first that which did not run for long; false: there is nothing.
    mutating func condemn() -> Bool {
        guard isCrowded, patience <= 0, condemned.isEmpty else { return false }
        isCrowded = false
        let most = Self.full(Self.most(limit))
        let isFull = lists.weight > Self.full(limit)
        let share = isFull ? min(most, lists.share(of: Self.full(limit))) : most
        var visits = 0
        for owner in lists.owners(above: share) {
            let left = share - share / 8
            while lists.weight(of: owner) > left, condemned.count < Self.mostCondemned, visits < Self.mostVisits,
                let handle = lists.first(of: owner).flatMap({ records.handle(at: Int($0)) })
            {
                visits += 1
                if isSpared(handle) { lists.turn(owner) } else { condemn(handle) }
            }
            if lists.weight(of: owner) > left { isCrowded = true }
        }
        hasCondemned = !condemned.isEmpty
        return hasCondemned
    }

    /// Whether a pattern ran since it was looked at last, or does so now and then.
    private func isSpared(_ handle: PatternHandle) -> Bool {
        let record = records.slot(handle)
        let uses = record.value.calls &+ record.value.errors
        if record.value.seenUses != uses {
            record.value.seenUses = uses
            record.value.chances = min(3, record.value.chances &+ 1)
            return true
        }
        guard record.value.chances > 0 else { return false }
        record.value.chances &-= 1
        return true
    }

    private mutating func condemn(_ handle: PatternHandle) {
        lists.remove(place(of: handle))
        unplace(handle)
        records[handle].isCondemned = true
        condemned[identity(handle)] = handle
    }

    private func identity(_ handle: PatternHandle) -> Identity {
        Identity(fingerprint: records[handle].fingerprint, code: records[handle].scope.code)
    }

    /// Something refers to a pattern: it stays, if it was condemned.
    mutating func spare(_ handle: PatternHandle) {
        guard handle > 0, records[handle].isCondemned else { return }
        records[handle].isCondemned = false
        records[handle].chances = 1
        records[handle].scopeCode = records[handle].scope.code
        condemned[identity(handle)] = nil
        lists.append(place(of: handle), to: records[handle].owner, weight: Self.weight(text(of: handle)))
        place(handle)
    }

    /// Adds up what is condemned still, and returns what stands for each now.
    ///
    /// - Parameter other: the fingerprint of a user's others.
    mutating func removeCondemned(_ other: (Int32) -> Fingerprint) -> [PatternHandle: PatternHandle] {
        var heirs: [PatternHandle: PatternHandle] = [:]
        for handle in condemned.values {
            let (owner, database) = (records[handle].owner, records[handle].database)
            let heir = self.other(owner, database, other(owner))
            fold(handle, into: heir)
            heirs[handle] = heir
        }
        condemned = [:]
        evictions &+= UInt64(heirs.count)
        // Where everything is in use, looking again at once would find the same.
        if hasCondemned, heirs.isEmpty { patience = limit / 16 }
        hasCondemned = false
        return heirs
    }

    private mutating func fold(_ handle: PatternHandle, into heir: PatternHandle) {
        let (record, sum) = (records.slot(handle), records.slot(heir))
        sum.value.calls &+= record.value.calls
        sum.value.errors &+= record.value.errors
        sum.value.rows &+= record.value.rows
        sum.value.costLow &+= record.value.costLow
        sum.value.cost &+= record.value.cost
        sum.value.durations.add(record.value.durations)
        sum.value.firstSeen = min(sum.value.firstSeen, record.value.firstSeen)
        // Blank at once: reports walk over free slots too.
        record.value = PatternRecord()
        let place = Int(place(of: handle))
        textBytes -= texts[place].count
        texts[place] = []
        leaving.append(handle)
    }

    /// Lets others have the places of what was removed: not before all that is kept of it was handed to its heirs, as a new
    /// record in such a place would be taken for the old one.
    mutating func giveBack() {
        for handle in leaving { records.give(handle) }
        leaving = []
    }

    // MARK: The index

    private mutating func put(_ text: [UInt8], _ handle: PatternHandle) {
        let place = Int(place(of: handle))
        while texts.count <= place { texts.append([]) }
        textBytes += text.count
        texts[place] = text
    }

    @inline(__always)
    private func home(_ fingerprint: Fingerprint, _ code: UInt64) -> Int {
        let spread = code &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: fingerprint.low &+ spread &+ spread &>> 32) & mask
    }

    private func home(_ handle: PatternHandle) -> Int {
        home(records[handle].fingerprint, records[handle].scope.code)
    }

    private mutating func place(_ handle: PatternHandle) {
        placed += 1
        if placed * 2 > places.count {
            let old = places
            places = Array(repeating: -1, count: old.count * 2)
            mask = places.count - 1
            for entry in old where entry >= 0 { insert(entry) }
        }
        insert(handle)
    }

    private mutating func insert(_ handle: PatternHandle) {
        var place = home(handle)
        while places[place] >= 0 { place = (place &+ 1) & mask }
        places[place] = handle
    }

    /// Takes a pattern out of the index, and moves up those behind it that stood farther from home because of it.
    private mutating func unplace(_ handle: PatternHandle) {
        var hole = home(handle)
        while places[hole] != handle {
            if places[hole] < 0 { return }
            hole = (hole &+ 1) & mask
        }
        placed -= 1
        var place = hole
        while true {
            place = (place &+ 1) & mask
            let other = places[place]
            if other < 0 { break }
            if (place &- home(other)) & mask >= (place &- hole) & mask {
                places[hole] = other
                hole = place
            }
        }
        places[hole] = -1
    }
}
