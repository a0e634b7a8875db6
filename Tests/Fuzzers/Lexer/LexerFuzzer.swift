// SPDX-License-Identifier: Apache-2.0
import Domain
import Fingerprints

nonisolated(unsafe) private var normalizer = Normalizer(hash: .standard)

/// Any text: statements move forward, stand alone as they stood in the text, and their patterns are text.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let data = unsafe data else { return 0 }
    let bytes = unsafe Array(UnsafeBufferPointer(start: data, count: count))
    // What is remembered of other texts never changes a sketch.
    let quick = unsafe normalizer.sketch(bytes.rawSpan, from: 0)
    let exact = unsafe normalizer.exactSketch(bytes.rawSpan, from: 0)
    precondition(quick?.fingerprint == exact?.fingerprint && quick?.kind == exact?.kind)
    precondition(quick?.limit == exact?.limit && quick?.offset == exact?.offset && quick?.range == exact?.range)
    var start = 0
    while let sketch = unsafe normalizer.sketch(bytes.rawSpan, from: start, backslashEscapes: count % 5 == 0) {
        precondition(sketch.range.lowerBound >= start && sketch.range.upperBound <= bytes.count)
        let alone = Array(bytes[sketch.range])
        let again = unsafe normalizer.sketch(alone.rawSpan, from: 0, backslashEscapes: count % 5 == 0)
        precondition(again?.fingerprint == sketch.fingerprint, "a statement depends on what stands around it")
        let text = unsafe normalizer.patternText(bytes.rawSpan, sketch)
        precondition(text.count <= Normalizer.longestText)
        start = max(start + 1, sketch.range.upperBound)
    }
    return 0
}
