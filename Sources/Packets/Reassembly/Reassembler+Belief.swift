// SPDX-License-Identifier: Apache-2.0
import Domain

/// What the server's kernel takes of what a client sends, as Linux decides it (`tcp_validate_incoming`, `tcp_ack`,
/// `tcp_data_queue`) after RFC 9293 §3.10.7.4, RFC 5961 and RFC 7323 §5.
extension Reassembler {
    /// Why the server's kernel may refuse a client's segment.
    ///
    /// The kernel knows things that a capture may lack, and versions differ. So whatever is not sure to be taken is in doubt,
    /// and the server's own acknowledgment decides.
    mutating func doubt(_ flow: FlowHandle, _ segment: Segment) -> Doubt {
        let isSYN = segment.flags.contains(.syn)
        // Some senders leave the sums of data to their network card, but not those of acknowledgments.
        if segment.announced > 0 || isSYN || segment.flags.contains(.fin) {
            flows[flow].trust.learn(segment.checksum, isSYN: isSYN)
        }
        guard flows[flow].trust.takes(segment.checksum) else {
            counters.badChecksums += 1
            return .checksum
        }
        // What stands in a SYN is taken only by who expects it (RFC 7413); the number that the SYN-ACK acknowledges tells.
        if isSYN { return .possible }
        let (client, server) = (flows[flow].client, flows[flow].server)
        guard server.state.contains(.synchronized), client.state.contains(.synchronized) else { return .none }
        let after = segment.sequence &+ UInt32(bitPattern: segment.announced)
        let isNew = after.distance(after: client.next) > 0 && after.distance(after: client.next) <= Self.window
        let doubt = max(doubtTime(flow, segment), doubtAcknowledgment(flow, segment, server))
        if doubt != .none {
            if isNew { counters.refused += 1 }
            return doubt
        }
        if segment.announced > 0, flows[flow].edge.distance(after: after) < 0 {
            if isNew { counters.outOfWindow += 1 }
            // Of what only ends behind the window, some kernels take what is before.
            return segment.sequence.distance(after: flows[flow].edge) >= 0 ? .likely : .possible
        }
        return .none
    }

    /// Timestamps older by more than 1 than the latest one are refused (RFC 7323 §5.2; `TCP_PAWS_WINDOW`).
    private func doubtTime(_ flow: FlowHandle, _ segment: Segment) -> Doubt {
        guard segment.hasTimestamp, flows[flow].state.contains(.hasRecent) else { return .none }
        return Int32(bitPattern: segment.timestamp &- flows[flow].recent) < -1 ? .likely : .none
    }

    /// An acknowledgment of what was not sent is refused, and one that is older than the largest window (RFC 5961 §5).
    private func doubtAcknowledgment(_ flow: FlowHandle, _ segment: Segment, _ server: Stream) -> Doubt {
        // One of bytes not seen yet may be right.
        let ahead = flows[flow].serverSeen.distance(after: server.next)
        let seen = ahead > 0 && ahead <= Self.window ? flows[flow].serverSeen : server.next
        if segment.acknowledgment.distance(after: seen) > 0 { return .likely }
        let age = server.acknowledged.distance(after: segment.acknowledgment)
        guard age > 0 else { return .none }
        if age >= 1 << 30 { return .likely }
        let acknowledged =
            flows[flow].state.contains(.hasServerStart)
            ? server.acknowledged.distance(after: flows[flow].serverStart) - 1 : 0
        return age <= min(acknowledged, Int(flows[flow].clientWindow)) ? .none : .possible
    }

    /// Notes what a client's segment told the server.
    func noteClient(_ flow: FlowHandle, _ segment: Segment) {
        guard segment.flags.contains(.ack) else { return }
        let (client, server) = (flows[flow].client, flows[flow].server)
        // What ends before the last acknowledgment is dropped before anything is learned from it (`tcp_sequence`).
        let end = segment.sequence &+ UInt32(bitPattern: segment.announced) &+ (segment.flags.contains(.fin) ? 1 : 0)
        guard !client.state.contains(.synchronized) || end.distance(after: client.acknowledged) >= 0 else { return }
        flows[flow].clientWindow = max(flows[flow].clientWindow, segment.window)
        if segment.hasTimestamp {
            // As Linux: not of what comes behind bytes that it has yet to acknowledge.
            let isNext = segment.sequence.distance(after: client.acknowledged) <= 0
            if !flows[flow].state.contains(.hasRecent) {
                // Where the SYN had none, the kernel looks at none.
                if !flows[flow].state.contains(.hasSYN) {
                    flows[flow].recent = segment.timestamp
                    flows[flow].state.insert(.hasRecent)
                }
            } else if isNext, Int32(bitPattern: segment.timestamp &- flows[flow].recent) > 0 {
                flows[flow].recent = segment.timestamp
            }
        }
        // Only up to what the server is known to have sent: a client may say more.
        let new = segment.acknowledgment.distance(after: server.acknowledged)
        if server.state.contains(.synchronized), new > 0, segment.acknowledgment.distance(after: server.next) <= 0 {
            if flows[flow].state.contains(.lowerIsClient) {
                flows[flow].fromUpper.acknowledged = segment.acknowledgment
            } else {
                flows[flow].fromLower.acknowledged = segment.acknowledgment
            }
        }
    }

    /// Notes what the server acknowledges, and its window: it vouches for what it took.
    func noteServer(_ flow: FlowHandle, _ segment: Segment) {
        let end = segment.sequence &+ UInt32(bitPattern: segment.announced) &+ (segment.flags.contains(.fin) ? 1 : 0)
        if end.distance(after: flows[flow].serverSeen) > 0 { flows[flow].serverSeen = end }
        guard segment.flags.contains(.ack) else { return }
        var client = flows[flow].client
        guard client.state.contains(.synchronized) else { return }
        let ahead = segment.acknowledgment.distance(after: client.next)
        guard abs(ahead) <= Self.window else {
            flows[flow].farAcknowledgment = segment.acknowledgment
            flows[flow].state.insert(.hasFarAcknowledgment)
            return
        }
        client.noteAcknowledged(segment.acknowledgment)
        flows[flow].spoken = client.next
        if !segment.flags.contains(.syn) { flows[flow].noteWindow(segment) }
        if ahead > 0, client.state.contains(.finished), !client.state.contains(.endIsReset) {
            // It takes more than the FIN: that was none to it.
            client.next = client.end
            client.state.subtract([.finished, .hasEnd, .endIsDoubtful])
        }
        flows[flow].client = client
    }

    /// Whether a receiver would take this RST: at the next expected byte, or behind bytes that it holds (RFC 5961 §3.2; Linux
    /// knows the latter as the end of what it acknowledged selectively).
    ///
    /// Others are somebody's noise, and answered with a challenge.
    mutating func reset(_ flow: FlowHandle, _ segment: Segment) -> Bool {
        let fromLower = segment.fromLower
        let isClient = fromLower == flows[flow].state.contains(.lowerIsClient)
        if isClient {
            flows[flow].trust.learn(segment.checksum, isSYN: false)
            guard flows[flow].trust.takes(segment.checksum) else {
                counters.badChecksums += 1
                return false
            }
        }
        let stream = fromLower ? flows[flow].fromLower : flows[flow].fromUpper
        let peer = fromLower ? flows[flow].fromUpper : flows[flow].fromLower
        guard stream.state.contains(.synchronized) else {
            // The answer to a SYN at a closed port has no sequence number of its own.
            guard segment.flags.contains(.ack), peer.state.contains(.synchronized) else { return false }
            guard segment.acknowledgment == peer.next else { return false }
            finish(flow, lower: fromLower, at: stream.next, [.hasEnd, .endIsReset])
            if fromLower {
                flows[flow].fromLower.state.insert(.synchronized)
            } else {
                flows[flow].fromUpper.state.insert(.synchronized)
            }
            return true
        }
        let distance = segment.sequence.distance(after: stream.next)
        let isAfterEnd = stream.state.contains(.finished) && distance >= -1 && distance <= 0
        guard distance == 0 || isAfterEnd || (distance > 0 && distance < 1 << 20 && isExpected(segment, stream)) else {
            return false
        }
        finish(flow, lower: fromLower, at: distance < 0 ? stream.next : segment.sequence, [.hasEnd, .endIsReset])
        return true
    }

    /// Whether bytes up to an RST ahead of the stream are known to exist: held, or acknowledged.
    private func isExpected(_ segment: Segment, _ stream: Stream) -> Bool {
        if stream.acknowledged.distance(after: segment.sequence) >= 0 { return true }
        var entry = stream.held
        while entry >= 0 {
            if held[entry].doubt == .none, held[entry].end == segment.sequence { return true }
            entry = held[entry].next
        }
        return false
    }
}

extension Stream {
    /// The other side has acknowledged so much.
    @inline(__always)
    mutating func noteAcknowledged(_ number: UInt32) {
        if Int32(bitPattern: number &- acknowledged) > 0 { acknowledged = number }
    }
}

extension Flow {
    /// The server told its window (RFC 9293 §3.8.6); Linux never takes back what it offered.
    @inline(__always)
    mutating func noteWindow(_ segment: Segment) {
        let end = segment.acknowledgment &+ UInt32(segment.window) &<< UInt32(windowShift)
        if Int32(bitPattern: end &- edge) > 0 { edge = end }
    }
}
