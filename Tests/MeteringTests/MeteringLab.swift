// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import PostgresWire

@testable import Metering

extension Metering where Recorder == NoRecorder {
    /// One of a single worker with room for all that a test does.
    static func lab(
        flows: Int = 16,
        tables: TableLimits = TableLimits(patterns: 1 << 14, principals: 1 << 14, samples: 1 << 22)
    ) -> Metering<NoRecorder> {
        Metering(hash: .standard, priceList: PriceList(), flows: flows, tables: tables, recorder: NoRecorder())
    }
}
