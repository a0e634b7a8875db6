// SPDX-License-Identifier: Apache-2.0
import Costs
public import Domain
import Fingerprints
public import PostgresWire

/// What ran: the patterns of one worker, by fingerprint and scope.
///
/// Handle 0 collects what has no pattern. The table is bounded; each pattern belongs to the user who ran it first. Where a
/// user holds too much, those of the user's patterns that did not run for the longest time are condemned: they are found no
/// longer, and once nothing refers to them (``PatternRegistry/removeCondemned(_:)``), what they counted is added to one record
/// that stands for all other patterns of that user in that database.
public struct PatternRegistry: ~Copyable {
    var records: SlotTable<PatternRecord>
    private var normalizer: Normalizer
    /// Normalized texts, by place.
    var texts: [[UInt8]] = [[]]
    var textBytes = 0
    var index = PatternIndex()
    /// By the places of patterns.
    var lists = OwnedLists()
    let limit: Int
    /// Records that stand for all other patterns of a user in a database.
    var others: [Int32: [Int32: PatternHandle]] = [:]
    var otherCount = 0
    var condemned: [Identity: PatternHandle] = [:]
    /// Statements of patterns that found no room at once.
    public internal(set) var overflow: UInt64 = 0
    /// Patterns that gave way to others.
    public internal(set) var evictions: UInt64 = 0
    /// Whether patterns should be condemned before long.
    var isCrowded = false
    /// Whether that was so when a pattern was added since the last time that room was made.
    var wantsSweep = false
    /// How many patterns are to be added before condemning is worth while again.
    var patience = 0
    /// Records that were added up with others, and whose places nobody has yet: see ``giveBack()``.
    var leaving: [PatternHandle] = []
    let hash: KeyedHash
    /// Whether something was condemned since ``removeCondemned(_:)``.
    var hasCondemned = false

    struct Identity: Hashable {
        var fingerprint: Fingerprint
        var code: UInt64
    }

    /// So many are condemned at once, at most, and looked at to find them.
    static var mostCondemned: Int { 4096 }
    static var mostVisits: Int { 3 * 4096 }
    /// Databases of one user that have a record for other patterns each, and such records of all users.
    static var mostDatabases: Int { 64 }
    static var mostOthers: Int { 1 << 16 }
    /// The text of those records.
    static var otherText: [UInt8] { Array("(other patterns)".utf8) }

    /// A table of at most `limit` patterns, those condemned and those that stand for others not counted.
    init(limit: Int, hash: KeyedHash) {
        self.limit = limit
        self.hash = hash
        normalizer = Normalizer(hash: hash)
        records = SlotTable(
            limit: limit + 3 * Self.mostCondemned + Self.mostOthers,
            blank: PatternRecord(),
            checksHandles: true
        )
        _ = records.include(0)
    }

    /// Bytes that records, texts and the index take.
    public var bytes: Int {
        records.highWater * (MemoryLayout<PatternRecord>.stride + 32) + textBytes + index.bytes
    }
    /// Bytes of one pattern, its text and its places in indexes included.
    public static var bytesOfEntry: Int { MemoryLayout<PatternRecord>.stride + TableLimits.textUnit + 64 }
    /// What is taken of the budget.
    public func memory(_ limits: TableLimits) -> TableMemory {
        TableMemory("patterns", bytes: bytes, most: limits.patterns * Self.bytesOfEntry)
    }

    /// How many patterns are known.
    public var count: Int { max(0, records.count - 1 - condemned.count) }

    /// Places of patterns are smaller than this.
    public var highWater: Int { records.highWater }
    /// The record that stands at a place from 0, if it is in use; free places may be told as blank records.
    public func occupant(at place: Int) -> Slot<PatternRecord>? { records.occupant(at: place) }
    /// A pattern's record.
    @inline(__always)
    public func slot(_ handle: PatternHandle) -> Slot<PatternRecord> { records.slot(handle) }

    /// What a user's patterns take of the table's room.
    func weight(of owner: Int32) -> Int { lists.weight(of: owner) }

    /// Where a pattern stands: what is kept beside the table is found by this.
    @inline(__always)
    func place(of handle: PatternHandle) -> Int32 { records.place(of: handle) }

    /// A pattern's normalized text.
    public func text(of handle: PatternHandle) -> [UInt8] { texts[Int(place(of: handle))] }

    /// Who ran a pattern first.
    func owner(of handle: PatternHandle) -> Int32 { records[handle].owner }

    // MARK: Looking up

    /// The statement at or after a byte of a text, as the protocol stage asks for it.
    @inline(__always)
    mutating func sketch(_ text: RawSpan, from start: Int, backslashEscapes: Bool) -> StatementSketch? {
        normalizer.sketch(text, from: start, backslashEscapes: backslashEscapes)
    }

    /// The normalized text of a sketched statement.
    mutating func patternText(_ text: RawSpan, _ sketch: StatementSketch) -> [UInt8] {
        normalizer.patternText(text, sketch)
    }

    /// The pattern of a fingerprint in a scope, by the scope's code.
    @inline(__always)
    func find(_ fingerprint: Fingerprint, _ code: UInt64) -> PatternHandle? {
        index.find(fingerprint, code, in: records)
    }

    /// A pattern that ``find(_:_:)`` did not find: one whose sample is wanted, or that was condemned.
    mutating func findAnew(_ fingerprint: Fingerprint, _ code: UInt64) -> PatternHandle? {
        if let handle = index.findAnew(fingerprint, code, in: records) {
            records[handle].scopeCode = code
            return handle
        }
        guard let handle = condemned[Identity(fingerprint: fingerprint, code: code)] else { return nil }
        spare(handle)
        return handle
    }

    /// What a pattern costs where nobody prices it, and whether it only waits.
    ///
    /// - Parameter isCatalogFirst: whether names without a schema are those of pg_catalog, wherever it has them.
    func classify(_ handle: PatternHandle, _ kind: StatementKind, _ pattern: [UInt8], isCatalogFirst: Bool) {
        guard handle > 0, !records[handle].isOther else { return }
        records[handle].isWaiting = isCatalogFirst && Waiting.isWaiting(kind, pattern: pattern)
        // What has a plan has no class, and is most of what a flood of new patterns consists of.
        guard !kind.isPlannable else { return }
        let leading = LeadingWords(pattern, LexicalTokens.scan(pattern))
        if let known = UtilityClass(words: leading.words, hasOptions: leading.hasOptions) {
            records[handle].assumed = CostUnits(units: known.units).micro
        }
    }

    /// Other prices hold from now on: each pattern's is looked up when it runs next.
    func expirePrices() {
        for place in 0..<records.highWater { records.occupant(at: place)?.value.priceExpires = .min }
    }

    // MARK: Adding

    /// Adds a pattern that a user ran; where there is no room for it, the record that stands for others.
    ///
    /// - Parameter tenant: the hash of the user's name.
    mutating func add(
        _ fingerprint: Fingerprint,
        _ scope: PatternScope,
        key: Fingerprint,
        text: [UInt8],
        ordinal: UInt64,
        owner: Int32,
        _ tenant: Fingerprint
    ) -> PatternHandle {
        defer { if isCrowded { wantsSweep = true } }
        if let known = findAnew(fingerprint, scope.code) { return known }
        let weight = Self.weight(text)
        guard hasRoom(weight, for: owner), let handle = records.take() else {
            overflow &+= 1
            isCrowded = true
            patience -= 1
            return other(owner, scope.database, otherFingerprint(tenant))
        }
        records[handle].fingerprint = fingerprint
        (records[handle].scope, records[handle].scopeCode) = (scope, scope.code)
        records[handle].key = key
        records[handle].firstSeen = ordinal
        records[handle].owner = owner
        put(text, handle)
        lists.append(place(of: handle), to: owner, weight: weight)
        index.insert(handle, in: records)
        patience -= 1
        if !isCrowded, lists.weight > Self.full(limit) || lists.weight(of: owner) > Self.full(Self.most(limit)) {
            isCrowded = true
        }
        return handle
    }

    /// What a pattern takes of the room.
    static func weight(_ text: [UInt8]) -> Int { 1 + text.count / TableLimits.textUnit }
    static func most(_ limit: Int) -> Int { TableLimits.most(of: limit) }
    static func full(_ limit: Int) -> Int { limit - limit / 4 }

    private func hasRoom(_ weight: Int, for owner: Int32) -> Bool {
        let (own, all) = (lists.weight(of: owner) + weight, lists.weight + weight)
        guard own <= Self.most(limit), all <= limit else { return false }
        return all <= TableLimits.ease(limit) || own <= limit / (lists.owners + 1)
    }

    /// The fingerprint that stands for all other patterns of a user, by the hash of the name.
    func otherFingerprint(_ user: Fingerprint) -> Fingerprint {
        Fingerprint(high: hash.hash(user.high, 0x6F74_6865_7273), low: hash.hash(0x6F74_6865_7273, user.low))
    }

    mutating func put(_ text: [UInt8], _ handle: PatternHandle) {
        let place = Int(place(of: handle))
        while texts.count <= place { texts.append([]) }
        textBytes += text.count
        texts[place] = text
    }
}
