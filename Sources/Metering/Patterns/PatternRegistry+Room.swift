// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import PostgresWire

/// How patterns make room for others, and what stands for those that went.
extension PatternRegistry {
    /// Takes out of reach what should make room, first that which did not run for long; false: there is nothing.
    mutating func condemn() -> Bool {
        wantsSweep = false
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
    func isSpared(_ handle: PatternHandle) -> Bool {
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

    mutating func condemn(_ handle: PatternHandle) {
        lists.remove(place(of: handle))
        index.remove(handle, in: records)
        records[handle].isCondemned = true
        condemned[identity(handle)] = handle
    }

    func identity(_ handle: PatternHandle) -> Identity {
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
        index.insert(handle, in: records)
    }

    /// Adds up what is condemned still, and returns what stands for each now.
    ///
    /// - Parameter tenant: the hash of a user's name, by its number.
    mutating func removeCondemned(_ tenant: (Int32) -> Fingerprint) -> [PatternHandle: PatternHandle] {
        var heirs: [PatternHandle: PatternHandle] = [:]
        for handle in condemned.values {
            let (owner, database) = (records[handle].owner, records[handle].database)
            let heir = other(owner, database, otherFingerprint(tenant(owner)))
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

    mutating func fold(_ handle: PatternHandle, into heir: PatternHandle) {
        let (record, sum) = (records.slot(handle), records.slot(heir))
        sum.value.add(record.value)
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

    // MARK: What stands for others

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
    mutating func disown(_ owner: Int32) -> [PatternHandle: PatternHandle] {
        var heirs: [PatternHandle: PatternHandle] = [:]
        while let place = lists.first(of: owner) {
            records.occupant(at: Int(place))?.value.owner = 0
            lists.remove(place)
            lists.append(place, to: 0, weight: Self.weight(texts[Int(place)]))
        }
        for (database, handle) in others.removeValue(forKey: owner) ?? [:] {
            otherCount -= 1
            let heir = other(0, database, otherFingerprint(.unknown))
            heirs[handle] = heir
            fold(handle, into: heir)
        }
        return heirs
    }

    /// The numbers of these users may be those of others soon: durations that wait to be learned from are nobody's.
    func forget(_ users: Set<Int32>) {
        for place in 0..<records.highWater { records.occupant(at: place)?.value.forget(users) }
    }
}
