// SPDX-License-Identifier: Apache-2.0
import Domain
import Fingerprints

nonisolated(unsafe) private var normalizer = Normalizer(hash: .standard)

/// Texts, one after another: the first up to a zero byte; what stands behind that; and the first with changes, two bytes
/// each, a place and what stands there instead, as texts that are nearly the same are what is remembered.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let data = unsafe data else { return 0 }
    let bytes = unsafe Array(UnsafeBufferPointer(start: data, count: count))
    let end = bytes.firstIndex(of: 0) ?? count
    let escapes = count % 5 == 0
    let first = Array(bytes[..<end])
    let rest = Array(bytes[min(end + 1, count)...])
    take(first, escapes)
    guard !rest.isEmpty else { return 0 }
    take(rest, escapes)
    guard !first.isEmpty else { return 0 }
    var changed = first
    for index in stride(from: 0, to: rest.count - 1, by: 2) {
        changed[Int(rest[index]) % first.count] = rest[index + 1]
        if index < 8 { compare(changed) }
    }
    take(changed, escapes)
    // The first once more, behind all that is nearly it.
    compare(first)
    return 0
}

/// What is remembered of other texts never changes a sketch.
private func compare(_ bytes: [UInt8]) {
    let quick = unsafe normalizer.sketch(bytes.rawSpan, from: 0)
    let exact = unsafe normalizer.exactSketch(bytes.rawSpan, from: 0)
    precondition(quick?.fingerprint == exact?.fingerprint && quick?.kind == exact?.kind)
    precondition(quick?.limit == exact?.limit && quick?.offset == exact?.offset && quick?.range == exact?.range)
    precondition(quick?.name == exact?.name && quick?.body == exact?.body)
}

/// Any text: statements move forward, stand alone as they stood in the text, and their patterns are text.
private func take(_ bytes: [UInt8], _ escapes: Bool) {
    compare(bytes)
    var start = 0
    while let sketch = unsafe normalizer.sketch(bytes.rawSpan, from: start, backslashEscapes: escapes) {
        precondition(sketch.range.lowerBound >= start && sketch.range.upperBound <= bytes.count)
        let alone = Array(bytes[sketch.range])
        let again = unsafe normalizer.sketch(alone.rawSpan, from: 0, backslashEscapes: escapes)
        precondition(again?.fingerprint == sketch.fingerprint, "a statement depends on what stands around it")
        let text = unsafe normalizer.patternText(bytes.rawSpan, sketch)
        precondition(text.count <= Normalizer.longestText)
        start = max(start + 1, sketch.range.upperBound)
    }
}

#if UNGUIDED
import Unguided

@main struct Main {
    static func main() { unsafe runUnguided { unsafe fuzz($0, $1) } }
}
#endif
