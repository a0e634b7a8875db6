// SPDX-License-Identifier: Apache-2.0
import Domain

/// The sketches of whole texts seen lately: a fixed table of two entries a set, small enough for the cache.
///
/// Worth its price only where texts come back byte for byte; where they do not, it is asked but now and then. Whether a
/// text is there is told by tags, which are few cache lines; entries are many.
struct TextMemo: ~Copyable {
    private struct Entry: BitwiseCopyable {
        var key = Fingerprint.unknown
        var sketch = StatementSketch()
    }

    private static let sets = 1024
    /// One text in so many is looked up while texts do not come back.
    private static let seldom: UInt32 = 16
    /// What a hit is worth in misses: a lookup costs about a sixteenth of a sketch.
    private static let gain = 16
    private static let mostCredit = 4096

    /// A part of each entry's key; 0: no entry.
    private var tags = [UInt32](repeating: 0, count: 2 * sets)
    private var entries = [Entry](repeating: Entry(), count: 2 * sets)
    private var credit = mostCredit
    private var skipped: UInt32 = 0

    init() {}

    /// Whether the next text should be looked up.
    var isWorthwhile: Bool {
        mutating get {
            if credit > 0 { return true }
            skipped &+= 1
            return skipped % Self.seldom == 0
        }
    }

    /// The sketch of the text with this hash.
    @inline(__always)
    mutating func find(_ key: Fingerprint) -> StatementSketch? {
        let (first, tag) = (Self.set(key), Self.tag(key))
        if tags[first] == tag, entries[first].key == key {
            credit = min(credit &+ Self.gain, Self.mostCredit)
            return entries[first].sketch
        }
        if tags[first &+ 1] == tag, entries[first &+ 1].key == key {
            credit = min(credit &+ Self.gain, Self.mostCredit)
            tags.swapAt(first, first &+ 1)
            entries.swapAt(first, first &+ 1)
            return entries[first].sketch
        }
        credit = max(0, credit &- 1)
        return nil
    }

    /// Remembers a sketch in place of the set's last one.
    mutating func insert(_ key: Fingerprint, _ sketch: StatementSketch) {
        let second = Self.set(key) &+ 1
        tags[second] = Self.tag(key)
        entries[second] = Entry(key: key, sketch: sketch)
    }

    private static func tag(_ key: Fingerprint) -> UInt32 { UInt32(truncatingIfNeeded: key.low) | 1 }

    private static func set(_ key: Fingerprint) -> Int { Int(truncatingIfNeeded: key.high) & (sets &- 1) &* 2 }
}
