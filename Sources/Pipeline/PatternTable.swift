// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import PostgresWire

/// What is known of one statement pattern in one database.
struct PatternRecord: BitwiseCopyable {
    // First what every statement touches, so that it lies in few cache lines.
    var fingerprint = Fingerprint.unknown
    /// The scope's code: compared with every statement.
    fileprivate var scopeCode: UInt64 = 0
    /// What it costs, micro-units, and until when that is good, ns since 1970.
    var price: Int64 = 0
    var priceExpires: Int64 = .min
    var calls: UInt64 = 0
    var rows: UInt64 = 0
    /// It is the planner's: rows and bytes are charged on top.
    var isMeasured = false
    /// Micro-units: proven, and proven or possible.
    var costLow: Int64 = 0
    var cost: Int64 = 0
    var durations = DurationHistogram()
    var errors: UInt64 = 0
    /// Where it runs, and in which variant it is priced.
    fileprivate(set) var scope = PatternScope()
    /// Index into the table of database names; 0: unknown.
    var database: Int32 { scope.database }
    /// What its price is known by.
    var key = Fingerprint.unknown
    /// When its price was asked for last, ns since 1970.
    var asked: Int64 = .min
    /// The packet it was first seen in.
    var firstSeen: UInt64 = .max
    /// Durations that nobody has learned from yet.
    var recent = RecentDurations()
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

    /// As one number: databases and roles are no more than principals (20 bits), paths no more than 4096, decades ten.
    @inline(__always)
    var code: UInt64 {
        UInt64(UInt32(bitPattern: database)) | UInt64(UInt32(bitPattern: role)) &<< 20 | UInt64(path) &<< 40
            | UInt64(limit.rawValue) &<< 52 | UInt64(offset.rawValue) &<< 56
    }
}

/// The patterns of one worker, by fingerprint and scope.
///
/// Handle 0 collects what has no pattern.
struct PatternTable: ~Copyable {
    /// More patterns than this share handle 0.
    static let limit = 1 << 20

    var records: SlotTable<PatternRecord>
    /// Normalized texts, by handle.
    private(set) var texts: [[UInt8]] = [[]]
    private var places: [Int32] = Array(repeating: -1, count: 4096)
    private var mask = 4095
    /// Statements whose pattern found no room.
    private(set) var overflow: UInt64 = 0

    init() {
        records = SlotTable(limit: Self.limit, blank: PatternRecord())
        _ = records.take()
    }

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

    mutating func add(
        _ fingerprint: Fingerprint,
        _ scope: PatternScope,
        key: Fingerprint,
        text: [UInt8],
        ordinal: UInt64
    ) -> PatternHandle {
        guard let handle = records.take() else {
            overflow &+= 1
            return 0
        }
        records[handle].fingerprint = fingerprint
        (records[handle].scope, records[handle].scopeCode) = (scope, scope.code)
        records[handle].key = key
        records[handle].firstSeen = ordinal
        texts.append(text)
        if texts.count * 2 > places.count { grow() }
        insert(handle)
        return handle
    }

    @inline(__always)
    private func home(_ fingerprint: Fingerprint, _ code: UInt64) -> Int {
        let spread = code &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: fingerprint.low &+ spread &+ spread &>> 32) & mask
    }

    private mutating func grow() {
        places = Array(repeating: -1, count: places.count * 2)
        mask = places.count - 1
        for handle in 1..<Int32(texts.count - 1) { insert(handle) }
    }

    private mutating func insert(_ handle: PatternHandle) {
        var place = home(records[handle].fingerprint, records[handle].scopeCode)
        while places[place] >= 0 { place = (place &+ 1) & mask }
        places[place] = handle
    }
}
