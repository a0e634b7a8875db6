// SPDX-License-Identifier: Apache-2.0
import Domain

/// How bytes of a session's texts form characters, as far as it matters to the lexer (PostgreSQL documentation, 23.3
/// "Character Set Support"; lengths and ranges as in `wchar.c`).
///
/// The server converts a text to its own encoding before it reads it. In every encoding it can have itself, all bytes of
/// a character beyond ASCII are above 127, so that the bytes tell what the lexer will see. Seven that only clients have
/// are different: the second byte of a character may be a backslash, a bracket or a letter.
enum TextEncoding: UInt8, BitwiseCopyable {
    /// Bytes below 128 are always characters of their own.
    case plain
    /// Not known: the session began before the capture.
    case unknown
    /// SJIS and SHIFT_JIS_2004.
    case shiftJIS
    /// BIG5, GBK and UHC.
    case twoBytes
    /// GB18030: four bytes where the second is a digit.
    case gb18030
    /// JOHAB; PostgreSQL takes it in a form like EUC, of one, two or three bytes.
    case johab

    /// The encoding of this name; `unknown` for one that PostgreSQL does not know either.
    ///
    /// Case does not matter, and only letters and digits do (`clean_encoding_name` of `encnames.c`).
    init(name: RawSpan) {
        var cleaned: (high: UInt64, low: UInt64) = (0, 0)
        var count = 0
        for offset in 0..<name.byteCount {
            var byte = name.byte(at: offset)
            if byte &- 0x41 < 26 { byte |= 0x20 }
            guard byte &- 0x61 < 26 || byte &- 0x30 < 10 else { continue }
            count += 1
            cleaned = (cleaned.high &<< 8 | cleaned.low &>> 56, cleaned.low &<< 8 | UInt64(byte))
        }
        self = .unknown
        guard count > 0, count <= 16 else { return }
        for name in Self.known where name.isCalled(cleaned, count) { self = name.encoding }
    }

    private struct Name {
        let text: StaticString
        let encoding: TextEncoding

        /// Whether the letters and digits of a name, `count` of them, are those of this one; of a plain one only the first
        /// must be.
        func isCalled(_ cleaned: (high: UInt64, low: UInt64), _ count: Int) -> Bool {
            let length = text.utf8CodeUnitCount
            guard encoding == .plain ? length <= count : length == count else { return false }
            for index in 0..<length {
                let place = UInt64(truncatingIfNeeded: count &- 1 &- index)
                let byte = place < 8 ? cleaned.low &>> (8 &* place) : cleaned.high &>> (8 &* (place &- 8))
                guard unsafe UInt8(truncatingIfNeeded: byte) == text.utf8Start[index] else { return false }
            }
            return true
        }
    }

    /// All names of the seven (`pg_encname_tbl` of `encnames.c`), and how those of the others begin.
    private static let known = [
        Name(text: "utf8", encoding: .plain), Name(text: "unicode", encoding: .plain),
        Name(text: "sqlascii", encoding: .plain), Name(text: "latin", encoding: .plain),
        Name(text: "iso8859", encoding: .plain), Name(text: "win12", encoding: .plain),
        Name(text: "windows12", encoding: .plain), Name(text: "win8", encoding: .plain),
        Name(text: "windows8", encoding: .plain), Name(text: "euc", encoding: .plain),
        Name(text: "koi8", encoding: .plain), Name(text: "alt", encoding: .plain),
        Name(text: "muleinternal", encoding: .plain), Name(text: "abc", encoding: .plain),
        Name(text: "tcvn", encoding: .plain), Name(text: "vscii", encoding: .plain),
        Name(text: "sjis", encoding: .shiftJIS), Name(text: "shiftjis", encoding: .shiftJIS),
        Name(text: "mskanji", encoding: .shiftJIS), Name(text: "win932", encoding: .shiftJIS),
        Name(text: "windows932", encoding: .shiftJIS), Name(text: "shiftjis2004", encoding: .shiftJIS),
        Name(text: "big5", encoding: .twoBytes), Name(text: "win950", encoding: .twoBytes),
        Name(text: "windows950", encoding: .twoBytes), Name(text: "gbk", encoding: .twoBytes),
        Name(text: "win936", encoding: .twoBytes), Name(text: "windows936", encoding: .twoBytes),
        Name(text: "uhc", encoding: .twoBytes), Name(text: "win949", encoding: .twoBytes),
        Name(text: "windows949", encoding: .twoBytes), Name(text: "gb18030", encoding: .gb18030),
        Name(text: "johab", encoding: .johab),
    ]

    /// The length of the character at `offset`, whose first byte is above 127; 0 if there is none, so that the server
    /// refuses the text.
    func length(_ text: RawSpan, at offset: Int) -> Int {
        let first = text.byte(at: offset)
        let second = offset &+ 1 < text.byteCount ? text.byte(at: offset &+ 1) : 0
        let isTrail = second >= 0x40 && second != 0x7F && second < 0xFF
        switch self {
        case .plain, .unknown: return 1
        case .shiftJIS:
            if first >= 0xA1, first <= 0xDF { return 1 }
            return first > 0x80 && first != 0xA0 && first < 0xFD && isTrail && second != 0xFD && second != 0xFE ? 2 : 0
        case .twoBytes: return first > 0x80 && first < 0xFF && isTrail ? 2 : 0
        case .gb18030:
            guard first > 0x80, first < 0xFF else { return 0 }
            if second &- 0x30 >= 10 { return isTrail ? 2 : 0 }
            guard offset &+ 3 < text.byteCount else { return 0 }
            let (third, fourth) = (text.byte(at: offset &+ 2), text.byte(at: offset &+ 3))
            return third > 0x80 && third < 0xFF && fourth &- 0x30 < 10 ? 4 : 0
        case .johab:
            let length = first == 0x8F ? 3 : 2
            guard offset &+ length <= text.byteCount else { return 0 }
            for index in 1..<length {
                let byte = text.byte(at: offset &+ index)
                guard byte > 0xA0, byte < 0xFF else { return 0 }
            }
            return length
        }
    }
}

extension RawSpan {
    /// The first byte above 127; `nil` if all are ASCII.
    func firstHighByte() -> Int? {
        var offset = 0
        while offset &+ 8 <= byteCount {
            if littleEndian64(at: offset) & 0x8080_8080_8080_8080 != 0 { break }
            offset &+= 8
        }
        while offset < byteCount {
            if byte(at: offset) >= 0x80 { return offset }
            offset &+= 1
        }
        return nil
    }

    /// The length of the UTF-8 character at `offset`, whose first byte is above 127; 0 if there is none (RFC 3629 §4).
    func lengthOfUTF8(at offset: Int) -> Int {
        let first = byte(at: offset)
        guard first >= 0xC2, first < 0xF5 else { return 0 }
        let length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
        guard offset &+ length <= byteCount else { return 0 }
        let second = byte(at: offset &+ 1)
        let (low, high): (UInt8, UInt8) =
            switch first {
            case 0xE0: (0xA0, 0xBF)
            case 0xED: (0x80, 0x9F)
            case 0xF0: (0x90, 0xBF)
            case 0xF4: (0x80, 0x8F)
            default: (0x80, 0xBF)
            }
        guard second >= low, second <= high else { return 0 }
        for index in 2..<4 where index < length && byte(at: offset &+ index) & 0xC0 != 0x80 { return 0 }
        return length
    }
}
