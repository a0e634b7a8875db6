// SPDX-License-Identifier: Apache-2.0
import Domain

/// Sketches by skeleton: four ways, the least recently used goes; fixed memory, no allocation.
struct SketchMemo: ~Copyable {
    private struct Entry: BitwiseCopyable {
        var key = Fingerprint.unknown
        var fingerprint = Fingerprint.unknown
        var kind = StatementKind.unknown
        var limit = Decade.absent
        var offset = Decade.absent
        var used: UInt32 = 0
    }

    private static let ways = 4
    private var entries = [Entry](repeating: Entry(), count: 16_384)
    private var clock: UInt32 = 0

    /// The sketch of a skeleton, without its range.
    mutating func find(_ key: Fingerprint) -> StatementSketch? {
        let first = (Int(truncatingIfNeeded: key.low) & 4095) &* Self.ways
        for index in first..<first &+ Self.ways where entries[index].key == key {
            clock &+= 1
            entries[index].used = clock
            var sketch = StatementSketch()
            sketch.fingerprint = entries[index].fingerprint
            sketch.kind = entries[index].kind
            sketch.limit = entries[index].limit
            sketch.offset = entries[index].offset
            return sketch
        }
        return nil
    }

    /// Keeps a sketch; those with names in them are made anew each time.
    mutating func store(_ sketch: StatementSketch, for key: Fingerprint) {
        guard sketch.name.isEmpty, sketch.body == 0 else { return }
        let first = (Int(truncatingIfNeeded: key.low) & 4095) &* Self.ways
        var victim = first
        for index in first..<first &+ Self.ways
        where clock &- entries[index].used > clock &- entries[victim].used { victim = index }
        clock &+= 1
        entries[victim] = Entry(
            key: key,
            fingerprint: sketch.fingerprint,
            kind: sketch.kind,
            limit: sketch.limit,
            offset: sketch.offset,
            used: clock
        )
    }
}
