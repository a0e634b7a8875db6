// SPDX-License-Identifier: Apache-2.0

/// The character classes of PostgreSQL's lexer (documentation, 4.1 "Lexical Structure"; `scan.l`).
enum ByteClass {
    private static let wordLow: UInt64 = 0x03FF_0010_0000_0000
    private static let wordHigh: UInt64 = 0x07FF_FFFE_87FF_FFFE
    private static let operatorLow: UInt64 = 0xF000_AC6A_0000_0000
    private static let operatorHigh: UInt64 = 0x5000_0001_4000_0001

    private static func contains(_ low: UInt64, _ high: UInt64, _ byte: UInt8) -> Bool {
        ((byte & 0x40 == 0 ? low : high) &>> UInt64(byte & 0x3F)) & 1 != 0
    }

    /// Letters, digits, `_`, `$` and every byte above 127: what an identifier goes on with.
    static func isWord(_ byte: UInt8) -> Bool { byte >= 0x80 || contains(wordLow, wordHigh, byte) }

    /// Letters, `_` and every byte above 127: what an identifier begins with.
    static func isWordStart(_ byte: UInt8) -> Bool { isWord(byte) && !isDigit(byte) && byte != UInt8(ascii: "$") }

    /// `0` to `9`.
    static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    /// Blank, tab, newline, carriage return, form feed and vertical tab.
    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte &- 9 < 5 }

    /// Newline or carriage return: they end a `--` comment and join strings.
    static func isNewline(_ byte: UInt8) -> Bool { byte == 0x0A || byte == 0x0D }

    /// `~ ! @ # ^ & | `` ` `` ? + - * / % < > =`: what operators are made of.
    static func isOperator(_ byte: UInt8) -> Bool { byte < 0x80 && contains(operatorLow, operatorHigh, byte) }

    /// Operator characters that allow an operator to end in `+` or `-`.
    static func allowsTrailingSign(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "~"), UInt8(ascii: "!"), UInt8(ascii: "@"), UInt8(ascii: "#"), UInt8(ascii: "^"),
            UInt8(ascii: "&"), UInt8(ascii: "|"), UInt8(ascii: "`"), UInt8(ascii: "?"), UInt8(ascii: "%"):
            true
        default: false
        }
    }

    /// ASCII upper case becomes lower case; any other byte stays.
    static func lowercased(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

    /// Eight bytes at once, as ``lowercased(_:)-(UInt8)``.
    static func lowercased(_ bytes: UInt64) -> UInt64 {
        let heptets = bytes & 0x7F7F_7F7F_7F7F_7F7F
        let aboveZ = heptets &+ 0x2525_2525_2525_2525
        let fromA = heptets &+ 0x3F3F_3F3F_3F3F_3F3F
        let upper = ~bytes & (fromA ^ aboveZ) & 0x8080_8080_8080_8080
        return bytes | upper &>> 2
    }
}
