// SPDX-License-Identifier: Apache-2.0
import CVector
import Domain
import Glibc

/// A statement without what its pattern does not depend on: literals are marks, blanks are one blank or none, words are
/// folded, lists after IN are one element long.
///
/// Texts with equal skeletons have equal sketches, but not the other way round; so the skeleton is a key to sketches
/// made before, and the exact rules need to run only for new ones. Whatever is unusual has no skeleton.
@safe struct Skeleton: ~Copyable {
    /// The longest skeleton; longer ones are not worth keeping.
    private static let longest = 8192

    private enum Class {
        static let other: UInt8 = 0, space: UInt8 = 1, word: UInt8 = 2, digit: UInt8 = 3, quote: UInt8 = 4
        static let doubleQuote: UInt8 = 5, dollar: UInt8 = 6, dash: UInt8 = 7, slash: UInt8 = 8, semicolon: UInt8 = 9
        static let dot: UInt8 = 10, open: UInt8 = 11, close: UInt8 = 12, stray: UInt8 = 13, comma: UInt8 = 14
    }

    private static let number: UInt8 = 1
    private static let string: UInt8 = 2
    private static let parameter: UInt8 = 3
    /// The size of a LIMIT or OFFSET stays: this plus its number of digits.
    private static let limit: UInt8 = 0x10

    private let output: UnsafeMutablePointer<UInt8>
    private let classes: UnsafeMutablePointer<UInt8>
    private let hash: KeyedHash
    /// The range of the statement read last: from its first token to its semicolon or the end of the text.
    private(set) var start = 0
    private(set) var end = 0

    init(hash: KeyedHash) {
        self.hash = hash
        unsafe output = .allocate(capacity: Self.longest + 64)
        unsafe output.initialize(repeating: 0, count: Self.longest + 64)
        unsafe classes = .allocate(capacity: 256)
        for byte in UInt8.min...UInt8.max { unsafe classes[Int(byte)] = Self.classify(byte) }
    }

    deinit {
        unsafe output.deallocate()
        unsafe classes.deallocate()
    }

    private static func classify(_ byte: UInt8) -> UInt8 {
        switch byte {
        case UInt8(ascii: "'"): Class.quote
        case UInt8(ascii: "\""): Class.doubleQuote
        case UInt8(ascii: "$"): Class.dollar
        case UInt8(ascii: "-"): Class.dash
        case UInt8(ascii: "/"): Class.slash
        case UInt8(ascii: ";"): Class.semicolon
        case UInt8(ascii: "."): Class.dot
        case UInt8(ascii: "("): Class.open
        case UInt8(ascii: ")"): Class.close
        case UInt8(ascii: ","): Class.comma
        case _ where ByteClass.isSpace(byte): Class.space
        case _ where ByteClass.isDigit(byte): Class.digit
        case _ where ByteClass.isWord(byte): Class.word
        case ..<0x20, 0x7F: Class.stray
        default: Class.other
        }
    }

    /// The key of the only statement of `sql`, or `nil`: several statements, odd literals, too long, nothing.
    mutating func key(_ sql: RawSpan) -> Fingerprint? {
        let length = unsafe sql.withUnsafeBytes { buffer -> Int in
            guard let base = unsafe buffer.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return 0 }
            return unsafe read(base, buffer.count)
        }
        guard length > 0 else { return nil }
        let bytes = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: output, count: length))
        return hash.hash(bytes)
    }

    /// Writes the skeleton of `count` bytes; its length, or 0 when there is none.
    ///
    /// Every read of `text` is below `count` (16 at once only where 16 are left); every write is below
    /// `longest + 64`, since the loop ends above `longest` and a step writes at most 33 bytes beyond it.
    private mutating func read(_ text: UnsafePointer<UInt8>, _ count: Int) -> Int {
        var at = 0
        var written = 0
        var isSpaced = false
        var isInList = false
        var depth = 0
        /// Whether an element of an IN list begins here.
        var isAtElement = false
        /// Behind the last element of an IN list that is one literal, while only a comma followed.
        var literalEnd = -1
        start = -1
        end = count
        while at < count {
            guard written <= Self.longest else { return 0 }
            let byte = unsafe text[at]
            let kind = unsafe classes[Int(byte)]
            if kind == Class.space {
                isSpaced = true
                at &+= 1
                continue
            }
            if start < 0, kind != Class.dash, kind != Class.slash, kind != Class.semicolon {
                start = at
                isSpaced = false
            }
            switch kind {
            case Class.word:
                blank(&isSpaced, &written)
                literalEnd = -1
                isAtElement = false
                while true {
                    if at &+ 16 <= count {
                        let mask = unsafe cvector_word_mask(text + at)
                        unsafe cvector_fold(output + written, text + at)
                        let run = (~mask).trailingZeroBitCount
                        let taken = run < 16 ? run : 16
                        at &+= taken
                        written &+= taken
                        if taken < 16 { break }
                        guard written <= Self.longest else { return 0 }
                    } else {
                        guard at < count, unsafe ByteClass.isWord(text[at]) else { break }
                        unsafe output[written] = ByteClass.lowercased(text[at])
                        at &+= 1
                        written &+= 1
                        guard written <= Self.longest else { return 0 }
                    }
                }
            case Class.digit:
                let first = at
                at = unsafe skipDigits(text, at, count)
                if at < count, unsafe text[at] == UInt8(ascii: ".") {
                    guard at &+ 1 < count, unsafe ByteClass.isDigit(text[at &+ 1]) else { return 0 }
                    at = unsafe skipDigits(text, at &+ 1, count)
                    guard at >= count || (unsafe text[at] != UInt8(ascii: ".")) else { return 0 }
                }
                guard at >= count || !(unsafe ByteClass.isWord(text[at])) else { return 0 }
                let isElement = isAtElement && (unsafe isElementEnd(text, at, count))
                if isElement, literalEnd > 0, unsafe output[literalEnd &- 1] == Self.number {
                    written = literalEnd
                    isSpaced = false
                } else {
                    blank(&isSpaced, &written)
                    let mark = unsafe mark(text, first..<at, written)
                    unsafe output[written] = mark
                    written &+= 1
                    literalEnd = isElement ? written : -1
                }
                isAtElement = false
            case Class.quote:
                if at > 0 {
                    let before = unsafe text[at &- 1]
                    guard !ByteClass.isWord(before), before != UInt8(ascii: "&") else { return 0 }
                }
                // A string right behind a string may be its continuation.
                guard written == 0 || (unsafe output[written &- 1] != Self.string) else { return 0 }
                guard let after = unsafe skipString(text, at, count) else { return 0 }
                at = after
                let isElement = isAtElement && (unsafe isElementEnd(text, at, count))
                if isElement, literalEnd > 0, unsafe output[literalEnd &- 1] == Self.string {
                    written = literalEnd
                    isSpaced = false
                } else {
                    blank(&isSpaced, &written)
                    unsafe output[written] = Self.string
                    written &+= 1
                    literalEnd = isElement ? written : -1
                }
                isAtElement = false
            case Class.dollar:
                let digits = unsafe skipDigits(text, at &+ 1, count)
                guard digits > at &+ 1, digits >= count || !(unsafe ByteClass.isWord(text[digits])) else { return 0 }
                guard at == 0 || !(unsafe ByteClass.isWord(text[at &- 1])) else { return 0 }
                at = digits
                blank(&isSpaced, &written)
                unsafe output[written] = Self.parameter
                written &+= 1
                literalEnd = -1
                isAtElement = false
            case Class.doubleQuote:
                guard at == 0 || (unsafe text[at &- 1] != UInt8(ascii: "&")) else { return 0 }
                guard let close = unsafe find(UInt8(ascii: "\""), text, at &+ 1, count) else { return 0 }
                guard close &+ 1 >= count || (unsafe text[close &+ 1] != UInt8(ascii: "\"")) else { return 0 }
                blank(&isSpaced, &written)
                guard close &- at < Self.longest &- written else { return 0 }
                unsafe (output + written).update(from: text + at, count: close &+ 1 &- at)
                written &+= close &+ 1 &- at
                at = close &+ 1
                literalEnd = -1
                isAtElement = false
            case Class.dash where at &+ 1 < count && (unsafe text[at &+ 1] == byte):
                let stop = unsafe find(0x0A, text, at, count) ?? count
                // A carriage return ends a comment too.
                if let other = unsafe find(0x0D, text, at, stop), other < stop { return 0 }
                at = stop
                isSpaced = true
            case Class.slash where at &+ 1 < count && (unsafe text[at &+ 1] == UInt8(ascii: "*")):
                guard let after = unsafe skipComment(text, at, count) else { return 0 }
                at = after
                isSpaced = true
            case Class.semicolon:
                guard start >= 0 else {
                    at &+= 1
                    continue
                }
                // Inside parentheses and in the body of a function a semicolon is a part of the statement.
                guard depth == 0, unsafe output[0] != UInt8(ascii: "c") || output[1] != UInt8(ascii: "r") else {
                    return 0
                }
                for rest in at &+ 1..<max(count, at &+ 1) {
                    let left = unsafe classes[Int(text[rest])]
                    guard left == Class.space || left == Class.semicolon else { return 0 }
                }
                end = at
                return written
            case Class.stray:
                return 0
            case Class.dot where at &+ 1 < count && (unsafe ByteClass.isDigit(text[at &+ 1])):
                return 0
            default:
                if start < 0 {
                    start = at
                    isSpaced = false
                }
                if kind == Class.open {
                    isInList = isBehindIn(written)
                    depth &+= 1
                } else if kind == Class.close {
                    isInList = false
                    if depth > 0 { depth &-= 1 }
                } else if byte == UInt8(ascii: "[") {
                    depth &+= 1
                } else if byte == UInt8(ascii: "]"), depth > 0 {
                    depth &-= 1
                }
                isAtElement = isInList && (kind == Class.open || kind == Class.comma)
                blank(&isSpaced, &written)
                unsafe output[written] = byte
                written &+= 1
                at &+= 1
                if kind != Class.comma { literalEnd = -1 }
            }
        }
        return start < 0 ? 0 : written
    }

    @inline(__always)
    private func blank(_ isSpaced: inout Bool, _ written: inout Int) {
        guard isSpaced else { return }
        isSpaced = false
        unsafe output[written] = 0x20
        written &+= 1
    }

    /// Whether an element of a list ends here.
    private func isElementEnd(_ text: UnsafePointer<UInt8>, _ first: Int, _ count: Int) -> Bool {
        var at = first
        while at < count, unsafe ByteClass.isSpace(text[at]) { at &+= 1 }
        guard at < count else { return false }
        return unsafe text[at] == UInt8(ascii: ",") || text[at] == UInt8(ascii: ")")
    }

    /// Whether the word `in` was written last.
    private func isBehindIn(_ written: Int) -> Bool {
        var last = written
        if last > 0, unsafe output[last &- 1] == 0x20 { last &-= 1 }
        guard last >= 3, unsafe output[last &- 1] == UInt8(ascii: "n"), unsafe output[last &- 2] == UInt8(ascii: "i")
        else {
            return false
        }
        return unsafe !ByteClass.isWord(output[last &- 3])
    }

    /// The mark of a number: behind LIMIT, OFFSET, FIRST and NEXT its size stays.
    private func mark(_ text: UnsafePointer<UInt8>, _ range: Range<Int>, _ written: Int) -> UInt8 {
        guard written >= 5, unsafe output[written &- 1] == 0x20, unsafe output[written &- 2] == UInt8(ascii: "t") else {
            return Self.number
        }
        var value = 0
        for offset in range {
            let digit = unsafe text[offset] &- 0x30
            guard digit <= 9 else { return Self.limit &+ 15 }
            value = min(value &* 10 &+ Int(digit), 10_000_000)
        }
        var steps: UInt8 = 0
        var bound = 0
        while value > bound, steps < 8 {
            bound = bound == 0 ? 10 : bound &* 10
            steps &+= 1
        }
        return Self.limit &+ steps
    }

    private func skipDigits(_ text: UnsafePointer<UInt8>, _ first: Int, _ count: Int) -> Int {
        var at = first
        while at &+ 16 <= count {
            let run = unsafe (~cvector_digit_mask(text + at)).trailingZeroBitCount
            if run < 16 { return at &+ run }
            at &+= 16
        }
        while at < count, unsafe ByteClass.isDigit(text[at]) { at &+= 1 }
        return at
    }

    private func find(_ byte: UInt8, _ text: UnsafePointer<UInt8>, _ first: Int, _ count: Int) -> Int? {
        guard first < count, let found = unsafe memchr(text + first, Int32(byte), count &- first) else { return nil }
        return unsafe UnsafeRawPointer(found) - UnsafeRawPointer(text)
    }

    /// Behind the closing quote of the string that opens at `first`.
    private func skipString(_ text: UnsafePointer<UInt8>, _ first: Int, _ count: Int) -> Int? {
        var at = first &+ 1
        while let close = unsafe find(UInt8(ascii: "'"), text, at, count) {
            at = close &+ 1
            guard at < count, unsafe text[at] == UInt8(ascii: "'") else { return at }
            at &+= 1
        }
        return nil
    }

    /// Behind the comment that opens at `first`; comments nest.
    private func skipComment(_ text: UnsafePointer<UInt8>, _ first: Int, _ count: Int) -> Int? {
        var depth = 1
        var at = first &+ 2
        while at &+ 1 < count {
            let pair = (unsafe text[at], unsafe text[at &+ 1])
            if pair == (UInt8(ascii: "*"), UInt8(ascii: "/")) {
                at &+= 2
                depth &-= 1
                if depth == 0 { return at }
            } else if pair == (UInt8(ascii: "/"), UInt8(ascii: "*")) {
                at &+= 2
                depth &+= 1
            } else {
                at &+= 1
            }
        }
        return nil
    }
}
