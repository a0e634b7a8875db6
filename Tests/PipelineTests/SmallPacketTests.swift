// SPDX-License-Identifier: Apache-2.0
import Foundation
import Packets
import Pipeline
import TestKit
import Testing

struct SmallPacketTests {
    /// A capture (raw IP) of one connection: a SYN, `count` packets of one byte of payload or of none, all of 56 or 57
    /// bytes on disk, so that more of them stand in a chunk than a worker's list has places for.
    private static func capture(_ count: Int) -> Data {
        var data = Data()
        func little(_ values: UInt32...) { for value in values { big(value.byteSwapped) } }
        func big<Number: FixedWidthInteger & UnsignedInteger>(_ value: Number) {
            for shift in stride(from: Number.bitWidth - 8, through: 0, by: -8) {
                data.append(UInt8(truncatingIfNeeded: value >> shift))
            }
        }
        little(0xA1B2_C3D4, 0x0004_0002, 0, 0, 65_535, 101)
        var sequence: UInt32 = 1000
        for number in 0..<count {
            let payload = number % 16 == 15 ? 1 : 0
            little(UInt32(number), 0, UInt32(40 + payload), UInt32(40 + payload))
            data.append(contentsOf: [0x45, 0])
            big(UInt16(40 + payload))
            data.append(contentsOf: [0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2])
            big(UInt16(40_000))
            big(UInt16(5432))
            big(sequence)
            big(UInt32(1))
            data.append(contentsOf: [0x50, number == 0 ? 2 : 16, 0, 0, 0, 0, 0, 0])
            if payload == 1 { data.append(0x58) }
            sequence &+= number == 0 ? 1 : UInt32(payload)
        }
        return data
    }

    @Test func `more packets in a chunk than a worker's list has places are all seen, in order`() throws {
        let path = NSTemporaryDirectory() + "pgweir-small-\(UUID().uuidString).pcap"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Self.capture(20_000).write(to: URL(fileURLWithPath: path))
        for workers in [1, 2, 3] {
            var options = ReplayOptions(paths: [path])
            options.workers = workers
            options.limits.flows = 1 << 12
            let result = try Replay.run(options)
            #expect(result.reassembly.segments == 20_000)
            #expect(result.reassembly.outOfOrder == 0 && result.reassembly.gaps == 0, "\(workers) workers")
        }
    }
}
