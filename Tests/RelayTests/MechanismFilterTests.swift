// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Relay

@Suite("SCRAM-SHA-256-PLUS is left out")
struct MechanismFilterTests {
    private static func message(_ kind: Character, _ body: [UInt8]) -> [UInt8] {
        let length = UInt32(body.count + 4)
        return [kind.asciiValue ?? 0] + (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * UInt32($0))) }
            + body
    }

    private static func offer(_ names: String...) -> [UInt8] {
        message("R", [0, 0, 0, 10] + names.flatMap { Array($0.utf8) + [0] } + [0])
    }

    private static let both = offer("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"), one = offer("SCRAM-SHA-256")
    private static let notice = message("N", Array("SNOTICE".utf8) + [0, 0]),
        version = message("v", [0, 3, 0, 0, 0, 0, 0, 0])
    private static let rest = message("E", [0]) + Array("and more".utf8)

    /// What goes on, in pieces of a size; and whether it was left out.
    private func passed(_ bytes: [UInt8], size: Int) -> (bytes: [UInt8], hasRemoved: Bool) {
        var filter = MechanismFilter()
        var result: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            result += filter.pass(Array(bytes[start..<min(start + size, bytes.count)]))
        }
        return (result + filter.end(), filter.hasRemoved)
    }

    @Test("in whatever pieces it comes, behind messages that may come before it")
    func removed() {
        let offers = [Self.both, Self.offer("SCRAM-SHA-256", "SCRAM-SHA-256-PLUS")]
        for offer in offers {
            for before in [[], Self.notice, Self.version, Self.notice + Self.version + Self.notice] {
                for size in 1...80 {
                    let result = passed(before + offer + Self.rest, size: size)
                    #expect(result.bytes == before + Self.one + Self.rest && result.hasRemoved, "\(size)")
                }
            }
        }
    }

    @Test(
        "what is something else passes as it is",
        arguments: [
            one, offer("SCRAM-SHA-256-PLUS"), offer("OTHER", "SCRAM-SHA-256-PLUSS"), message("R", [0, 0, 0, 10]),
            message("R", [0, 0, 0, 10, 0]), message("R", [0, 0, 0, 10, 0, 0]), message("R", [0, 0, 0, 0]) + both,
            message("R", [0, 0, 0, 5, 1, 2, 3, 4]) + both, message("E", [0]) + both, message("N", []) + one,
            [0x52, 0xFF, 0xFF, 0xFF, 0xFF] + both, [0x52, 0, 0, 0, 3] + both, [0x4E, 0, 0, 0, 3] + both,
            [0x4E, 0xFF, 0xFF, 0xFF, 0xFF] + both, [0x76, 0x7F, 0xFF, 0xFF, 0xFF] + both, Array(both.dropLast(3)),
            [0x52], [],
            message("R", [0, 0, 0, 10] + [UInt8](repeating: 65, count: 2000)) + both,
            message("R", [0, 0, 0, 10] + Array("SCRAM-SHA-256-PLUS\u{0}A\u{0}B".utf8) + [0]),
        ] as [[UInt8]]
    )
    func others(_ bytes: [UInt8]) {
        for size in 1...max(1, min(bytes.count, 60)) {
            let result = passed(bytes, size: size)
            #expect(result.bytes == bytes && !result.hasRemoved, "\(size)")
        }
    }

    @Test("nothing is held for long: a message that is no offer passes while it comes")
    func streams() {
        var filter = MechanismFilter()
        let long: [UInt8] = [0x4E, 0x10, 0, 0, 0] + [UInt8](repeating: 1, count: 100_000)
        let result = filter.pass(long)
        #expect(result == long && !filter.isOver)
    }

    @Test("random bytes, and offers with a byte changed, lose nothing but the mechanism")
    func random() {
        var state: UInt64 = 7
        let next = { () -> Int in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33)
        }
        for _ in 0..<20_000 {
            var bytes = Self.notice + Self.both + Self.rest
            bytes[next() % bytes.count] = UInt8(truncatingIfNeeded: next())
            let result = passed(bytes, size: 1 + next() % 90)
            #expect(result.bytes.count == bytes.count - (result.hasRemoved ? 19 : 0))
            #expect(result.hasRemoved || result.bytes == bytes)
        }
    }

    @Test("what a client answers", arguments: [("n", BindingAnswer.other), ("y", .refusedByServer), ("p", .other)])
    func answers(_ flag: String, _ wanted: BindingAnswer) {
        let data = Array("\(flag),,n=,r=abc".utf8)
        let body = Array("SCRAM-SHA-256\u{0}".utf8) + [0, 0, 0, UInt8(data.count)] + data
        let answer = Self.message("p", body)
        for count in 0..<24 { #expect(BindingAnswer(Array(answer.prefix(count))) == .unfinished) }
        #expect(BindingAnswer(answer) == wanted)
    }

    @Test(
        "other answers",
        arguments: [[0x58, 0, 0, 0, 4], message("p", Array("SCRAM-SHA-1\u{0}y,,".utf8) + [0, 0, 0, 0])]
    )
    func otherAnswers(_ bytes: [UInt8]) { #expect(BindingAnswer(bytes) == .other) }
}

@Suite("A client's TLS records")
struct ClientRecordsTests {
    private func verdicts(_ records: [(UInt8, Int)]) -> [ClientRecords.Verdict] {
        var reader = ClientRecords()
        return records.map { kind, length in
            reader.take([kind, 3, 3, UInt8(length >> 8), UInt8(length & 0xFF)]).verdict
        }
    }

    @Test("a cancel request in TLS 1.3, with and without a certificate of the client's")
    func cancel13() {
        #expect(
            verdicts([(22, 300), (20, 1), (23, 69), (23, 33), (23, 19)])
                == [.handshake, .handshake, .handshake, .cancel, .handshake]
        )
        #expect(verdicts([(22, 1500), (20, 1), (23, 1000), (23, 281), (23, 53), (23, 61)]).last == .cancel)
        // A server that asks for a certificate gets an empty list of them.
        #expect(verdicts([(22, 300), (20, 1), (23, 25), (23, 69), (23, 33)]).last == .cancel)
        // The server asked for another key share.
        #expect(verdicts([(22, 300), (20, 1), (22, 400), (23, 69), (23, 33)]).last == .cancel)
    }

    @Test("a cancel request in TLS 1.2", arguments: [32, 40, 64, 68, 96])
    func cancel12(_ length: Int) {
        #expect(verdicts([(22, 200), (22, 70), (20, 1), (22, 40), (23, length)]).last == .cancel)
    }

    @Test("a login, and what follows a cancel request")
    func other() {
        #expect(verdicts([(22, 300), (20, 1), (23, 69), (23, 101)]).last == .other)
        #expect(verdicts([(22, 200), (22, 70), (20, 1), (22, 40), (23, 110)]).last == .other)
        #expect(verdicts([(22, 300), (23, 69), (23, 33), (23, 33)]).last == .other)
    }

    @Test(
        "what is no TLS",
        arguments: [[80, 3, 3, 0, 1], [22, 2, 0, 0, 1], [23, 3, 3, 0, 0], [23, 3, 3, 0xFF, 0xFF], [22, 3], []]
            as [[UInt8]]
    )
    func unknown(_ header: [UInt8]) {
        var reader = ClientRecords()
        let verdict = reader.take(header).verdict
        #expect(verdict == .unknown)
    }

    @Test("a record has its header besides")
    func size() {
        var reader = ClientRecords()
        let count = reader.take([22, 3, 1, 1, 0]).count
        #expect(count == 261)
    }
}
