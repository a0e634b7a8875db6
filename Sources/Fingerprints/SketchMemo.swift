// SPDX-License-Identifier: Apache-2.0
import Domain

/// What the exact rules told of the skeletons seen lately: a fixed table, four entries to a set.
struct SketchMemo: ~Copyable {
    /// A finished sketch, places relative to the statement's first byte.
    struct Entry: BitwiseCopyable {
        var fingerprint = Fingerprint.unknown
        var kind = StatementKind.unknown
        var limit = Decade.absent
        var offset = Decade.absent
        /// The numbers of the literals of LIMIT and OFFSET in the skeleton, or -1.
        var limitLiteral: Int32 = -1
        var offsetLiteral: Int32 = -1
        var nameStart: Int32 = 0
        var nameLength: Int32 = 0
        var body: Int32 = 0
        /// Which of the first 64 literals stand where ordinals do: the sketch holds for those of its text alone, and is
        /// found by the key that they have together with the skeleton.
        var ordinals: UInt64 = 0
    }

    private static let ways = 4
    private static let sets = 4096

    private var keys = [Fingerprint](repeating: .unknown, count: ways * sets)
    private var entries = [Entry](repeating: Entry(), count: ways * sets)

    init() {}

    /// The entry of a skeleton.
    mutating func find(_ key: Fingerprint) -> Entry? {
        let first = Self.set(key)
        for index in first..<(first &+ Self.ways) where keys[index].low == key.low && keys[index].high == key.high {
            guard index > first else { return entries[index] }
            // Moves up one place, so that the last place holds what is asked for least.
            keys.swapAt(index, index &- 1)
            entries.swapAt(index, index &- 1)
            return entries[index &- 1]
        }
        return nil
    }

    /// Remembers an entry in place of the set's last one.
    mutating func insert(_ key: Fingerprint, _ entry: Entry) {
        let last = Self.set(key) &+ Self.ways &- 1
        keys[last] = key
        entries[last] = entry
    }

    private static func set(_ key: Fingerprint) -> Int { Int(truncatingIfNeeded: key.high) & (sets &- 1) &* ways }
}
