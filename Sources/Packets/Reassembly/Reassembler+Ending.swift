// SPDX-License-Identifier: Apache-2.0
import Domain

/// A flow whose connection is over, in no list: it must be kept, started anew or forgotten, and only one of these.
///
/// It cannot be copied, so that no flow that is kept can be forgotten too, and none can be forgotten twice.
struct ConcludedFlow: ~Copyable {
    private let flow: FlowHandle

    fileprivate init(_ flow: FlowHandle) { self.flow = flow }

    deinit { assertionFailure("a flow was neither kept nor forgotten") }

    /// The flow's handle, to go on with its connection.
    consuming func reopened() -> FlowHandle { handOver() }

    /// The flow's handle, which somebody else answers for from now on.
    fileprivate consuming func handOver() -> FlowHandle {
        let flow = flow
        discard self
        return flow
    }
}

/// What becomes of connections that are over.
extension Reassembler {
    /// Ended flows remembered, so that late retransmissions do not look like new connections.
    static var endedKept: Int { 4096 }

    /// Ends an open connection: what is held of it is delivered, and the sink is told.
    mutating func conclude(
        _ flow: FlowHandle,
        at moment: Moment,
        into sink: inout some StreamSink & ~Copyable
    ) -> ConcludedFlow {
        flush(flow, at: moment, into: &sink)
        release(flow, lower: true)
        release(flow, lower: false)
        if flows[flow].state.contains(.oriented) { sink.closed(flow, at: moment) }
        return ConcludedFlow(flow)
    }

    /// Keeps an ended flow for late retransmissions, and forgets the oldest one kept when there are too many.
    mutating func keep(_ concluded: consuming ConcludedFlow) {
        let flow = flows.slot(concluded.handOver())
        flow.value.state.insert(.closed)
        (flow.value.endedBefore, flow.value.endedAfter) = (newestEnded, -1)
        if newestEnded >= 0 { flows[newestEnded].endedAfter = flow.handle } else { oldestEnded = flow.handle }
        newestEnded = flow.handle
        endedCount &+= 1
        if endedCount > Self.endedKept, let oldest = takeOldestEnded() { forget(oldest) }
    }

    /// Starts another connection on the ports of a flow, whose own connection is over now if it was not before.
    mutating func replace(
        _ flow: FlowHandle,
        _ segment: Segment,
        _ payload: RawSpan,
        into sink: inout some StreamSink & ~Copyable
    ) {
        let moment = Moment(time: segment.time, ordinal: segment.ordinal)
        let former = takeEnded(flow) ?? conclude(flow, at: moment, into: &sink)
        start(former.handOver(), segment, payload, into: &sink)
    }

    /// Gives the slot of an ended flow back.
    mutating func forget(_ concluded: consuming ConcludedFlow) {
        let flow = concluded.handOver()
        index.remove(flow, hash: flows[flow].hash, in: flows)
        flows[flow].state = []
        flows.give(flow)
    }

    /// Takes the flow that ended first off the list.
    mutating func takeOldestEnded() -> ConcludedFlow? { oldestEnded < 0 ? nil : takeEnded(oldestEnded) }

    /// Takes a flow off the list of ended ones; `nil` when it is not there.
    mutating func takeEnded(_ flow: FlowHandle) -> ConcludedFlow? {
        let ended = flows.slot(flow)
        guard ended.value.state.contains(.closed) else { return nil }
        let (before, after) = (ended.value.endedBefore, ended.value.endedAfter)
        if before >= 0 { flows[before].endedAfter = after } else { oldestEnded = after }
        if after >= 0 { flows[after].endedBefore = before } else { newestEnded = before }
        endedCount &-= 1
        ended.value.state.remove(.closed)
        return ConcludedFlow(flow)
    }
}

extension Flow {
    /// Whether it is a connection that is not known to have ended.
    @inline(__always)
    var isOpen: Bool { state.contains(.open) && !state.contains(.closed) }
}
