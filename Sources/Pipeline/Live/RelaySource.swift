// SPDX-License-Identifier: Apache-2.0
import Capture
import Domain
import Glibc
import Metering
import Packets
import Platform
import RelayRing

/// What relays forwarded, from their rings: bytes in order, so reassembly has nothing to do but keep the flows.
struct RelaySource: LiveSource, ~Copyable {
    private let feed: RelayFeed
    private let worker: Int
    private var rings: [RelayedRing] = []
    private var seen = 0
    private var ringCount: UInt64 = 0
    /// Of rings that are over.
    private var goneBytes: UInt64 = 0, goneRecords: UInt64 = 0

    /// Records taken from one ring before the next one has its turn.
    private static var turn: Int { 4096 }

    init(_ feed: RelayFeed, worker: Int) {
        self.feed = feed
        self.worker = worker
    }

    var descriptors: [Int32] { rings.map(\.reader.descriptor) }
    /// Relays do not ring for each record, only when much waits: who wakes up may be in the way of a query.
    var patience: Int32 { 50 }
    var dropped: UInt64 { rings.reduce(goneRecords) { $0 &+ $1.reader.dropped.records &+ $1.strays } }

    mutating func drain(
        into shard: inout Shard<some StatementRecorder & ~Copyable>,
        _ tally: inout LiveTally
    ) throws(CaptureError) -> Bool {
        for ring in feed.take(worker, &seen) {
            ringCount &+= 1
            rings.append(RelayedRing(ring, number: ringCount))
        }
        var isBehind = false
        for index in rings.indices {
            // Asked first: what was put before the end is there afterwards.
            let isOver = rings[index].isEnding
            rings[index].reader.wake()
            let count = rings[index].take(Self.turn, into: &shard, &tally)
            if count >= Self.turn { isBehind = true }
            if rings[index].reader.isBroken || (isOver && count == 0) { rings[index].end(into: &shard, tally) }
        }
        for ring in rings where ring.isOver {
            goneBytes &+= ring.reader.dropped.bytes
            goneRecords &+= ring.reader.dropped.records &+ ring.strays
        }
        rings.removeAll(where: \.isOver)
        if !isBehind { for ring in rings { ring.reader.sleep() } }
        return isBehind
    }

    mutating func takeRest(
        into shard: inout Shard<some StatementRecorder & ~Copyable>,
        _ tally: inout LiveTally
    ) throws(CaptureError) {
        // What is there now passed before now; what a busy relay adds meanwhile need not.
        let deadline = SystemClock.now() + 2
        while try drain(into: &shard, &tally), SystemClock.now() < deadline {}
    }

    /// A relay's ring holds bytes in order: none can be left out.
    func cutResponses(_ isCut: Bool, at now: Int64) -> Bool { false }

    func fill(_ capture: inout CaptureSummary) {
        capture.relayDroppedBytes = rings.reduce(goneBytes) { $0 &+ $1.reader.dropped.bytes }
        capture.relayDroppedRecords = dropped
    }
}
