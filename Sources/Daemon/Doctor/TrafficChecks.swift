// SPDX-License-Identifier: Apache-2.0
import Domain
import Metering
import Packets
import Pipeline
import PostgresWire

/// What a few seconds of traffic show.
enum TrafficChecks {
    static func all(_ result: ReplayResult, seconds: Int, _ options: LiveTapOptions) -> [Finding] {
        let ports = options.ports
        let place = ports.isEmpty ? "any port" : "port " + ports.map(String.init).joined(separator: ", ")
        guard result.reassembly.segments > 0 else {
            return [
                .warning(
                    "traffic.packets",
                    "no packet of \(place) passed within \(seconds) s",
                    "is there traffic now, on this interface and this port? `tcpdump -ni any tcp port 5432` shows; on a "
                        + "monitor host see `pgweir mirror status` where the mirror is"
                )
            ]
        }
        let packets = Finding.fine("traffic.packets", "\(result.capture.packets) packets of \(place) in \(seconds) s")
        let isNamed = !options.servers.isEmpty
        return [packets, directions(result), servers(result, isNamed), encryption(result), known(result), loss(result)]
    }

    private static func directions(_ result: ReplayResult) -> Finding {
        let totals = result.totals
        let answered = totals.completed + totals.failed
        if answered > 0 { return .fine("traffic.directions", "queries and their answers are seen: \(answered)") }
        if totals.sent == 0, result.sessions.orphanAnswers > 0 {
            return .error(
                "traffic.directions",
                "only answers are seen, no queries: one direction is missing",
                "mirror both directions: `--dport` and `--sport`, ingress and egress (`pgweir mirror plan`)"
            )
        }
        if totals.sent > 0 {
            return .error(
                "traffic.directions",
                "only queries are seen, no answers: one direction is missing",
                "mirror both directions: `--dport` and `--sport`, ingress and egress (`pgweir mirror plan`)"
            )
        }
        return .note("traffic.directions", "no query passed: too little traffic to tell", "look longer with --seconds")
    }

    private static func servers(_ result: ReplayResult, _ isNamed: Bool) -> Finding {
        guard isNamed else {
            return .note(
                "traffic.servers",
                "no server is named: whoever listens on these ports where the tap sees it counts as one, and says who pays",
                "name yours with --server <address[:port]> (capture.servers)"
            )
        }
        guard result.otherServers > 0 else {
            return .fine("traffic.servers", "no session with a server that is not named")
        }
        return .note(
            "traffic.servers",
            "\(result.otherServers) sessions with servers that are not named: not read, nobody pays for them",
            "if one of them is yours, name it too with --server"
        )
    }

    private static func encryption(_ result: ReplayResult) -> Finding {
        let sessions = result.sessions
        guard sessions.encrypted > 0 else { return .fine("traffic.encryption", "no session is encrypted") }
        return .warning(
            "traffic.encryption",
            "\(sessions.encrypted) of \(max(sessions.total, sessions.encrypted)) sessions are encrypted: nothing can be "
                + "seen of them",
            "tap where TLS has ended, such as between PgBouncer and PostgreSQL on one host, or set sslmode=disable on a "
                + "network that you trust"
        )
    }

    private static func known(_ result: ReplayResult) -> Finding {
        let unknown = result.sessions.midstream
        guard unknown > 0 else { return .fine("traffic.users", "the logins of all sessions were seen") }
        return .note(
            "traffic.users",
            "\(unknown) sessions began before this look: their users are not in the packets",
            "give `pgweir run` --activity for PostgreSQL or --pooler for PgBouncer, which know them"
        )
    }

    private static func loss(_ result: ReplayResult) -> Finding {
        let (capture, gaps) = (result.capture, result.reassembly.gaps)
        if capture.truncatedPackets > 0 {
            return .error(
                "traffic.loss",
                "\(capture.truncatedPackets) packets were cut by the snap length",
                "leave --snaplen at its default; on a mirror, copy whole packets"
            )
        }
        guard capture.kernelDropped + capture.interfaceDropped + gaps > 0 else {
            return .fine("traffic.loss", "nothing was lost")
        }
        return .warning(
            "traffic.loss",
            "\(capture.kernelDropped) packets dropped by the kernel, \(capture.interfaceDropped) by the interface, "
                + "\(gaps) gaps in streams",
            "a larger --buffer or more --workers against drops; gaps without drops are lost on the way to this host"
        )
    }
}
