// SPDX-License-Identifier: Apache-2.0
import Attribution
import Domain
import Pipeline

/// Notices that both sides of a pooler are seen, so that each statement is billed twice, and says so once.
///
/// It tells and does not pass over one side by itself: clients of the pooler that the tap does not see, such as those of a Unix
/// socket, are billed by the other.
struct PoolerWatch {
    private var poolers: [SessionDirectory]
    private var next = Supervisor.now() + 2
    /// Until the next look, in seconds: each time twice as long, as it costs the workers and the pooler a long list.
    private var interval = 60.0
    private static let longest = 3600.0

    /// A watch over those of these that are poolers; `nil` if none is.
    init?(_ directories: [SessionDirectory]) {
        poolers = directories.filter { $0.kind == .pooler }
        if poolers.isEmpty { return nil }
    }

    /// Asks the poolers now and then; one that cannot be asked is no matter here.
    mutating func look(at desk: LiveDesk) {
        guard !poolers.isEmpty, Supervisor.now() >= next else { return }
        let seen = desk.snapshot().sessions.map { (client: $0.client, server: $0.server) }
        next = Supervisor.now() + interval
        interval = min(interval * 2, Self.longest)
        // Two sides are two servers, at least.
        guard Set(seen.map(\.server)).count > 1 else { return }
        poolers.removeAll { pooler in
            guard let sides = try? pooler.sides(of: seen), let place = sides.place else { return false }
            Log.warning("attribution.both_sides", Self.text(sides) + ". " + Self.remedy(place))
            return true
        }
    }

    static func text(_ sides: PoolerSides) -> String {
        "both sides of a PgBouncer are seen (connections: \(sides.clients) of its clients, \(sides.servers) to its servers): "
            + "each statement is billed twice"
    }

    static func remedy(_ place: Endpoint) -> String { "Name it with --pooler-at \(place), or tap one side only." }
}
