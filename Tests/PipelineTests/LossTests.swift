// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Metering
import Packets
import Pipeline
import TestKit
import Testing

struct LossTests {
    private static func result(_ name: String) throws -> ReplayResult {
        var options = ReplayOptions(paths: [Repository.captures + "/" + name])
        options.limits.flows = 1 << 14
        return try Replay.run(options)
    }

    @Test func `requests that cannot be read widen the interval upwards, and nothing else`() throws {
        let lossy = try Self.result("d_lossy_a.pcap")
        let totals = lossy.totals
        #expect(totals.hidden > 0)
        let price = CostUnits.fallback.micro
        // Without the hidden ones the upper bound would be that of the statements that may have run; none costs more.
        #expect(totals.cost > totals.costLow + Int64(totals.uncertain) * price)
        #expect(totals.costLow > 0 && totals.costLow <= Int64(totals.completed + totals.failed) * price)
    }

    @Test func `without a loss nothing is widened`() throws {
        let totals = try Self.result("mix_a.pcap").totals
        #expect(totals.hidden == 0)
        #expect(totals.cost == totals.costLow + Int64(totals.uncertain) * CostUnits.fallback.micro)
        // What the server refused costs less than what ran, and so does BEGIN.
        #expect(totals.costLow > 0 && totals.cost <= Int64(totals.started) * CostUnits.fallback.micro)
    }

    @Test(arguments: [0.02, 0.1, 0.2, 0.3, 0.5], [1, 2, 3, 4] as [UInt64])
    func `what cannot be read costs by its bytes, however often something is lost`(rate: Double, seed: UInt64) throws {
        for name in ["mix_a", "psycopg3_pipeline_a", "portals_a"] {
            var random = SplitMix64(seed: seed)
            let folder = try ScratchFolder()
            let path = folder.path + "/lossy.pcap"
            let packets = try Self.packets(Repository.captures + "/" + name + ".pcap")
            let kept = packets.dropFirst().filter { _ in Double.random(in: 0..<1, using: &random) >= rate }
            try Data(([packets[0]] + kept).joined()).write(to: URL(filePath: path))
            let totals = try Replay.run(ReplayOptions(paths: [path])).totals
            let price = CostUnits.fallback.micro
            // A loss counts as one statement, and one more for every 64 bytes; a packet is at most one loss.
            let most = Int64(totals.hidden / 64 + UInt64(2 * packets.count)) * price
            #expect(totals.hiddenCost >= 0 && totals.hiddenCost <= most, "\(name)")
            #expect(totals.cost <= totals.hiddenCost + Int64(totals.sent) * price, "\(name)")
        }
    }

    /// The header of a capture, then its packets with their own.
    private static func packets(_ path: String) throws -> [[UInt8]] {
        let bytes = try [UInt8](Data(contentsOf: URL(filePath: path)))
        var parts = [Array(bytes.prefix(24))]
        var place = 24
        while place + 16 <= bytes.count {
            let length = (0..<4).reduce(0) { $0 | Int(bytes[place + 8 + $1]) << (8 * $1) }
            parts.append(Array(bytes[place..<min(bytes.count, place + 16 + length)]))
            place += 16 + length
        }
        return parts
    }
}
