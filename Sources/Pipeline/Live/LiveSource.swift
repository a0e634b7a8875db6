// SPDX-License-Identifier: Apache-2.0
import Capture
import Domain
import Metering

/// Where a live worker's bytes come from: the kernel's packets, or a relay's ring.
protocol LiveSource: ~Copyable {
    /// What to wait for, besides the desk.
    var descriptors: [Int32] { get }
    /// How long to wait for it at most, ms.
    var patience: Int32 { get }
    /// What was lost on the way here, ever: packets or records.
    var dropped: UInt64 { get }
    /// Takes what is there, or a good part of it; whether more waits.
    mutating func drain(
        into shard: inout Shard<some StatementRecorder & ~Copyable>,
        _ tally: inout LiveTally
    ) throws(CaptureError) -> Bool
    /// Takes what passed before now: the worker ends.
    mutating func takeRest(
        into shard: inout Shard<some StatementRecorder & ~Copyable>,
        _ tally: inout LiveTally
    ) throws(CaptureError)
    /// Leaves out most of large responses, or takes them whole again, from `now` on (ns of a steady clock); whether that is
    /// possible here.
    mutating func cutResponses(_ isCut: Bool, at now: Int64) -> Bool
    /// Adds what only the source knows.
    func fill(_ capture: inout CaptureSummary)
}

/// What a worker keeps of all that came from its source.
struct LiveTally {
    var counted = CaptureSummary()
    var clock = ClockGuard()
    var shedder = LoadShedder()

    /// What came so far, and what was cut off it: bytes, and 100 for each packet's own costs.
    var load: UInt64 { counted.bytes &+ counted.shortenedBytes &+ counted.packets &* 100 }
}
