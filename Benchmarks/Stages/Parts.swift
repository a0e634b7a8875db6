// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Fingerprints
import Glibc

/// The texts of a file of `orm_statements.py`: a length of four bytes, three bytes of no interest here, the text.
func texts(_ path: String, _ limit: Int) -> [[UInt8]] {
    guard let file = unsafe fopen(path, "rb") else { return [] }
    defer { unsafe fclose(file) }
    var head = [UInt8](repeating: 0, count: 7)
    var result: [[UInt8]] = []
    while result.count < limit, unsafe fread(&head, 1, 7, file) == 7 {
        let length = head[0..<4].reduce(0) { $0 << 8 | Int($1) }
        var text = [UInt8](repeating: 0, count: length)
        guard unsafe fread(&text, 1, length, file) == length else { break }
        result.append(text)
    }
    return result
}

/// Sketches every text once; the sum keeps the work from being optimized away.
func sketch(_ texts: [[UInt8]], _ normalizer: inout Normalizer) -> UInt64 {
    var sum: UInt64 = 0
    for text in texts {
        var start = 0
        while let sketch = normalizer.sketch(text.rawSpan, from: start) {
            sum ^= sketch.fingerprint.low
            start = max(start + 1, sketch.range.upperBound)
        }
    }
    return sum
}

/// A statement with an IN list that makes it `bytes` long.
func longList(_ bytes: Int) -> [UInt8] {
    var text = Array("select * from t where id in (1".utf8)
    text.reserveCapacity(bytes + 16)
    var number = 1
    while text.count < bytes {
        number = number &* 48_271 % 0x7FFF_FFFF
        text += Array(",\(number)".utf8)
    }
    text += Array(")".utf8)
    return text
}

/// A cache filled with `patterns` prices, and keys in an order that no processor guesses.
func filledCache(_ patterns: Int) -> FilledCache {
    var cache = PriceCache(capacity: 2 * patterns)
    var state: UInt64 = 88_172_645_463_325_252
    func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
    let keys = (0..<patterns).map { _ in Fingerprint(high: next(), low: next()) }
    for key in keys { cache.store(KnownPrice(price: 1000), for: key, at: .epoch) }
    return FilledCache(cache: cache, keys: (0..<65_536).map { _ in keys[Int(next() % UInt64(patterns))] })
}

/// What a lookup needs.
struct FilledCache: ~Copyable {
    var cache: PriceCache
    var keys: [Fingerprint]

    /// Looks up every key; returns how many were there.
    mutating func lookUp() -> Int {
        var found = 0
        for key in keys where cache.find(key, at: Timestamp(nanoseconds: 1)) != nil { found &+= 1 }
        return found
    }
}

/// Hits among `count` lookups of `patterns` patterns, whose popularity is Zipf's with exponent 1.
///
/// The cache is of a daemon's size; what misses is stored, as the service's answer does.
func zipf(_ patterns: Int, _ count: Int) -> (hits: Int, evictions: UInt64) {
    var cache = PriceCache(capacity: PriceCache.liveCapacity, lifetime: .max)
    var sums: [Double] = []
    var sum = 0.0
    for rank in 1...patterns {
        sum += 1 / Double(rank)
        sums.append(sum)
    }
    let hash = KeyedHash.standard
    var state: UInt64 = 88_172_645_463_325_252
    var hits = 0
    for _ in 0..<count {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        let wanted = Double(state >> 11) / Double(1 << 53) * sum
        var (low, high) = (0, patterns - 1)
        while low < high {
            let middle = (low + high) / 2
            if sums[middle] < wanted { low = middle + 1 } else { high = middle }
        }
        let number = UInt64(low)
        let key = Fingerprint(high: hash.hash(number, 1), low: hash.hash(number, 2))
        if cache.find(key, at: .epoch) != nil {
            hits += 1
        } else {
            cache.store(KnownPrice(price: 1000), for: key, at: .epoch)
        }
    }
    return (hits, cache.evictions)
}
