// SPDX-License-Identifier: Apache-2.0
import Capture
import Domain
import Fingerprints
import Metering
import Packets
import Pipeline
import PostgresWire

/// How far a capture is taken; each stage does what those before it do.
enum Stage: String, CaseIterable {
    case read, decode, reassemble, follow, fingerprint, all
}

/// Takes the capture at `path` up to `stage`; returns a number that depends on all of the work.
func run(_ stage: Stage, _ path: String) throws -> UInt64 {
    guard stage != .all else {
        var options = ReplayOptions(paths: [path])
        options.ports = [5432]
        return try Replay.run(options).totals.completed
    }
    var file = try CaptureFile.open(path: path)
    let chunk = Chunk()
    var decoder = PacketDecoder(ports: PortSet([5432]), hash: .standard)
    var reassembler = Reassembler(serverPorts: PortSet([5432]))
    var streams = StreamEnd()
    var sessions = SessionEnd(
        sessions: Sessions(hash: .standard),
        end: StatementEnd(isSketching: stage == .fingerprint)
    )
    var slots = SlotTable<Segment>(limit: 1, blank: Segment())
    _ = slots.take()
    let segment = slots.slot(0)
    var record = CaptureRecord()
    var packets: UInt64 = 0
    var sum: UInt64 = 0
    while try file.fill(chunk) {
        let bytes = chunk.bytes
        while file.next(&record, in: bytes) {
            packets &+= 1
            sum &+= UInt64(record.captured)
            guard stage != .read else { continue }
            let frame = bytes.extracting(record.offset..<record.offset &+ record.captured)
            guard
                decoder.decode(frame, link: .ethernet, length: record.length, at: record.time, into: &segment.value)
                    == nil
            else { continue }
            sum ^= segment.value.hash
            guard stage != .decode else { continue }
            segment.value.ordinal = packets
            let start = segment.value.payloadOffset
            let payload = frame.extracting(start..<start &+ Int(segment.value.captured))
            if stage == .reassemble {
                reassembler.process(segment, payload, into: &streams)
            } else {
                reassembler.process(segment, payload, into: &sessions)
            }
        }
    }
    return sum ^ streams.bytes ^ sessions.end.statements ^ sessions.end.mixed
}
