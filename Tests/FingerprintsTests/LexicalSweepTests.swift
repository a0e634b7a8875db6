// SPDX-License-Identifier: Apache-2.0
import Domain
import TestKit
import Testing

@testable import Fingerprints

/// All short combinations of what the lexer tells apart, in random order through one memo: what a text is does not depend
/// on what stood before it, in another tenant's session perhaps, and texts of one skeleton are one to the exact rules.
struct LexicalSweepTests {
    /// A piece of each class, and what borders on it.
    private static let pieces: [[UInt8]] =
        [
            "1", "a", "$", "'", "E", "U&", "X", "--", "/*", "*/", "\n", "-", " ", ".", "\"", "\\", ";", "(", ",",
        ].map { Array($0.utf8) } + [[0xC3], [0x84]]
    /// Pieces that decide where a token ends, of which longer texts are made.
    private static let sharp: [[UInt8]] = ["1", "a", "$", "'", "e", ".", "-", "$a$", "\\", " "].map { Array($0.utf8) }

    /// The fewest that still border on each other in every way.
    private static let sharpest: [[UInt8]] = ["1", "a", "$$", "'", ".", "E", "\\"].map { Array($0.utf8) }
    /// What stands before a literal, and may change what it is.
    private static let glue: [[UInt8]] =
        [
            "1.", "1", "a", "$", "$$", "e", ".", "$a$", "'", "-", "+", "\\", " ", "E", "U&", "\"", "--", "/*", "x",
            "\n", "1e",
        ].map { Array($0.utf8) } + [[0xC3]]
    /// Literals and comments, to be filled.
    private static let brackets = [("'", "'"), ("E'", "'"), ("$$", "$$"), ("/*", "*/"), ("--", "\n"), ("\"", "\"")]
    private static let contents = ["", "a", "$$", "$a$", "\\", "\\'", "--", "/*", "*/", "\"", ";", "''", "1", "\n"]

    private static let isLong = Environment.value("PGWEIR_LONG") == "1"

    /// What the exact rules say of a text, as far as a skeleton that was seen before gives it.
    private struct Finding: Equatable {
        var fingerprint: Fingerprint
        var kind: StatementKind
        /// Whether the statement ends where the skeleton does; if not, the skeleton is not used.
        var isWhole: Bool
    }

    /// Sketches texts by both ways.
    private struct Sweep: ~Copyable {
        var fast = Normalizer(hash: .standard)
        var exact = Normalizer(hash: .standard)
        var scanner = SkeletonScanner()
        var found: [Fingerprint: Finding] = [:]
        var faults: [String] = []

        mutating func take(_ text: [UInt8]) {
            let expected = exact.exactSketch(text.rawSpan, from: 0)
            let sketch = fast.sketch(text.rawSpan, from: 0)
            let isSame =
                sketch?.fingerprint == expected?.fingerprint && sketch?.kind == expected?.kind
                && sketch?.range == expected?.range && sketch?.limit == expected?.limit
                && sketch?.offset == expected?.offset && sketch?.name == expected?.name
                && sketch?.body == expected?.body
            if !isSame { note("the memo changes", text) }
            // Whatever the memo still held.
            guard let expected, scanner.scan(text.rawSpan, from: expected.range.lowerBound) else { return }
            let key = scanner.skeleton.fingerprint(.standard)
            let isWhole = scanner.end == expected.range.upperBound
            let finding = Finding(fingerprint: expected.fingerprint, kind: expected.kind, isWhole: isWhole)
            if let known = found[key] {
                if known != finding, known.isWhole || isWhole { note("its skeleton does not tell all of", text) }
            } else if found.count < 4_000_000 {
                found[key] = finding
            }
        }

        private mutating func note(_ what: String, _ text: [UInt8]) {
            guard faults.count < 10 else { return }
            faults.append("\(what) \(String(decoding: text, as: UTF8.self).debugDescription) \(text)")
        }
    }

    /// A text by its number: the digits are the places of its pieces.
    private static func text(_ number: Int, _ length: Int, _ pieces: [[UInt8]]) -> [UInt8] {
        var (left, text) = (number, [UInt8]())
        for _ in 0..<length {
            text += pieces[left % pieces.count]
            left /= pieces.count
        }
        return text
    }

    /// All texts of `length` pieces, in an order that has nothing to do with them.
    private static func sweep(_ pieces: [[UInt8]], length: Int, random: inout SplitMix64) -> [String] {
        var sweep = Sweep()
        let count = (0..<length).reduce(1) { all, _ in all * pieces.count }
        // A step without a common divisor meets each number once.
        var step = Int.random(in: count / 3...count, using: &random) | 1
        while [2, 3, 5, 7].contains(where: { step % $0 == 0 }) { step += 2 }
        var number = Int.random(in: 0..<count, using: &random)
        for _ in 0..<count {
            number = (number + step) % count
            sweep.take(text(number, length, pieces))
        }
        return sweep.faults
    }

    @Test(arguments: 1...(isLong ? 5 : 3))
    func `all combinations of lexical classes`(_ length: Int) {
        var random = SplitMix64(seed: UInt64(length))
        #expect(Self.sweep(Self.pieces, length: length, random: &random) == [])
    }

    @Test(arguments: [false, true])
    func `all combinations of what ends numbers and begins strings`(_ isSharpest: Bool) {
        let length = isSharpest ? (Self.isLong ? 8 : 6) : Self.isLong ? 6 : 4
        var random = SplitMix64(seed: UInt64(length))
        #expect(Self.sweep(isSharpest ? Self.sharpest : Self.sharp, length: length, random: &random) == [])
    }

    /// Texts of one skeleton by construction: whatever stands before a literal, its contents change nothing.
    @Test func `the contents of literals and comments matter to no skeleton`() {
        var sweep = Sweep()
        func fill(_ glue: [UInt8]) {
            for (opening, closing) in Self.brackets {
                for content in Self.contents { sweep.take(glue + Array((opening + content + closing).utf8)) }
            }
        }
        let (all, few) = (Self.glue, Self.isLong ? Self.glue[...] : Self.glue[..<6])
        for first in all {
            fill(first)
            for second in Self.isLong ? all[...] : all[..<10] { fill(first + second) }
        }
        for first in few { for second in few { for third in few { fill(first + second + third) } } }
        var random = SplitMix64(seed: 9)
        for _ in 0..<(Self.isLong ? 100_000 : 100) {
            fill((0..<Int.random(in: 3...7, using: &random)).flatMap { _ in all.randomElement(using: &random) ?? [] })
        }
        #expect(sweep.faults == [])
    }

    /// Lists of every length behind whatever may make a word that begins one, or something else: `5.in (1, 2)` is a number.
    @Test func `a list is shortened where the exact rules shorten it`() {
        let before = [
            "", "5.", "5", ".", "a.", "a", "$1", "$1.", "'a'", "\"a\"", "\"a\".", "1e", "1e-5.", "-", "--\n", "/**/",
            " ", "é", "0x", "_",
            "5.e", "(", ")", ",", "in",
        ]
        // Of many the exact rules fold a name by its place.
        let statements = [
            "", "", "select ", "select ", "insert into t ", "with a as (", "((select ", "fetch ", "move 1 ", "set a = ",
            "set ", "prepare ", "execute ",
            "explain ", "explain execute ", "declare ", "close ", "savepoint ", "release ", "rollback to ",
            "deallocate ", "listen ", "notify ",
            "unlisten ", "create temp table ", "create table ", "delete from t where current of ",
            "update t set a = 1 where current of/**/", "copy ",
            "/**/fetch ", "(fetch ", "--\nset ", "reset ", "lock table t ", "begin ", "call ", "do ", "values ",
            "alter role r set a = ",
        ]
        let words = ["in", "IN", "values", "Values", "not in", "array", "", "i n", "in."]
        let blanks = ["", " ", "  ", "\n", "/**/"]
        let elements = [
            "1", "'a'", "$1", "1::int", "x", "-1", "1.5", "null", "(1,2)", "(1)", "5.in(1,1)", "$$a$$", "1e5", "E'a'",
        ]
        let separators = [",", ", ", " , ", "),("]
        let ends = [")", "", " x", "])", ";"]
        var random = SplitMix64(seed: 11)
        func any(_ texts: [String]) -> String { texts.randomElement(using: &random) ?? "" }
        var sweep = Sweep()
        for _ in 0..<(Self.isLong ? 1_000_000 : 6_000) {
            let head = any(statements) + any(before) + any(before) + any(words) + any(blanks) + any(["(", "(", "["])
            let (element, other, separator, end) = (any(elements), any(elements), any(separators), any(ends))
            // One list in several lengths: they share a skeleton where anything shortens them.
            for count in 1...4 {
                let list = Array(repeating: element, count: count).joined(separator: separator)
                sweep.take(Array((head + list + end).utf8))
                sweep.take(Array((head + list + separator + other + end).utf8))
            }
        }
        #expect(sweep.faults == [])
    }

    @Test(arguments: [false, true])
    func `a sample of longer combinations`(_ isSharp: Bool) {
        var random = SplitMix64(seed: isSharp ? 7 : 8)
        var sweep = Sweep()
        let pieces = isSharp ? Self.sharp : Self.pieces
        for _ in 0..<(Self.isLong ? 10_000_000 : 15_000) {
            var text: [UInt8] = []
            for _ in 0..<Int.random(in: 4...8, using: &random) { text += pieces.randomElement(using: &random) ?? [] }
            // Two texts that differ in a string or a number only are what the memo is for: a variation follows.
            sweep.take(text)
            let at = Int.random(in: 0..<text.count, using: &random)
            text[at] = pieces.randomElement(using: &random)?.first ?? 0x31
            sweep.take(text)
        }
        #expect(sweep.faults == [])
    }

    @Test func `a dollar sign behind a number's letters is no part of an identifier`() {
        var sweep = Sweep()
        // The fuzzer's, and its kin.
        for text in [
            "5.x$$ $a$ $a$'$$'", "5.x$$ $a$ $a$'$$\\'", "1.é$$'$$'", "1.é$$a$$", "0x1.a$$'$$", "1e-5.x$$';'$$ a",
            "1e-5.x$$'b'$$ a", "a.x$$'$$'", "1.2.x$$'$$'", "1._$a$'$a$'", "$1.x$$'$$'", "a$b.1.x$$'$$'",
        ] {
            sweep.take(Array(text.utf8))
        }
        #expect(sweep.faults == [])
    }
}
