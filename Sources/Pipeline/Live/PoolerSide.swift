// SPDX-License-Identifier: Apache-2.0
import Domain
import Metering
import Packets
import PostgresWire

/// What of a tap is a pooler's server side may be decided while it runs.
extension Shard where Recorder: ~Copyable {
    /// The open connections.
    var connections: [SeenConnection] {
        mutating get {
            var found: [SeenConnection] = []
            for place in 0..<reassembler.placeCount {
                guard let flow = reassembler.toldFlow(at: place) else { continue }
                let note = analyser.metering.flows[flow]
                found.append(
                    SeenConnection(client: note.client, server: note.server, isRead: analyser.sessions.isRead(flow))
                )
            }
            return found
        }
    }

    /// Passes over the connections of these poolers to servers from now on, the open ones included.
    mutating func ignoreServerSide(of poolers: PoolerAddresses, at moment: Moment) {
        analyser.poolers = poolers
        for place in 0..<reassembler.placeCount {
            guard let flow = reassembler.toldFlow(at: place) else { continue }
            let note = analyser.metering.flows[flow]
            guard poolers.isServerSide(client: note.client, server: note.server), !analyser.sessions.isOpaque(flow)
            else {
                continue
            }
            analyser.sessions.passOver(flow, at: moment, into: &analyser.metering)
            analyser.metering.closed(flow, at: moment)
        }
    }
}
