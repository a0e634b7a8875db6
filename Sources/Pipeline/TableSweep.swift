// SPDX-License-Identifier: Apache-2.0
import Domain
import Metering
import PostgresWire

extension Analyser where Recorder: ~Copyable {
    /// Makes room in tables that are crowded: a part of the work at a time.
    @inline(never)
    mutating func sweepTables(most visits: Int = 16_384) {
        guard books.isSweeping || books.beginSweep() else { return }
        var flow = books.nextVisit ?? 0
        let end = books.flows.highWater
        var left = visits
        while flow < end, left > 0 {
            left -= sessions.tellReferences(at: flow, to: &books)
            if let note = books.flows.occupant(at: flow) { books.isReferred(application: note.value.application) }
            flow += 1
        }
        books.nextVisit = flow
        guard flow >= end else { return }
        let gone = books.endSweep()
        if !gone.isEmpty { sessions.forgetShared { gone[$0] != nil } }
    }
}
