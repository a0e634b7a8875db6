public import Domain
public struct Normalizer: ~Copyable {
    let hash: KeyedHash
    public init(hash: KeyedHash) { self.hash = hash }
    public mutating func sketch(_ sql: RawSpan, from start: Int, backslashEscapes: Bool = false) -> StatementSketch? {
        if start >= sql.byteCount { return nil }
        var s = StatementSketch(); s.range = start..<sql.byteCount; s.fingerprint = hash.hash(sql.extracting(0..<min(24, sql.byteCount))); s.kind = .select; return s }
    public mutating func patternText(_ sql: RawSpan, _ range: Range<Int>, backslashEscapes: Bool = false) -> [UInt8] { [63] }
}
