// SPDX-License-Identifier: Apache-2.0
import Domain
import TestKit
import Testing

@testable import PostgresWire

/// Texts are read by the characters that client_encoding makes of their bytes.
struct EncodingTests {
    typealias M = Messages

    /// The texts of the statements that a session sent.
    private func texts(_ turns: [Turn], isMidstream: Bool = false) -> [[UInt8]] {
        var sessions = Sessions(hash: .standard)
        var sink = RecordingSink()
        sessions.opened(0, isMidstream: isMidstream)
        var ordinal: UInt64 = 0
        for turn in turns {
            ordinal += 1
            let moment = Moment(time: Timestamp(nanoseconds: Int64(ordinal) * 1000), ordinal: ordinal)
            switch turn {
            case .client(let bytes): _ = sessions.bytes(0, from: .client, bytes.rawSpan, at: moment, into: &sink)
            case .server(let bytes): _ = sessions.bytes(0, from: .server, bytes.rawSpan, at: moment, into: &sink)
            default: break
            }
        }
        return sink.texts.dropFirst().map { Array($0.utf8) }
    }

    private static func status(_ name: String, _ value: String) -> [UInt8] {
        M.message("S", Array(name.utf8) + [0] + Array(value.utf8) + [0])
    }

    private static func login(_ encoding: String?, asking parameters: [UInt8] = []) -> [Turn] {
        let body = [0, 3, 0, 0] + Array("user".utf8) + [0] + Array("u".utf8) + [0] + parameters + [0]
        let length = UInt32(body.count + 4)
        let startup = [UInt8](
            [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) } + body.map { UInt8($0) }
        )
        let answer = M.message("R", [0, 0, 0, 0]) + (encoding.map { status("client_encoding", $0) } ?? [])
        return [.client(startup), .server(answer + M.ready("I"))]
    }

    private func query(_ text: [UInt8], _ report: [UInt8] = [], _ status: Character = "I") -> [Turn] {
        [.client(M.message("Q", text + [0])), .server(M.complete("SET") + report + M.ready(status))]
    }

    /// U+F0000 and the two bytes.
    private static func character(_ first: UInt8, _ second: UInt8) -> [UInt8] {
        Array(String(UnicodeScalar(0xF0000 + UInt32(first) << 8 + UInt32(second)) ?? " ").utf8)
    }

    @Test(arguments: [
        "SJIS", "sjis", "Shift-JIS", "mskanji", "WIN932", "Windows 932", "SHIFT_JIS_2004", "BIG5", "win950",
        "windows-950", "GBK", "win936", "Windows936", "GB18030", "UHC", "win949", "windows949",
    ])
    func `a backslash that is half a character escapes nothing`(_ name: String) {
        let text = Array("select E'".utf8) + [0x95, 0x5C] + Array("' = \"".utf8) + [0x83, 0x5C] + Array("\"".utf8)
        let expected =
            Array("select E'".utf8) + Self.character(0x95, 0x5C) + Array("' = \"".utf8) + Self.character(0x83, 0x5C)
            + Array("\"".utf8)
        #expect(texts(Self.login(name) + query(text)) == [expected])
        // Asked for by the client, and nothing reported.
        let asked = Array("client_encoding".utf8) + [0] + Array(name.utf8) + [0]
        #expect(texts(Self.login(nil, asking: asked) + query(text)) == [expected])
    }

    @Test(arguments: [
        "UTF8", "LATIN1", "EUC_JP", "WIN1252", "SQL_ASCII", "KOI8R", "ISO_8859_5", "EUC_JIS_2004", "WIN866",
    ])
    func `elsewhere bytes are what they are`(_ name: String) {
        #expect(TextEncoding(name: Array(name.utf8).rawSpan) == .plain)
        #expect(texts(Self.login(name) + query(Array("select 'é\\表'".utf8))) == [Array("select 'é\\表'".utf8)])
    }

    @Test func `options of the start-up message are read, and the server's word counts more`() {
        let options = Array("options".utf8) + [0] + Array("-c geqo=off -c client_encoding=sjis".utf8) + [0]
        let text = Array("select E'".utf8) + [0x95, 0x5C] + Array("'".utf8)
        let read = Array("select E'".utf8) + Self.character(0x95, 0x5C) + Array("'".utf8)
        #expect(texts(Self.login(nil, asking: options) + query(text)) == [read])
        #expect(
            texts(Self.login("LATIN1", asking: options) + query(Array("select 1".utf8))) == [Array("select 1".utf8)]
        )
    }

    @Test func `characters of every length have their own code points, and what is none ends the text`() {
        func read(_ name: String, _ bytes: [UInt8]) -> [UInt8] {
            let texts = texts(Self.login(name) + query(Array("select ".utf8) + bytes))
            return Array((texts.first ?? []).dropFirst(7))
        }
        #expect(read("GB18030", [0x81, 0x30, 0x84, 0x36]) == Self.character(0x81, 0x30) + Self.character(0x84, 0x36))
        #expect(read("SJIS", [0xB1, 0x5C]) == Array("\u{E0B1}\\".utf8))
        #expect(read("JOHAB", [0x8F, 0xA1, 0xFE, 0x5C]) == Self.character(0x8F, 0xA1) + Array("\u{E0FE}\\".utf8))
        for (name, bytes): (String, [UInt8]) in [
            ("SJIS", [0x95, 0x27]), ("SJIS", [0x80]), ("SJIS", [0xFD, 0x40]), ("SJIS", [0x95, 0xFD]),
            ("BIG5", [0x80, 0x40]),
            ("GBK", [0xFF, 0x40]), ("UHC", [0x95, 0x30]), ("GB18030", [0x95, 0x30, 0x41]), ("GB18030", [0x95, 0x30]),
            ("JOHAB", [0x95, 0x5C]), ("JOHAB", [0x8F, 0xA1, 0x27]), ("BIG5", [0x95]), ("GBK", [0x95, 0x7F]),
        ] {
            #expect(read(name, bytes + Array(" 'hidden'".utf8)) == Array("'".utf8), "\(name) \(bytes)")
        }
    }

    @Test func `SET holds from the next message on, until the server says otherwise`() {
        let text = Array("select E'".utf8) + [0x95, 0x5C] + Array("'".utf8)
        let wide = Array("select E'".utf8) + Self.character(0x95, 0x5C) + Array("'".utf8)
        let sjis = Self.status("client_encoding", "SJIS")
        let plain = Self.status("client_encoding", "LATIN1")
        /// How `text` is read behind what was sent before.
        func isWide(_ turns: [Turn]) -> Bool {
            texts(Self.login("LATIN1") + turns + [.client(M.message("Q", text + [0]))]).last == wide
        }
        for set in [
            "set client_encoding to sjis", "SET NAMES 'Shift-JIS'", "set session client_encoding = 'mskanji'",
            "set local client_encoding = win932", "set \"client_encoding\" to \"SJIS\"",
            "set names /* x */ 'sjis' -- y",
        ] {
            // Before the answer, behind it, and behind one that tells of a failure.
            #expect(isWide([.client(M.query(set))]), "\(set)")
            #expect(isWide(query(Array(set.utf8), sjis)), "\(set)")
            #expect(!isWide(query(Array(set.utf8), sjis) + query(Array("rollback".utf8), plain)))
            #expect(!isWide([.client(M.query(set)), .server(M.error("22023") + M.ready("I"))]), "\(set)")
            // The text of the same message was converted before.
            let both = texts(Self.login("LATIN1") + [.client(M.message("Q", Array("\(set);".utf8) + text + [0]))])
            #expect(both.last == Array(String(decoding: text, as: UTF8.self).utf8))
        }
        #expect(isWide([.client(M.parse("", "set client_encoding to sjis"))]))
        let pipelined: [Turn] = [
            .client(M.query("set names 'sjis'")), .client(M.query("set names 'latin1'")),
            .server(M.complete("SET") + sjis + M.ready("I")),
        ]
        #expect(!isWide(pipelined))
        #expect(isWide(query(Array("select set_config('client_encoding', 'sjis', false)".utf8), sjis)))
        for reset in [
            "reset client_encoding", "reset all", "discard all", "set names default", "set names",
            "set client_encoding to default",
        ] {
            #expect(!isWide(query(Array("set names 'sjis'".utf8), sjis) + [.client(M.query(reset))]), "\(reset)")
        }
    }

    @Test func `where the encoding is not known, a text ends where it would matter`() {
        func read(_ bytes: [UInt8]) -> [UInt8] {
            texts([.client(M.query("select 1")), .client(M.message("Q", bytes + [0]))], isMidstream: true).last ?? []
        }
        let japanese = Array("select E'".utf8) + [0x95, 0x5C] + Array("' , 'hidden'".utf8)
        #expect(read(japanese) == Array("select E''".utf8))
        // UTF-8, and what has one reading.
        #expect(read(Array("select E'é\\'' x".utf8)) == Array("select E'é\\'' x".utf8))
        let latin = Array("select 'caf".utf8) + [0xE9] + Array("]' x".utf8)
        #expect(read(latin).starts(with: Array("select 'caf".utf8)) && read(latin).count > latin.count - 1)
        let tag = Array("select $".utf8) + [0x83, 0x5B] + Array("$hidden$".utf8) + [0x83, 0x5B] + Array("$".utf8)
        #expect(read(tag) == Array("select $'".utf8))
    }
}
