// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestKit
import Testing

struct ReassemblyModelTests {
    /// Small tables push connections out, large ones keep more ended ones than are remembered.
    @Test(arguments: [16, 300, 6000, 20_000])
    func `a reassembler tells what a plain map of connections says, each thing once`(_ flows: Int) {
        let environment = ProcessInfo.processInfo.environment
        let seed = environment["PGWEIR_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...(.max))
        let count = environment["PGWEIR_LONG"] == "1" ? 1_000_000 : 25_000
        var trial = ReassemblyTrial(seed: seed, flows: flows)
        let fault = trial.run(count)
        #expect(fault == nil, "PGWEIR_SEED=\(seed), \(flows) flows")
    }
}
