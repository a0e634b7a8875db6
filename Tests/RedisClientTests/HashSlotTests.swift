// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RedisClient

struct HashSlotTests {
    @Test func `the checksum is CRC-16/XMODEM`() {
        #expect(HashSlot.crc16(Array("123456789".utf8)[...]) == 0x31C3)
        #expect(HashSlot.crc16([]) == 0)
    }

    // From `redis-cli cluster keyslot`.
    @Test(arguments: [
        ("foo", 12182), ("bar", 5061), ("", 0), ("{user1000}.following", 3443), ("user1000", 3443),
        ("foo{}{bar}", 8363), ("foo{{bar}}zap", 4015), ("foo{bar}{zap}", 5061), ("{", 4092),
        ("}{", 12_793),
    ])
    func `a slot is that of the key or of its hash tag`(_ key: String, _ slot: Int) {
        #expect(HashSlot.of(Array(key.utf8)) == slot)
    }

    @Test func `all keys of a command must be of one slot`() {
        #expect(HashSlot.of(RedisCommand("PING", key: nil)) == .anywhere)
        #expect(
            HashSlot.of(RedisCommand("MGET", "{a}1", "{a}2", moreKeys: [2]))
                == HashSlot.of(RedisCommand("GET", "a"))
        )
        #expect(HashSlot.of(RedisCommand("MGET", "a", "b", moreKeys: [2])) == nil)
    }

    @Test func `a map of slots is read, what is none is refused`() {
        func range(_ first: Int64, _ last: Int64, _ host: String, _ port: Int64) -> RedisReply {
            .array([
                .integer(first), .integer(last),
                .array([.bulk(Array(host.utf8)), .integer(port), .bulk([])]),
            ])
        }
        let own = Endpoint.tcp(host: "seed", port: 1)
        #expect(
            SlotRange.ranges(.array([range(0, 5, "a", 7000), range(6, 16_383, "", 7001)]), from: own) == [
                SlotRange(slots: 0...5, master: .tcp(host: "a", port: 7000)),
                SlotRange(slots: 6...16_383, master: .tcp(host: "seed", port: 7001)),
            ]
        )
        for bad in [
            range(0, 16_384, "a", 1), range(-1, 1, "a", 1), range(2, 1, "a", 1), range(0, 1, "a", 0),
            range(0, 1, "a", 65_536), .array([.integer(0), .integer(1)]), .null,
        ] { #expect(SlotRange.ranges(.array([bad]), from: own) == nil) }
    }

    @Test func `a redirect is read, what is none is refused`() {
        let own = Endpoint.tcp(host: "own", port: 1)
        func read(_ text: String) -> Endpoint? { SlotRange.redirect(text, from: own)?.1 }
        #expect(SlotRange.redirect("MOVED 3999 10.0.0.1:6381", from: own)?.slot == 3999)
        #expect(read("MOVED 3999 10.0.0.1:6381") == .tcp(host: "10.0.0.1", port: 6381))
        #expect(read("ASK 1 ::1:7000") == .tcp(host: "::1", port: 7000))
        #expect(read("MOVED 1 :7000") == .tcp(host: "own", port: 7000))
        for bad in [
            "MOVED", "MOVED 1", "MOVED x a:1", "MOVED 16384 a:1", "MOVED 1 a", "MOVED 1 a:0",
            "MOVED 1 a:x",
        ] {
            #expect(read(bad) == nil)
        }
    }
}

struct RedisCommandTests {
    @Test func `a command is encoded with its lengths`() {
        var bytes: [UInt8] = []
        RedisCommand("SET", "k", String(repeating: "v", count: 10)).encode(into: &bytes)
        #expect(
            String(decoding: bytes, as: UTF8.self)
                == "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$10\r\nvvvvvvvvvv\r\n"
        )
        bytes = []
        RedisCommand([[], [0, 255]], key: nil).encode(into: &bytes)
        #expect(bytes == Array("*2\r\n$0\r\n\r\n$2\r\n".utf8) + [0, 255, 13, 10])
    }

    @Test func `a queue gives back what it got, in order`() {
        var ring = Ring<Int>()
        var (put, taken) = (0, 0)
        for round in 1..<100 {
            for _ in 0..<round {
                ring.append(put)
                put += 1
            }
            for _ in 0..<(round / 2) {
                let element = ring.popFirst()
                #expect(element == taken)
                taken += 1
            }
            #expect(ring.count == put - taken && ring.first == taken)
        }
        let rest = ring.removeAll()
        #expect(rest == Array(taken..<put) && ring.isEmpty)
    }

    @Test func `refusals are told by their first word, and repeat no arguments`() {
        func refusal(_ text: String) -> RedisRefusal { RedisRefusal(Array(text.utf8)) }
        for kind in RedisRefusal.Kind.allCases {
            #expect(refusal(kind.rawValue + " something").kind == kind)
        }
        #expect(refusal("WHAT is that").kind == .other)
        #expect(
            refusal("ERR unknown command 'X', with args beginning with: 'secret'").message
                == "ERR unknown command 'X'"
        )
        #expect(refusal("ERR \u{1B}[31m\r\u{0}ü").message == "ERR ?[31m????")
        #expect(refusal(String(repeating: "x", count: 1000)).message.count == 200)
    }
}
