// SPDX-License-Identifier: Apache-2.0
import Foundation
import RelayRing
import Telemetry

/// What a relay tells of itself, for a scrape of the daemon that is attached to it: the relay serves no metrics of its own,
/// so that it stays small.
struct RelayFigures: Decodable {
    struct Connections: Decodable {
        var open = 0, most = 0, accepted = 0, refused = 0, failed = 0, reset = 0, cut = 0, outOfFiles = 0
    }
    struct Bytes: Decodable { var toServer = 0, toClient = 0 }
    struct Ring: Decodable { var copiedBytes = 0, droppedBytes = 0, droppedRecords = 0, unreadBytes = 0 }
    struct Upstream: Decodable { var name = "", healthy = false }

    var ready = false
    var connections = Connections()
    var bytes = Bytes()
    var ring = Ring()
    var upstreams: [Upstream] = []

    /// Asks the relay whose control socket is at `path`; `nil` when none answers soon: probes wait behind a scrape.
    static func ask(at path: String) -> RelayFigures? {
        guard let channel = RelayChannel.connect(to: path, patience: 300), channel.send("status"),
            let answer = channel.receive()
        else {
            return nil
        }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try? decoder.decode(Self.self, from: Data(answer.text.utf8))
    }

    /// Writes metrics; a relay that does not answer is told by `pgweir_relay_up` alone.
    static func write(_ figures: RelayFigures?, _ text: inout MetricsText) {
        text.gauge("pgweir_relay_up", "Whether the relay answers.", figures == nil ? 0 : 1)
        guard let figures else { return }
        text.gauge(
            "pgweir_relay_ready",
            "Whether the relay takes connections, and is not draining.",
            figures.ready ? 1 : 0
        )
        let connections = figures.connections
        text.gauge("pgweir_relay_open_connections", "Connections that are open.", Double(connections.open))
        text.gauge("pgweir_relay_most_connections", "Connections that may be open at once.", Double(connections.most))
        text.counter("pgweir_relay_accepted_connections", "Connections taken.", Double(connections.accepted))
        let ends = [
            ("refused", connections.refused), ("failed", connections.failed), ("reset", connections.reset),
            ("cut", connections.cut), ("out_of_files", connections.outOfFiles),
        ]
        text.counter(
            "pgweir_relay_lost_connections",
            "Connections that were refused, found no server, were reset, outlived a drain, or found no descriptor.",
            ends.map { ([("why", $0.0)], Double($0.1)) }
        )
        text.counter(
            "pgweir_relay_bytes",
            "Bytes forwarded, by direction.",
            [
                ([("to", "server")], Double(figures.bytes.toServer)),
                ([("to", "client")], Double(figures.bytes.toClient)),
            ]
        )
        let copies = [
            ("copied", figures.ring.copiedBytes), ("dropped", figures.ring.droppedBytes),
            ("unread", figures.ring.unreadBytes),
        ]
        text.counter(
            "pgweir_relay_ring_bytes",
            "Bytes copied for the daemon, forwarded without a copy, and copied but left unread by a daemon that ended.",
            copies.map { ([("what", $0.0)], Double($0.1)) }
        )
        text.gauge(
            "pgweir_relay_upstream_healthy",
            "Whether a server takes connections.",
            figures.upstreams.map { ([("upstream", $0.name)], $0.healthy ? 1 : 0) }
        )
    }
}
