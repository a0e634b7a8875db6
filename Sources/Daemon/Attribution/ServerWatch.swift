// SPDX-License-Identifier: Apache-2.0
import Attribution
import Domain
import Pipeline
import Platform

/// Learns which servers are real, where nobody named them: those that --activity and --pooler reach or vouch for.
///
/// As long as sessions with such a server are seen, what passes at others may be anybody's: it counts as possible. Where the
/// daemon reaches its servers by addresses that the tap does not see (a Unix socket, NAT) nothing is learned from them.
struct ServerWatch {
    private let directories: [SessionDirectory]
    private var proven: Set<Endpoint> = []
    private var told: Set<Endpoint> = []
    private var next = SystemClock.now()
    private var pause = 1.0
    /// Seconds between two looks at most.
    private static let longestPause = 60.0
    /// More servers are not remembered, and not warned of.
    private static let mostServers = 1024, mostWarnings = 8

    init(_ directories: [SessionDirectory]) { self.directories = directories }

    /// Asks now and then; what cannot be asked proves nothing.
    mutating func look(at pool: WorkerPool) {
        guard SystemClock.now() >= next else { return }
        for directory in directories where proven.count < Self.mostServers {
            if let found = try? directory.provenServers() { proven.formUnion(found) }
        }
        if !proven.isEmpty, let seen = pool.seenConnections() { judge(seen, pool) }
        next = SystemClock.now() + pause
        pause = min(Self.longestPause, pause * 2)
    }

    private mutating func judge(_ seen: [SeenConnection], _ pool: WorkerPool) {
        let own = OwnConnections.ends
        let servers = Set(seen.filter { $0.isRead && !own.contains($0.client) }.map(\.server))
        guard !servers.isDisjoint(with: proven) else { return }
        pool.prove(NamedServers(proven.sorted { $0.description < $1.description }))
        for server in servers.subtracting(proven) where told.count < Self.mostWarnings {
            guard told.insert(server).inserted else { continue }
            Log.warning(
                "attribution.unproven_server",
                "sessions with \(server), which neither --activity nor --pooler reaches: anybody may listen there, so what they "
                    + "cost counts as possible, not as proven. Name your servers with --server."
            )
        }
    }
}
