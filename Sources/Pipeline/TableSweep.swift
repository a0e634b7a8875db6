// SPDX-License-Identifier: Apache-2.0
import Domain
import Metering
import PostgresWire

extension Analyser where Recorder: ~Copyable {
    /// Makes room in tables that are crowded: a part of the work at a time.
    @inline(never)
    mutating func sweepTables(most visits: Int = 16_384) {
        guard metering.isSweeping || metering.beginSweep() else { return }
        var flow = metering.nextVisit ?? 0
        let end = metering.flows.highWater
        var left = visits
        while flow < end, left > 0 {
            left -= sessions.tellReferences(at: flow, to: &metering)
            if let note = metering.flows.occupant(at: flow) { metering.isReferred(application: note.value.application) }
            flow += 1
        }
        metering.nextVisit = flow
        guard flow >= end else { return }
        let gone = metering.endSweep()
        if !gone.isEmpty { sessions.forgetShared { gone[$0] != nil } }
    }
}
