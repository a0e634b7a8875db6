// SPDX-License-Identifier: Apache-2.0
import Domain
import TestKit
import Testing

@testable import Fingerprints

/// The short way by the skeleton gives what the exact rules give, whatever was remembered before.
struct SkeletonTests {
    private static let pieces = [
        "select ", "a", "e", " ", " ", "\n", "in (", "IN(", "values (", "VALUES(", "array[", "[", "]", "(", ")", "), (",
        "),(", ", ", ",", "-", "- ",
        "+", ".", "..", "::text, ", "::", "--", "--\n", "/*", "*/", "/* c */", "limit ", " offset ", "fetch first ",
        " rows only", ";", "$", "$$", "$a$",
        "u&", "uescape", "E", "n", "x", "é", "\"", "\"a\"", "'", "\\", " null", " is not ", "with a as (",
        "prepare p as ", "execute p(", "begin atomic ",
        "create function ", " case ", " end ", "\u{0}", "?", "||", "1e", "e-", "0x", "_", " union ", "set ", " to ",
        " = ", "fetch ",
        "savepoint ", "release ", "rollback ", "declare ", "deallocate ", "current of ", "tmp_1", "temp ", " into ",
        " from t where x = ", "\"'\"", "\r", " order by ", " group by ", "distinct on (", "rollup (", "grouping sets (",
        " desc", "select ",
    ]

    private static func literal(_ random: inout SplitMix64) -> String {
        let number = Int.random(in: 0...99_999, using: &random)
        switch Int.random(in: 0..<12, using: &random) {
        case 0...4: return String(number >> Int.random(in: 0...16, using: &random))
        case 5: return "\(number).\(number % 97)"
        case 6: return "'\(String(repeating: "x", count: number % 70))'"
        case 7: return "'it''s \(number)'"
        case 8: return "E'\\'\(number)'"
        case 9: return "$$\(number)$$"
        case 10: return "\(number)e-\(number % 10)"
        default: return "$\(number % 20)"
        }
    }

    /// A text of the given pieces, `nil` standing for a literal or a list of some.
    private static func text(_ pieces: [String?], _ random: inout SplitMix64) -> [UInt8] {
        var text = ""
        for piece in pieces {
            if let piece {
                text += piece
                continue
            }
            text += literal(&random)
            guard Int.random(in: 0..<4, using: &random) == 0 else { continue }
            let separator = [", ", ",", "), (", "::text, "].randomElement(using: &random) ?? ","
            for _ in 0..<Int.random(in: 0..<4, using: &random) { text += separator + literal(&random) }
        }
        return Array(text.utf8)
    }

    private static func expectSame(_ bytes: [UInt8], _ fast: inout Normalizer, _ exact: inout Normalizer) {
        var start = 0
        while let expected = exact.exactSketch(bytes.rawSpan, from: start) {
            let sketch = fast.sketch(bytes.rawSpan, from: start)
            let text = String(decoding: bytes, as: UTF8.self)
            #expect(sketch?.fingerprint == expected.fingerprint, "\(text.debugDescription) at \(start)")
            #expect(sketch?.kind == expected.kind && sketch?.range == expected.range, "\(text.debugDescription)")
            #expect(sketch?.limit == expected.limit && sketch?.offset == expected.offset, "\(text.debugDescription)")
            #expect(sketch?.name == expected.name && sketch?.body == expected.body, "\(text.debugDescription)")
            start = max(start + 1, expected.range.upperBound)
        }
        #expect(fast.sketch(bytes.rawSpan, from: start) == nil)
    }

    @Test func `a letter that belongs to the number before it does not make a string one with escapes`() {
        var fast = Normalizer(hash: .standard)
        var exact = Normalizer(hash: .standard)
        // One skeleton, but the backslash decides where the first string ends.
        for text in ["f((2.E'ab')", #"f((2.E'1\'x')"#, #"f((2.e'1\')"#] {
            Self.expectSame(Array(text.utf8), &fast, &exact)
        }
    }

    @Test(arguments: 0..<24)
    func `token soup has the same sketch by both ways`(_ seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        var fast = Normalizer(hash: .standard)
        var exact = Normalizer(hash: .standard)
        for round in 0..<120 {
            let count = Int.random(in: 1...(round % 4 == 0 ? 60 : 14), using: &random)
            let pieces = (0..<count).map { _ in
                Int.random(in: 0..<3, using: &random) == 0 ? nil : Self.pieces.randomElement(using: &random)
            }
            for _ in 0..<4 { Self.expectSame(Self.text(pieces, &random), &fast, &exact) }
        }
    }

    @Test(arguments: 0..<12)
    func `random bytes have the same sketch by both ways`(_ seed: Int) {
        var random = SplitMix64(seed: UInt64(1000 + seed))
        var fast = Normalizer(hash: .standard)
        var exact = Normalizer(hash: .standard)
        for _ in 0..<100 {
            let isText = Bool.random(using: &random)
            let bytes = (0..<Int.random(in: 0...300, using: &random)).map { _ in
                isText ? UInt8.random(in: 0x20...0x7E, using: &random) : UInt8.random(in: 0...255, using: &random)
            }
            Self.expectSame(bytes, &fast, &exact)
        }
    }

    /// Every token at every place around the borders of 64-byte blocks.
    @Test(arguments: [
        "12345", "'it''s'", "''", "'a''''b'", "E'\\''", "$$a$$", "$x$ $ $x$", "$12", "1.5e-3", "5.e-3", "0x1e-5",
        "\"a b\"", "\"a\"\"b\"", "-- c\n", "/* /* */ */",
        "in (1, 2, 3)", "values (1, 'a'), (2, 'b'), (3, 'c')", "array[1, 2, 3]", "t.e-1", "e-1", "a.5", "'a'\n'b'",
        "a$1", "$1$2", "1$a$x$a$",
    ])
    func `tokens across the border of a block`(_ token: String) {
        var fast = Normalizer(hash: .standard)
        var exact = Normalizer(hash: .standard)
        for padding in 0..<150 {
            let pad = "select " + String(repeating: "a", count: padding)
            for text in [
                "\(pad) \(token) limit 5", "\(pad) \(token)", "\(pad),\(token)x;select 1", "\(pad)\(token)'b'",
            ] {
                Self.expectSame(Array(text.utf8), &fast, &exact)
            }
        }
    }

    @Test func `texts that differ in more than literals never share a sketch`() {
        var fast = Normalizer(hash: .standard)
        let pairs = [
            ("select f(1, 2)", "select f(1)"), ("select 1-5", "select 1e-5"), ("select 'a' 'b'", "select 'a'\n'b'"),
            ("select $1$2", "select $$1$2$$"),
            ("select 'a' /* */\n 'b'", "select 'a' --\n 'b'"), ("select a in (1, 2 + 3)", "select a in (1, 2)"),
            ("select \"a;b\"", "select \"a"),
            ("select 1", "select 1 'x'"), ("select 1.5", "select 1 .5.5"),
            ("values (1), (2, 3)", "values (1), (2), (3, a)"),
        ]
        for (left, right) in pairs {
            let first = fast.sketch(Array(left.utf8).rawSpan, from: 0)?.fingerprint
            #expect(first != fast.sketch(Array(right.utf8).rawSpan, from: 0)?.fingerprint, "\(left) | \(right)")
        }
    }

    @Test(arguments: [
        "(", ")", "+", "-+", "$a", "'", "/*", "E'\\", "U&'' uescape ", "values(1),(", "in(1,(2,", "- ", "1.", "\0",
        "\"a\".", "[", "limit 5 ",
    ])
    func `a million repetitions take no longer than they must`(_ piece: String) {
        let bytes = Array(String(repeating: piece, count: 1_000_000 / piece.utf8.count).utf8)
        var normalizer = Normalizer(hash: .standard)
        let duration = ContinuousClock().measure { _ = normalizer.sketch(bytes.rawSpan, from: 0) }
        #expect(duration < .seconds(20))
    }

    @Test func `a list of ten megabytes has the pattern of a list of one`() {
        let long = Array(
            ("select * from t where a in (" + String(repeating: "1234567, ", count: 1_100_000) + "1) limit 20").utf8
        )
        var normalizer = Normalizer(hash: .standard)
        for _ in 0..<2 {
            let sketch = normalizer.sketch(long.rawSpan, from: 0)
            #expect(
                sketch?.fingerprint == NormalizerTests.sketch("select * from t where a in (1) limit 1")?.fingerprint
            )
            #expect(sketch?.limit == .upTo100)
        }
    }
}

/// Both ways to classify 64 bytes agree, whatever the bytes are.
struct ByteBlockTests {
    @Test func `the wide way finds what the narrow one finds`() {
        guard ByteBlock.canUseWide() else { return }
        var random = SplitMix64(seed: 64)
        let common = Array("aZ09_$'\"-/*;eE+ (,.é".utf8)
        for _ in 0..<20_000 {
            let isWild = Bool.random(using: &random)
            let bytes = (0..<ByteBlock.reach).map { _ in
                isWild ? UInt8.random(in: 0...255, using: &random) : common.randomElement(using: &random) ?? 0
            }
            let inString: UInt64 = Bool.random(using: &random) ? .max : 0
            unsafe bytes.withUnsafeBytes { buffer in
                guard let address = buffer.baseAddress else { return }
                let wide = unsafe ByteBlock(address, inString: inString, isWide: true)
                let narrow = unsafe ByteBlock(address, inString: inString, isWide: false)
                #expect(wide == narrow)
            }
        }
    }
}
