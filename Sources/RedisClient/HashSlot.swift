// SPDX-License-Identifier: Apache-2.0

/// The slot of a key (Redis cluster specification, "Key distribution model" and "Hash tags").
enum HashSlot {
    /// How many slots a cluster has.
    static let count = 16_384

    /// The slot of `key`: of what stands in its first `{...}`, if that is not empty, else of the whole.
    static func of(_ key: [UInt8]) -> Int {
        if let open = key.firstIndex(of: UInt8(ascii: "{")) {
            let rest = key[(open + 1)...]
            if let end = rest.firstIndex(of: UInt8(ascii: "}")), end > rest.startIndex {
                return Int(crc16(key[rest.startIndex..<end])) & (count - 1)
            }
        }
        return Int(crc16(key[...])) & (count - 1)
    }

    /// The one slot of all keys of a command, or the lack of keys; `nil` when there are several.
    static func of(_ command: RedisCommand) -> Routing? {
        guard let key = command.key else { return .anywhere }
        let slot = of(command.arguments[key])
        guard command.moreKeys.allSatisfy({ of(command.arguments[$0]) == slot }) else { return nil }
        return .slot(slot)
    }

    /// CRC-16/XMODEM: polynomial 0x1021, start 0.
    static func crc16(_ bytes: ArraySlice<UInt8>) -> UInt16 {
        var crc: UInt16 = 0
        for byte in bytes { crc = crc << 8 ^ table[Int((crc >> 8 ^ UInt16(byte)) & 0xFF)] }
        return crc
    }

    private static let table: [UInt16] = (0..<256).map { index in
        var value = UInt16(index) << 8
        for _ in 0..<8 { value = value & 0x8000 != 0 ? value << 1 ^ 0x1021 : value << 1 }
        return value
    }
}

/// Where a command may be done.
enum Routing: Sendable, Equatable {
    /// At any node.
    case anywhere
    /// At the node that has this slot.
    case slot(Int)
}
