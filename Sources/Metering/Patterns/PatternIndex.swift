// SPDX-License-Identifier: Apache-2.0
import Domain
import PostgresWire

/// Patterns by fingerprint and scope: open addressing, at most half full, so that every search ends.
struct PatternIndex {
    private var places: [Int32] = Array(repeating: -1, count: 4096)
    private var mask = 4095
    private var count = 0

    /// Bytes that it takes.
    var bytes: Int { 4 * places.count }

    /// The pattern of a fingerprint whose code, as it is compared with every statement, is this.
    @inline(__always)
    func find(
        _ fingerprint: Fingerprint,
        _ code: UInt64,
        in records: borrowing SlotTable<PatternRecord>
    ) -> PatternHandle? {
        var place = home(fingerprint, code)
        while true {
            let handle = places[place]
            if handle < 0 { return nil }
            if records[handle].fingerprint == fingerprint, records[handle].scopeCode == code { return handle }
            place = (place &+ 1) & mask
        }
    }

    /// The same by the scope itself: this finds those whose sample is wanted, too.
    func findAnew(
        _ fingerprint: Fingerprint,
        _ code: UInt64,
        in records: borrowing SlotTable<PatternRecord>
    ) -> PatternHandle? {
        var place = home(fingerprint, code)
        while places[place] >= 0 {
            let handle = places[place]
            if records[handle].fingerprint == fingerprint, records[handle].scope.code == code { return handle }
            place = (place &+ 1) & mask
        }
        return nil
    }

    /// Adds a pattern that is not there.
    mutating func insert(_ handle: PatternHandle, in records: borrowing SlotTable<PatternRecord>) {
        count += 1
        if count * 2 > places.count {
            let old = places
            places = Array(repeating: -1, count: old.count * 2)
            mask = places.count - 1
            for entry in old where entry >= 0 { put(entry, records) }
        }
        put(handle, records)
    }

    /// Takes a pattern out, and moves up those behind it that stood farther from home because of it.
    mutating func remove(_ handle: PatternHandle, in records: borrowing SlotTable<PatternRecord>) {
        var hole = home(handle, records)
        while places[hole] != handle {
            if places[hole] < 0 { return }
            hole = (hole &+ 1) & mask
        }
        count -= 1
        var place = hole
        while true {
            place = (place &+ 1) & mask
            let other = places[place]
            if other < 0 { break }
            if (place &- home(other, records)) & mask >= (place &- hole) & mask {
                places[hole] = other
                hole = place
            }
        }
        places[hole] = -1
    }

    @inline(__always)
    private func home(_ fingerprint: Fingerprint, _ code: UInt64) -> Int {
        let spread = code &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: fingerprint.low &+ spread &+ spread &>> 32) & mask
    }

    private func home(_ handle: PatternHandle, _ records: borrowing SlotTable<PatternRecord>) -> Int {
        home(records[handle].fingerprint, records[handle].scope.code)
    }

    private mutating func put(_ handle: PatternHandle, _ records: borrowing SlotTable<PatternRecord>) {
        var place = home(handle, records)
        while places[place] >= 0 { place = (place &+ 1) & mask }
        places[place] = handle
    }
}
