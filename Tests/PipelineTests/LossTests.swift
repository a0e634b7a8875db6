// SPDX-License-Identifier: Apache-2.0
import Domain
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
}
