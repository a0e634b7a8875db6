// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import PostgresWire

/// First seen texts of patterns, literals included: kept in memory only, for those who price by example.
///
/// Their bytes are bounded. One user may fill a quarter of them, and loses own texts, the oldest first, for new ones; when
/// all is full, so does whoever holds most.
public struct SampleStore {
    private var samples: [PatternSample?] = []
    private var lists = OwnedLists()
    private let limit: Int
    /// Texts that gave way to others.
    public private(set) var evictions: UInt64 = 0

    /// A longer text is not kept, in bytes: cut in two, it would be another statement.
    private static var longest: Int { 64 << 10 }
    /// What a sample takes beside its text, in bytes.
    private static var overhead: Int { 128 }

    init(limit: Int) { self.limit = limit }

    /// Bytes that are kept.
    public var bytes: Int { lists.weight }

    /// Bytes of one user's.
    func bytes(of owner: Int32) -> Int { lists.weight(of: owner) }

    /// What is taken of the budget.
    public func memory(_ limits: TableLimits) -> TableMemory {
        TableMemory("samples", bytes: bytes, most: limits.samples)
    }

    /// A statement's text as a sample; empty, if it is too long.
    static func sample(_ sketch: StatementSketch, of text: RawSpan) -> PatternSample {
        let range = sketch.range.clamped(to: 0..<text.byteCount)
        var sample = PatternSample(text: [])
        if range.count <= longest { sample.text = range.map { text.byte(at: $0) } }
        sample.backslashEscapes = sketch.backslashEscapes
        return sample
    }

    /// Whether a pattern has a sample.
    func contains(_ pattern: Int32) -> Bool { lists.owner(of: pattern) != nil }

    /// The sample of a pattern; `nil`: it has none, or no longer.
    subscript(pattern: Int32) -> PatternSample? {
        samples.indices.contains(Int(pattern)) ? samples[Int(pattern)] : nil
    }

    /// Keeps a sample of a pattern, for a user.
    mutating func keep(_ sample: PatternSample, of pattern: Int32, for owner: Int32) {
        remove(pattern)
        let weight = Self.overhead + sample.text.count + 4 * sample.types.count
        guard weight <= limit / 4 else { return }
        while lists.weight(of: owner) + weight > limit / 4, let old = lists.first(of: owner) { evict(old) }
        while lists.weight + weight > limit, let largest = lists.largest {
            // A quarter of it at once, so that looking for whoever holds most is seldom.
            let left = lists.weight(of: largest) * 3 / 4
            while lists.weight(of: largest) > left, let old = lists.first(of: largest) { evict(old) }
        }
        while samples.count <= Int(pattern) { samples.append(nil) }
        samples[Int(pattern)] = sample
        lists.append(pattern, to: owner, weight: weight)
    }

    /// Notes the parameter types of a pattern, once.
    mutating func keep(types: RawSpan, of pattern: Int32) {
        guard let owner = lists.owner(of: pattern), var sample = self[pattern], sample.types.isEmpty else { return }
        // PostgreSQL takes no more parameters.
        let count = min(types.byteCount / 4, 65_535)
        sample.types = (0..<count).map { types.bigEndian32(at: $0 * 4) }
        keep(sample, of: pattern, for: owner)
    }

    /// A pattern's sample is needed no more.
    mutating func remove(_ pattern: Int32) {
        guard samples.indices.contains(Int(pattern)) else { return }
        samples[Int(pattern)] = nil
        lists.remove(pattern)
    }

    /// All that one user holds is another's.
    mutating func move(from owner: Int32, to other: Int32) { lists.move(from: owner, to: other) }

    private mutating func evict(_ pattern: Int32) {
        evictions &+= 1
        remove(pattern)
    }
}
